"""Builds a base: from fingerprints, or from a base and what has changed since."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from zsm_store.index.base import DIGEST_SIZE, Base
from zsm_store.index.row import KINDS, Vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from zsm_store.index.base import FloatColumn
    from zsm_store.index.row import Row
    from zsm_store.index.state import State

    Ints = NDArray[np.int64]
    Keys = NDArray[np.int32]
    Floats = NDArray[np.float32]

_MOST_DIGEST_BITS = 32


class _Columns(NamedTuple):
    """Rows in any order, flat."""

    digests: NDArray[np.bytes_]
    """(row,) of 32 bytes."""
    sizes: Ints
    """(row,)"""
    keys: Keys
    """(field,)"""
    sampled: NDArray[np.bool_]
    """(row,)"""
    null_rates: Floats
    """(field of a sampled row,)"""
    cardinalities: Floats
    """(field of a sampled row,)"""


def base_of(rows: Sequence[Row], vocabulary: Vocabulary) -> Base:
    """Build a base of rows with different digests."""
    return _base(_columns(rows), len(vocabulary))


def compacted(state: State) -> tuple[Base, Vocabulary]:
    """Build a base of the live rows, and a vocabulary without many unused names.

    Changes meanwhile do not matter: `state` is one moment.
    """
    in_base = np.ones(state.base.count, np.bool_)
    for row in list(state.deaths):
        if row < state.base.count:
            in_base[row] = state.is_live(row)
    first = state.base.count
    in_delta = [
        state.delta.rows[row - first]
        for row in range(first, state.visible)
        if state.is_live(row)
    ]
    kept: Iterable[Any] = _rows_of(state.base, np.flatnonzero(in_base))
    added: Iterable[Any] = _columns(in_delta)
    columns = _Columns(
        *(np.concatenate(both) for both in zip(kept, added, strict=True))
    )
    columns, vocabulary = _without_unused_names(columns, state.vocabulary)
    return _base(columns, len(vocabulary)), vocabulary


def _columns(rows: Sequence[Row]) -> _Columns:
    return _Columns(
        digests=np.array([row.digest for row in rows], f"V{DIGEST_SIZE}"),
        sizes=np.array([len(row.keys) for row in rows], np.int64),
        keys=np.array([key for row in rows for key in row.keys], np.int32),
        sampled=np.array([row.sampled for row in rows], np.bool_),
        null_rates=np.array(
            [rate for row in rows for rate in row.null_rates], np.float32
        ),
        cardinalities=np.array(
            [number for row in rows for number in row.cardinalities], np.float32
        ),
    )


def _rows_of(base: Base, rows: Ints) -> _Columns:
    """Take `rows` out of a base, in that order."""
    offsets = np.asarray(base.offsets).astype(np.int64)
    stat_offsets = np.asarray(base.stat_offsets).astype(np.int64)
    sizes = np.diff(offsets)[rows]
    sampled = np.asarray(base.sampled)[rows] != 0
    fields = _ranges(offsets[rows], sizes)
    stats = _ranges(stat_offsets[rows], np.where(sampled, sizes, 0))
    return _Columns(
        digests=np.frombuffer(base.digests, f"V{DIGEST_SIZE}")[rows],
        sizes=sizes,
        keys=np.asarray(base.keys)[fields],
        sampled=sampled,
        null_rates=np.asarray(base.null_rates)[stats],
        cardinalities=np.asarray(base.cardinalities)[stats],
    )


def _ranges(starts: Ints, lengths: Ints) -> Ints:
    """Return ``starts[i], starts[i] + 1, ...``, `lengths[i]` of them, for every i."""
    ends = np.cumsum(lengths)
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(
        starts - ends + lengths, lengths
    )


def _without_unused_names(
    columns: _Columns, vocabulary: Vocabulary
) -> tuple[_Columns, Vocabulary]:
    """Renumber the names if every second one is used by no row any more."""
    names = vocabulary.names()
    used = np.zeros(len(names), np.bool_)
    used[columns.keys // KINDS] = True
    if np.count_nonzero(used) * 2 > len(names):
        return columns, vocabulary
    numbers = np.cumsum(used, dtype=np.int32) - 1
    keys = numbers[columns.keys // KINDS] * KINDS + columns.keys % KINDS
    kept = [names[number] for number in np.flatnonzero(used).tolist()]
    return columns._replace(keys=keys.astype(np.int32)), Vocabulary(kept)


def _base(columns: _Columns, names: int) -> Base:
    count = len(columns.sizes)
    # Integers sort by value, so most significant byte first.
    words = columns.digests.view(">u8").reshape(count, DIGEST_SIZE // 8)
    order = np.lexsort((*words.T[::-1], columns.sizes))
    columns = _sorted(columns, order)
    words = words[order]
    by_digest = np.lexsort(tuple(words.T[::-1])).astype(np.int32)
    ranks = np.empty(count, np.int32)
    ranks[by_digest] = np.arange(count, dtype=np.int32)
    bits = min(max(count - 1, 0).bit_length(), _MOST_DIGEST_BITS)
    buckets = words[by_digest, 0].astype(np.uint64) >> np.uint64(63 - bits)
    # numpy cannot shift 64 bits by 64, which is what no bits would ask for.
    buckets >>= np.uint64(1)
    field_rows = np.repeat(np.arange(count, dtype=np.int32), columns.sizes)
    sizes = range(int(columns.sizes[-1]) + 2 if count else 2)
    return Base(
        count=count,
        offsets=_offsets(columns.sizes),
        keys=columns.keys.data,
        stat_offsets=_offsets(np.where(columns.sampled, columns.sizes, 0)),
        null_rates=_floats(columns.null_rates),
        cardinalities=_floats(columns.cardinalities),
        sampled=columns.sampled.astype(np.uint8).data,
        posting_offsets=_offsets(np.bincount(columns.keys, minlength=names * KINDS)),
        postings=field_rows[_by_key(columns.keys)].data,
        size_starts=np.searchsorted(columns.sizes, np.array(sizes))
        .astype(np.int32)
        .data,
        digests=columns.digests.tobytes(),
        by_digest=by_digest.data,
        ranks=ranks.data,
        digest_starts=_offsets(
            np.bincount(buckets.astype(np.int64), minlength=1 << bits)
        ),
        digest_bits=bits,
    )


def _sorted(columns: _Columns, order: Ints) -> _Columns:
    starts = np.cumsum(columns.sizes) - columns.sizes
    stat_sizes = np.where(columns.sampled, columns.sizes, 0)
    stat_starts = np.cumsum(stat_sizes) - stat_sizes
    sizes = columns.sizes[order]
    stats = _ranges(stat_starts[order], stat_sizes[order])
    return _Columns(
        digests=columns.digests[order],
        sizes=sizes,
        keys=columns.keys[_ranges(starts[order], sizes)],
        sampled=columns.sampled[order],
        null_rates=columns.null_rates[stats],
        cardinalities=columns.cardinalities[stats],
    )


def _offsets(sizes: Ints) -> memoryview[int]:
    offsets = np.zeros(len(sizes) + 1, np.uint32)
    np.cumsum(sizes, out=offsets[1:])
    return offsets.data


def _floats(column: Floats) -> FloatColumn:
    # numpy's type hints know views of integers only.
    return cast("FloatColumn", column.data)


def _by_key(keys: Keys) -> Ints:
    """Return the order of the fields by key, then by row."""
    # A stable sort of 16 bits is a radix sort, ten times as fast as one of 32.
    order = np.argsort((keys & 0xFFFF).astype(np.uint16), kind="stable")
    high = (keys >> 16).astype(np.uint16)[order]
    return order[np.argsort(high, kind="stable")]
