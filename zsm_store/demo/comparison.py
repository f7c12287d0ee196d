"""Comparison levels: how well two records agree, field by field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from zsm_store.demo.similarity import similarity
from zsm_store.model.schema import FieldKind

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from zsm_store.demo.table import DemoTable

MISSING = -1
"""In place of a level where either value is missing."""

LEVELS = 4
"""Of every field: 0 different, 1 distantly alike, 2 close, 3 equal."""

THRESHOLDS = {
    FieldKind.NAME: (0.6, 0.8),
    FieldKind.DATE: (0.8, 0.9),
    FieldKind.PHONE: (0.7, 0.9),
    FieldKind.ID: (0.7, 0.9),
}
"""Similarity from which a pair is at level 1 and at level 2, by kind of the field."""
DEFAULT_THRESHOLDS = (0.5, 0.8)


def compare(table: DemoTable, pairs: NDArray[np.int64]) -> NDArray[np.int8]:
    """Comparison level of each field of each pair of records.

    Parameters
    ----------
    pairs
        (pair, 2): record numbers.

    Returns
    -------
    ndarray
        (pair, field): 0 to `LEVELS` - 1, or `MISSING`; fields in column order.
    """
    levels = np.empty((len(pairs), len(table.columns)), dtype=np.int8)
    for position, (name, values) in enumerate(table.columns.items()):
        thresholds = THRESHOLDS.get(table.kinds[name], DEFAULT_THRESHOLDS)
        levels[:, position] = _compare_field(values, pairs, thresholds)
    return levels


def _compare_field(
    values: tuple[str | None, ...],
    pairs: NDArray[np.int64],
    thresholds: tuple[float, float],
) -> NDArray[np.int8]:
    numbers: dict[str, int] = {}
    codes = np.array(
        [
            MISSING if value is None else numbers.setdefault(value, len(numbers))
            for value in values
        ],
        dtype=np.int64,
    )
    a, b = codes[pairs[:, 0]], codes[pairs[:, 1]]
    levels = np.full(len(pairs), MISSING, dtype=np.int8)
    present = np.flatnonzero((a != MISSING) & (b != MISSING))
    a, b = a[present], b[present]
    # The similarity is symmetric and names repeat: each two values are compared once.
    size = max(len(numbers), 1)
    distinct, where = np.unique(
        np.minimum(a, b) * size + np.maximum(a, b), return_inverse=True
    )
    texts = list(numbers)
    alike = similarity(
        [texts[i] for i in distinct // size], [texts[i] for i in distinct % size]
    )
    # The last threshold is equality: only equal texts have similarity 1.
    reached = np.searchsorted([*thresholds, 1.0], alike, side="right")
    levels[present] = reached.astype(np.int8)[where]
    return levels


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementPatterns:
    """The distinct rows of a comparison and how many pairs have each.

    Under conditional independence pairs with one pattern are interchangeable, so EM
    works on a few thousand patterns in place of all pairs.
    """

    levels: NDArray[np.int8]
    """(pattern, field): as `compare` returns them."""
    counts: NDArray[np.int64]
    """(pattern,): pairs."""
    of_pair: NDArray[np.int64]
    """(pair,): row of each pair's pattern."""

    @staticmethod
    def of(levels: NDArray[np.int8]) -> AgreementPatterns:
        """Count the distinct rows of (pair, field) levels.

        Raises
        ------
        ValueError
            Too many fields to number the possible patterns in 63 bits; for four levels,
            more than 27.
        """
        fields = levels.shape[1]
        base = int(levels.max(initial=MISSING)) - MISSING + 1
        if base**fields > np.iinfo(np.int64).max:
            message = f"too many patterns: {fields} fields of {base - 1} levels"
            raise ValueError(message)
        # One number per row: sorting numbers is ten times faster than sorting rows.
        place_values = base ** np.arange(fields, dtype=np.int64)
        numbers = (levels.astype(np.int64) - MISSING) @ place_values
        _, first, of_pair, counts = np.unique(
            numbers, return_index=True, return_inverse=True, return_counts=True
        )
        return AgreementPatterns(
            levels=levels[first], counts=counts.astype(np.int64), of_pair=of_pair
        )
