"""Builds a base: of rows, or of a moment of the index and what is put to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from zsm_store.index.base import DIGEST_SIZE, Base
from zsm_store.index.gathered import Gathered
from zsm_store.index.ragged import ranges
from zsm_store.index.row import KINDS, Vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from zsm_store.index.base import FloatColumn
    from zsm_store.index.state import State

    Ints = NDArray[np.int64]
    Keys = NDArray[np.int32]
    Floats = NDArray[np.float32]

_MOST_DIGEST_BITS = 32
_WORDS = DIGEST_SIZE // 8
"""64-bit words per digest."""


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


def base_of(rows: Gathered) -> Base:
    """Build a base of rows; of those with the same digest the last one counts."""
    columns, by_digest = _in_order(_columns(rows))
    return _base(columns, by_digest, len(rows.vocabulary))


def merged(
    state: State, puts: Gathered, removals: Iterable[bytes]
) -> tuple[Base, Vocabulary]:
    """Build a base of the live rows and of others put in place of them.

    Changes meanwhile do not matter: `state` is one moment.

    Parameters
    ----------
    puts
        Win over what is removed.
    removals
        Digests of rows to leave out.

    Returns
    -------
    tuple
        The base, and a vocabulary without many unused names. It may be the state's, but
        then nothing was added to that.
    """
    if not state.live:
        return base_of(puts), puts.vocabulary
    gone = {state.find(digest) for digest in removals}
    columns, vocabulary = _live(state, gone), state.vocabulary
    if len(puts):
        vocabulary = Vocabulary(vocabulary.names())
        numbers = np.array(puts.numbers(vocabulary), np.int32)
        columns = _joined(columns, _renumbered(_columns(puts), numbers))
    columns, by_digest = _in_order(columns)
    columns, vocabulary = _without_unused_names(columns, vocabulary)
    return _base(columns, by_digest, len(vocabulary)), vocabulary


def _live(state: State, gone: set[int]) -> _Columns:
    """Return the rows that are alive and not in `gone`."""
    in_base = np.ones(state.base.count, np.bool_)
    for row in [*list(state.deaths), *gone]:
        if 0 <= row < state.base.count:
            in_base[row] = row not in gone and state.is_live(row)
    # With the numbers of the state's own vocabulary.
    in_delta = Gathered()
    for row in range(state.base.count, state.visible):
        if row not in gone and state.is_live(row):
            in_delta.append(state.delta.rows[row - state.base.count])
    kept = _rows_of(state.base, np.flatnonzero(in_base))
    return _joined(kept, _columns(in_delta))


def _joined(first: _Columns, second: _Columns) -> _Columns:
    both: Iterable[Any] = zip(first, second, strict=True)
    return _Columns(*(np.concatenate(columns) for columns in both))


def _columns(rows: Gathered) -> _Columns:
    return _Columns(
        digests=np.frombuffer(bytes(rows.digests), f"V{DIGEST_SIZE}"),
        sizes=np.array(rows.sizes, np.int64),
        keys=np.array(rows.keys, np.int32),
        sampled=np.array(rows.sampled, np.bool_),
        null_rates=np.array(rows.null_rates, np.float32),
        cardinalities=np.array(rows.cardinalities, np.float32),
    )


def _rows_of(base: Base, rows: Ints) -> _Columns:
    """Take `rows` out of a base, in that order."""
    offsets = np.asarray(base.offsets).astype(np.int64)
    stat_offsets = np.asarray(base.stat_offsets).astype(np.int64)
    ranks = np.asarray(base.ranks)[rows]
    sizes = np.diff(offsets)[rows]
    sampled = np.asarray(base.sampled)[rows] != 0
    fields = ranges(offsets[rows], sizes)
    stats = ranges(stat_offsets[rows], np.where(sampled, sizes, 0))
    return _Columns(
        digests=np.frombuffer(base.digests, f"V{DIGEST_SIZE}")[ranks],
        sizes=sizes,
        keys=np.asarray(base.keys)[fields],
        sampled=sampled,
        null_rates=np.asarray(base.null_rates)[stats],
        cardinalities=np.asarray(base.cardinalities)[stats],
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
    kept = [names[number] for number in np.flatnonzero(used).tolist()]
    return _renumbered(columns, numbers), Vocabulary(kept)


def _renumbered(columns: _Columns, numbers: Keys) -> _Columns:
    """Give the names other numbers, by the ones that they have."""
    keys = numbers[columns.keys // KINDS] * np.int32(KINDS) + columns.keys % KINDS
    return columns._replace(keys=keys)


def _in_order(columns: _Columns) -> tuple[_Columns, Keys]:
    """Sort rows by size, then by digest; of the same digest only the last one stays.

    Returns
    -------
    tuple
        The rows, and their numbers by rising digest.
    """
    # Integers sort by value, so most significant byte first.
    words = columns.digests.view(">u8").astype(np.uint64).reshape(-1, _WORDS)
    by_digest = np.argsort(words[:, 0], kind="stable")
    first = words[by_digest, 0]
    if (first[1:] == first[:-1]).any():  # seldom: only then all bits are looked at
        by_digest = np.lexsort(tuple(words.T[::-1]))
        differ = (words[by_digest[1:]] != words[by_digest[:-1]]).any(axis=1)
        by_digest = by_digest[np.append(differ, np.True_)]
    order = by_digest[np.argsort(columns.sizes[by_digest], kind="stable")]
    places = np.empty(len(columns.sizes), np.int32)
    places[order] = np.arange(len(order), dtype=np.int32)
    return _sorted(columns, order), places[by_digest]


def _base(columns: _Columns, by_digest: Keys, names: int) -> Base:
    count = len(columns.sizes)
    ranks = np.empty(count, np.int32)
    ranks[by_digest] = np.arange(count, dtype=np.int32)
    bits = min(max(count - 1, 0).bit_length(), _MOST_DIGEST_BITS)
    starts = columns.digests.view(">u4")[:: DIGEST_SIZE // 4].astype(np.int64)
    buckets = starts >> (_MOST_DIGEST_BITS - bits)
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
        digests=columns.digests[by_digest].tobytes(),
        by_digest=by_digest.data,
        ranks=ranks.data,
        digest_starts=_offsets(np.bincount(buckets, minlength=1 << bits)),
        digest_shift=_MOST_DIGEST_BITS - bits,
    )


def _sorted(columns: _Columns, order: Ints) -> _Columns:
    starts = np.cumsum(columns.sizes) - columns.sizes
    stat_sizes = np.where(columns.sampled, columns.sizes, 0)
    stat_starts = np.cumsum(stat_sizes) - stat_sizes
    sizes = columns.sizes[order]
    stats = ranges(stat_starts[order], stat_sizes[order])
    return _Columns(
        digests=columns.digests[order],
        sizes=sizes,
        keys=columns.keys[ranges(starts[order], sizes)],
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
