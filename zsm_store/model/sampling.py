"""Statistics of a sample, equal to the peer's bit for bit."""

from __future__ import annotations

import heapq
import math
from collections import Counter
from datetime import date, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from zsm_store.errors import InvalidArtifactError
from zsm_store.model.float32 import float32, float32_from_count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from zsm_store.model.schema import Field

TOP_K = 10
"""How many of the most frequent values are kept."""


def float_text(value: float) -> str:
    """Text under which the peer counts a float: shortest digits, no exponent."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return format(Decimal(repr(value)), "f").removesuffix(".0")


_TEXTS: tuple[tuple[type | tuple[type, ...], Callable[[Any], str]], ...] = (
    (bool, lambda value: "true" if value else "false"),
    (int, lambda value: str(int(value))),
    (float, lambda value: float_text(float(value))),
    (Decimal, lambda value: format(value, "f")),
    ((date, time), lambda value: value.isoformat()),  # a datetime is a date
)
"""Text of each type; a bool is an int, so the order counts."""


def value_text(value: Any) -> str | None:
    """Text under which a value is counted; None where it counts as missing.

    None, empty text and bytes are missing, as in the peer. NaN is the text ``NaN``, as
    in the peer, too: turn it into None first where it means "missing", as in pandas.

    Raises
    ------
    InvalidArtifactError
        A value that is neither text, number, truth value nor date.
    """
    if value is None or isinstance(value, bytes | bytearray):
        return None
    if isinstance(value, date) and value != value:  # noqa: PLR0124  # pandas' NaT
        return None
    if isinstance(value, str):
        return str(value) or None
    for kind, text_of in _TEXTS:
        if isinstance(value, kind):
            try:
                return text_of(value)
            except ValueError:  # Python prints no integer of more than 4,300 digits
                message = f"a value of type {type(value).__name__} is too long"
                raise InvalidArtifactError(message) from None
    plain = _scalar(value)
    if type(plain) is not type(value):
        return value_text(plain)
    message = f"a value of type {type(value).__name__} cannot be counted: give text"
    raise InvalidArtifactError(message)


_NUMPY_TIMES = "mM"
"""Kinds of timedelta64 and datetime64."""


def _scalar(value: Any) -> Any:
    """Return the Python value of a numpy or pandas scalar, or `value` itself."""
    try:
        plain = value.item()
        if isinstance(plain, int) and value.dtype.kind in _NUMPY_TIMES:
            # Of nanoseconds, pandas' unit, item() gives an integer, not a date.
            return value.astype(f"{value.dtype.kind}8[us]").item()
    except (AttributeError, TypeError, ValueError):  # no scalar
        return value
    return plain


class FieldCounts:
    """Running counts of one field."""

    __slots__ = ("counts", "nulls")

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.nulls = 0

    def null_rate(self, total: int) -> float:
        """Return nulls / total as the peer divides: both rounded to float32 first."""
        if total == 0:
            return 0.0
        return float32(float32_from_count(self.nulls) / float32_from_count(total))

    def top_k(self) -> tuple[str, ...]:
        """Return the most frequent values: count descending, then by code point."""
        ranked = heapq.nsmallest(
            TOP_K, self.counts.items(), key=lambda item: (-item[1], item[0])
        )
        return tuple(text for text, _ in ranked)


def count_fields(
    fields: Iterable[Field], records: Iterable[Mapping[str, Any]]
) -> tuple[dict[str, FieldCounts], int]:
    """Count the values of each field over the records, in one pass.

    Returns
    -------
    counts : dict
        By field name.
    total : int
        Number of records.
    """
    by_name = {field.name: FieldCounts() for field in fields}
    total = 0
    for record in records:
        total += 1
        for name, counts in by_name.items():
            text = value_text(record.get(name))
            if text is None:
                counts.nulls += 1
            else:
                counts.counts[text] += 1
    return by_name, total
