"""Many bounded searches at once: each step for all queries, on arrays."""

from __future__ import annotations

from itertools import chain, groupby
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from zsm_store.index.best import neighbor
from zsm_store.index.costs import ALL, DISJOINT, round_down
from zsm_store.index.delta import NO_ROW
from zsm_store.index.ragged import counted, ranges
from zsm_store.index.row import CODES, KINDS
from zsm_store.index.search import prepare, search
from zsm_store.index.wide import search_delta
from zsm_store.index.wide_base import structure_costs

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from zsm_store.index.state import State
    from zsm_store.model.distance import Neighbor
    from zsm_store.model.fingerprint import FieldStats, SchemaFingerprint

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float32]

_LOOSE = 0.4
"""Above this bound too many rows are near enough: one by one, the first ones that are
found tighten it."""

_CHUNK = 1_000
"""Queries whose rows are in memory at once."""

_UNKNOWN = -1
"""In place of the number of a name that no row has."""

LONG_WORK = 2_000
"""Rows to read from which on a query is better off alone, for the same reason."""


def search_many(
    state: State,
    fingerprints: Sequence[SchemaFingerprint],
    k: int,
    max_distance: float | None,
) -> list[list[Neighbor]]:
    """Return what `search` returns, for each of `fingerprints`."""
    if k < 1 or max_distance is None or not 0 <= max_distance <= _LOOSE:
        return [search(state, one, k, max_distance) for one in fingerprints]
    answers: list[list[Neighbor]] = []
    asked: list[_Asked] = []
    for place, one in enumerate(fingerprints):
        exact = state.find(bytes.fromhex(one.schema_hash))
        found = [] if exact == NO_ROW else [neighbor(0.0, one.schema_hash)]
        answers.append(found)
        if len(found) < k:
            asked.append(_Asked(place, one, k - len(found), exact))
    for start in range(0, len(asked), _CHUNK):
        _search_chunk(state, asked[start : start + _CHUNK], max_distance, answers)
    return answers


class _Asked(NamedTuple):
    """A query that is not answered completely."""

    place: int
    """Of its answer."""
    fingerprint: SchemaFingerprint
    k: int
    """Neighbors that are still wanted."""
    exact: int
    """The row that was found."""


def _search_chunk(
    state: State,
    asked: Sequence[_Asked],
    max_distance: float,
    answers: list[list[Neighbor]],
) -> None:
    """Complete the answers to some queries."""
    lists = _PostingLists(state, asked, round_down(max_distance))
    near = {
        number: list(group)
        for number, group in groupby(lists.near_rows(), key=itemgetter(0))
    }
    in_delta = bool(state.delta.rows)
    for number in range(len(asked)) if in_delta else near:
        place, fingerprint, k, exact = asked[number]
        evaluation = prepare(state, fingerprint, k, max_distance, skip=exact)
        for found, (_, cost, row) in enumerate(near.get(number, ())):
            if cost > evaluation.best.bound:
                break
            evaluation.add_cost(cost, row)
            if found < k:  # the first ones tighten the bound
                evaluation.settle()
        evaluation.settle()
        if in_delta:
            search_delta(evaluation, list(evaluation.query.keys))
            evaluation.settle()
        answers[place] += evaluation.best.neighbors()
    for number in np.flatnonzero(lists.alone).tolist():
        place, fingerprint, k, exact = asked[number]
        every = search(state, fingerprint, k + (exact != NO_ROW), max_distance)
        answers[place] = every


class _PostingLists:
    """Those of all queries: one after the other, of each query the shortest first."""

    def __init__(self, state: State, asked: Sequence[_Asked], bound: float) -> None:
        self._base = base = state.base
        self._bound = np.float32(bound)
        each = [one.fingerprint.field_stats for one in asked]
        fields = list(chain.from_iterable(each))
        find = state.vocabulary.find
        numbers = [find(one.name, _UNKNOWN) for one in fields]
        kinds = [CODES[id(one.kind)] for one in fields]
        keys = np.array(numbers, np.int64) * KINDS + np.array(kinds, np.int64)
        self._counts = np.array([len(one) for one in each])
        owners = np.repeat(np.arange(len(asked)), self._counts)
        offsets = np.asarray(base.posting_offsets)
        self._key_count = len(offsets) - 1
        in_base = (keys >= 0) & (keys < self._key_count)
        keys, owners = keys[in_base], owners[in_base]
        starts = offsets[keys].astype(np.int64)
        lengths = offsets[keys + 1] - starts
        order = np.lexsort((lengths, owners))
        order = order[lengths[order] > 0]
        self._keys, self._owners = keys[order], owners[order]
        starts, lengths = starts[order], lengths[order]
        # How many are to be read, as in `lists_to_read`.
        number = np.bincount(self._owners, minlength=len(asked))
        needed = np.ceil(self._counts * (ALL - bound / DISJOINT)).astype(np.int64)
        to_read = np.clip(number - needed + 1, 0, number)
        places = np.arange(len(order)) - (np.cumsum(number) - number)[self._owners]
        is_read = places < to_read[self._owners]
        work = np.bincount(
            self._owners[is_read], lengths[is_read], minlength=len(asked)
        )
        self.alone = (work > LONG_WORK) | np.array([_is_odd(one) for one in each])
        """(query,) Whether a query is better searched alone."""
        is_read &= ~self.alone[self._owners]
        self._read = starts[is_read], lengths[is_read], self._owners[is_read]
        self._unread = number - to_read

    def near_rows(self) -> Iterable[tuple[int, float, int]]:
        """Return all rows within the bound: query, cost, row; by query, then cost."""
        asking, rows, at_most = self._seen()
        near = self._costs(asking, rows, at_most) <= self._bound
        asking, rows = asking[near], rows[near]
        costs = self._costs(asking, rows, self._overlaps(asking, rows))
        order = np.lexsort((costs, asking))
        order = order[costs[order] <= self._bound]
        return zip(
            asking[order].tolist(),
            costs[order].tolist(),
            rows[order].tolist(),
            strict=True,
        )

    def _seen(self) -> tuple[Ints, Ints, Ints]:
        """Read as many lists of each query as the bound asks for.

        Returns
        -------
        tuple
            A query, a row that it came upon, and how many fields it may share at most.
        """
        starts, lengths, owners = self._read
        rows = np.asarray(self._base.postings)[ranges(starts, lengths)]
        pairs = np.repeat(owners, lengths) * self._base.count + rows
        pairs, seen = counted(pairs)
        asking, rows = np.divmod(pairs, max(self._base.count, 1))
        return asking, rows, seen + self._unread[asking]

    def _costs(self, asking: Ints, rows: Ints, overlaps: Ints) -> Floats:
        """Return what rows cost that share so many fields with a query."""
        return structure_costs(self._base, rows, self._counts[asking], overlaps)

    def _overlaps(self, asking: Ints, rows: Ints) -> Ints:
        """Return how many fields each row shares with the query that asks for it."""
        offsets = np.asarray(self._base.offsets)
        starts = offsets[rows].astype(np.int64)
        sizes = offsets[rows + 1] - starts
        pair = np.repeat(np.arange(len(rows)), sizes)
        fields = np.asarray(self._base.keys)[ranges(starts, sizes)]
        # A key of one query is another number than the same key of another query.
        known = np.sort(self._owners * self._key_count + self._keys)
        wanted = asking[pair] * self._key_count + fields
        places = np.searchsorted(known, wanted)
        places[places == len(known)] = 0
        shared = known[places] == wanted
        return np.bincount(pair[shared], minlength=len(rows))


def _is_odd(fields: Sequence[FieldStats]) -> bool:
    """Whether there is nothing to count, or a name twice."""
    return not fields or len({one.name for one in fields}) < len(fields)
