"""The statistics part of a distance, of one row and a query, without numpy.

`similarity` repeats the definition on numbers instead of names. `estimate` is a third
of the work and at most a `margin` off, so most rows need no more than it.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from zsm_store.index.costs import STATISTICS_WEIGHT
from zsm_store.index.row import KINDS
from zsm_store.model.float32 import float32

if TYPE_CHECKING:
    from collections.abc import Sequence

_FLOAT32 = struct.Struct("f")

ROUNDING = 1.2e-7
"""Twice the largest error of one rounding in float32 of a number up to 1."""


def total_distance(cost: float, stats_similarity: float) -> float:
    """Return the distance of a row that costs `cost`, both sides being sampled."""
    return float32(cost + float32(float32(1 - stats_similarity) * STATISTICS_WEIGHT))


def similarity(
    statistics: Sequence[tuple[int, float, float]],
    keys: Sequence[int],
    null_rates: Sequence[float],
    cardinalities: Sequence[float],
) -> float:
    """Return the similarity of the statistics of a query and a row.

    Parameters
    ----------
    statistics
        Of the query: number of the name, null rate, cardinality, in the order of
        summation.
    keys, null_rates, cardinalities
        Of the row: parallel, in any order; of a name's keys, any may stand for it.

    Returns
    -------
    float
        A float32 value, 0 to 1; 0 without a name in common.
    """
    pack, unpack = _FLOAT32.pack, _FLOAT32.unpack
    row = dict(
        zip(
            [key // KINDS for key in keys],
            zip(null_rates, cardinalities, strict=True),
            strict=True,
        )
    )
    total, names = 0.0, 0
    for number, null_rate, cardinality in statistics:
        if number not in row:
            continue
        names += 1
        in_row, most = row[number]
        drift = abs(null_rate - in_row)
        # NaN compares as false: no similarity, as in the definition.
        same = unpack(pack(1 - unpack(pack(drift))[0]))[0] if drift < 1 else 0.0
        if cardinality == most:  # both 0 included
            same = unpack(pack(same + 1))[0]
        else:
            apart = unpack(pack(abs(cardinality - most)))[0]
            most = max(cardinality, most)
            alike = unpack(pack(1 - unpack(pack(apart / most))[0]))[0]
            same = unpack(pack(same + alike))[0]
        total = unpack(pack(total + same / 2))[0]
    rounded: float = unpack(pack(total / names))[0] if names else 0.0
    return rounded


def estimate(
    statistics: Sequence[tuple[int, float, float]],
    keys: Sequence[int],
    null_rates: Sequence[float],
    cardinalities: Sequence[float],
) -> float:
    """Return about what `similarity` returns; see `margin`."""
    row = dict(
        zip(
            [key // KINDS for key in keys],
            zip(null_rates, cardinalities, strict=True),
            strict=True,
        )
    )
    total, names = 0.0, 0
    for number, null_rate, cardinality in statistics:
        if number not in row:
            continue
        names += 1
        in_row, most = row[number]
        drift = abs(null_rate - in_row)
        if drift < 1:
            total += 1 - drift
        if cardinality == most:
            total += 1
        elif cardinality < most:
            total += cardinality / most
        else:
            total += most / cardinality
    return total / (2 * names) if names else 0.0


def margin(names: int) -> float:
    """Return how far a distance by `estimate` may be from the distance.

    A field's similarity is rounded 6 times, each by at most half of `ROUNDING`; the sum
    of `names` fields once per field, each time by at most half of `ROUNDING` times what
    has been summed; what remains of that after the division is a mean of no more than
    `names` roundings. Times 0.3, plus the last three roundings.
    """
    return (names + 8) * ROUNDING
