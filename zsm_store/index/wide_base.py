"""Long posting lists of the base, counted with numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from zsm_store.index.costs import STRUCTURE_WEIGHT
from zsm_store.index.pruning import add_seen, lists_to_read, rows_in_reach
from zsm_store.index.ragged import counted
from zsm_store.index.wide_evaluation import add_all

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from zsm_store.index.base import Base
    from zsm_store.index.evaluation import Evaluation

    Rows = NDArray[np.signedinteger[Any]]
    Counts = NDArray[np.int64]

_FIRST_WORK = 500
_GROWTH = 4
"""Rows read until the bound is tightened for the first time, and how much more is read
before each further time."""

_FEW = 48
"""Up to this many rows are looked at one by one."""

_GUESSES = 3
"""Rows whose distance is computed to tighten the bound, at least."""


def search_base(evaluation: Evaluation, keys: list[int]) -> None:
    """Take every row of the base into account that may be near enough.

    Parameters
    ----------
    keys
        Keys of the query, the rarest first.
    """
    base = evaluation.state.base
    parts: list[Rows] = []
    read, work, enough = 0, 0, _FIRST_WORK
    rows: Rows = np.empty(0, np.int32)
    counts: Counts = np.empty(0, np.int64)
    while read < (to_read := lists_to_read(evaluation, len(keys))):
        reach = rows_in_reach(evaluation, len(keys))
        while read < to_read and work < enough:
            parts.append(_posting_list(base, keys[read], reach))
            work += len(parts[-1])
            read += 1
        rows, counts = counted(np.concatenate(parts))
        enough *= _GROWTH
        if read < to_read and len(rows):
            _tighten(evaluation, rows, counts)
    unread = keys[read:]
    while len(rows):
        rows, counts = _near_enough(evaluation, rows, counts, len(unread))
        if len(rows) <= _FEW or not unread:
            break
        # The rows that are left are looked up in the longest lists, instead of
        # reading those.
        counts = counts + _is_in(rows, _posting_list(base, unread.pop(0), None))
    if len(rows) <= _FEW:
        seen = dict(zip(rows.tolist(), counts.tolist(), strict=True))
        add_seen(evaluation, seen, len(unread))
    else:
        add_all(evaluation, rows, _costs(evaluation, rows, counts))


def structure_costs(
    base: Base, rows: Rows, count: Counts | int, overlaps: Counts
) -> NDArray[np.float32]:
    """Return the cost of rows by what they share with `count` fields, as `COSTS` does.

    `overlaps` that are larger than a row count as the whole row.
    """
    offsets = np.asarray(base.offsets)
    sizes = offsets[rows + 1].astype(np.int64) - offsets[rows]
    overlaps = np.minimum(overlaps, sizes)
    jaccard = overlaps.astype(np.float32) / (sizes + count - overlaps).astype(
        np.float32
    )
    costs: NDArray[np.float32] = (np.float32(1) - jaccard) * np.float32(
        STRUCTURE_WEIGHT
    )
    return costs


def _posting_list(base: Base, key: int, reach: tuple[int, int] | None) -> Rows:
    """Return the rows with a key, within `reach`."""
    start, end = base.posting_range(key)
    rows: Rows = np.asarray(base.postings)[start:end]
    if reach is None:
        return rows
    # Keys of another type would make numpy convert the whole list.
    first, after = np.searchsorted(rows, np.array(reach, np.int32))
    return rows[first:after]


def _costs(evaluation: Evaluation, rows: Rows, overlaps: Counts) -> NDArray[np.float32]:
    count = evaluation.query.count
    return structure_costs(evaluation.state.base, rows, count, overlaps)


def _tighten(evaluation: Evaluation, rows: Rows, counts: Counts) -> None:
    """Compute the distance of those rows that seem to be nearest."""
    guesses = max(evaluation.best.k, _GUESSES)
    if len(rows) > guesses:
        costs = _costs(evaluation, rows, counts)
        rows = rows[np.argpartition(costs, guesses)[:guesses]]
    for row in rows.tolist():
        evaluation.add(row)
    evaluation.settle()


def _near_enough(
    evaluation: Evaluation, rows: Rows, counts: Counts, unread: int
) -> tuple[Rows, Counts]:
    """Return the rows that are within the bound if they are in all unread lists."""
    costs = _costs(evaluation, rows, counts + unread)
    near = costs <= np.float32(evaluation.best.bound)
    return rows[near], counts[near]


def _is_in(rows: Rows, among: Rows) -> NDArray[np.bool_]:
    """Whether each row is in `among`; both rise."""
    if not len(among):  # the delta alone knows that key
        return np.zeros(len(rows), np.bool_)
    places = np.searchsorted(among, rows)
    places[places == len(among)] = 0
    found: NDArray[np.bool_] = among[places] == rows
    return found
