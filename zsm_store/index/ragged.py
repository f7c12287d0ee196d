"""Rows of different length, one after the other in one array."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]


def ranges(starts: Ints, lengths: Ints) -> Ints:
    """Return ``starts[i], starts[i] + 1, ...``, `lengths[i]` of them, for every i."""
    ends = np.cumsum(lengths)
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(
        starts - ends + lengths, lengths
    )


def counted(values: Ints) -> tuple[Ints, Ints]:
    """Return the different values, rising, and how often each occurs."""
    values = np.sort(values)
    is_first = np.empty(len(values), np.bool_)
    is_first[:1] = True
    np.not_equal(values[1:], values[:-1], out=is_first[1:])
    starts = np.flatnonzero(is_first)
    return values[starts], np.diff(starts, append=len(values))
