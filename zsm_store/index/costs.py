"""What an overlap of fields costs, and how much of it a bound asks for.

A *cost* is the structure part of a distance, ``(1 - overlap / union) * 0.7`` in
float32. The statistics part is never negative, in float32 as on paper: similarities are
at most 1, and rounding keeps the order of two numbers. So a cost is a lower bound of
the distance as it stands, without a tolerance.
"""

from __future__ import annotations

from functools import lru_cache, partial
from math import ceil
from typing import TYPE_CHECKING

from zsm_store.model.float32 import float32, float32_from_bits, float32_to_bits

if TYPE_CHECKING:
    from collections.abc import Callable

STRUCTURE_WEIGHT = float32(0.7)
STATISTICS_WEIGHT = float32(0.3)

DISJOINT = STRUCTURE_WEIGHT
"""Cost of no field in common; the distance, if one side has no statistics."""

FARTHEST = float32(STRUCTURE_WEIGHT + STATISTICS_WEIGHT)
"""The largest distance: of two sampled schemas without a name in common."""

_TABULATED = 256
"""Unions up to this size are computed once: 33,000 numbers if all of them occur."""

ALL = 1 - 2e-7
"""What a jaccard of 1 counts as where a bound is turned into the jaccard that it asks
for. A cost is rounded three times, each time by at most 3e-8, so it is never below
``(ALL - jaccard) * DISJOINT``: the overlaps and sizes that follow are those that the
costs would give, or leave a little more to be looked at."""


def structure_cost(union: int, overlap: int) -> float:
    """Return the cost of `overlap` fields in common out of `union`."""
    jaccard = float32(overlap / union) if union else 1.0
    return float32(float32(1 - jaccard) * STRUCTURE_WEIGHT)


class _Computed:
    """A row of the table that is too long to be kept."""

    __slots__ = ("_cost",)

    def __init__(self, union: int) -> None:
        self._cost: Callable[[int], float] = partial(structure_cost, union)

    def __getitem__(self, overlap: int) -> float:
        return self._cost(overlap)


class _CostTable(dict[int, "tuple[float, ...] | _Computed"]):
    """Costs by union, then by overlap."""

    def __missing__(self, union: int) -> tuple[float, ...] | _Computed:
        if union > _TABULATED:
            return _Computed(union)
        row = tuple(structure_cost(union, overlap) for overlap in range(union + 1))
        self[union] = row
        return row


COSTS = _CostTable()
"""``COSTS[union][overlap]`` is `structure_cost`; falls as the overlap grows."""


def overlap_needed(count: int, bound: float) -> int:
    """Return the least overlap a row needs to be within `bound` of a query.

    The best row with that overlap has no other field, so the union is the query:
    `count` fields.
    """
    return max(ceil(count * (ALL - bound / DISJOINT)), 0)


def size_limit(count: int, overlap: int, bound: float) -> int | None:
    """Return the most fields a row may have to be within `bound` of a query.

    Parameters
    ----------
    count
        Fields of the query.
    overlap
        The most fields it can share with any row.

    Returns
    -------
    int or None
        None for no limit.
    """
    least = ALL - bound / DISJOINT
    return int(overlap / least) - count + overlap if least > 0 else None


@lru_cache(maxsize=16)
def round_down(bound: float) -> float:
    """Return the largest float32 that is not above `bound`.

    Distances are float32 values: it admits the same ones, and compares the same way in
    arrays of float32.
    """
    rounded = float32(bound)
    if rounded > bound:  # above 0 then, since 0 itself is a float32
        rounded = float32_from_bits(float32_to_bits(rounded) - 1)
    return rounded
