"""The search: rarest fields first, until no unseen row can be near enough.

The rows that share a field with the query stand in the posting lists of its fields.
These are read from the shortest to the longest. A row that has not turned up in any of
those read shares at most the fields that are left; once that is too few for the bound,
the search is complete. See docs/nearest.md.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections import Counter
from typing import TYPE_CHECKING

from zsm_store.index.best import Best, neighbor
from zsm_store.index.costs import DISJOINT, FARTHEST, round_down
from zsm_store.index.delta import NO_ROW
from zsm_store.index.distant import search_distant, search_empty
from zsm_store.index.evaluation import Evaluation
from zsm_store.index.imported import has_numpy
from zsm_store.index.pruning import add_seen, lists_to_read, rows_in_reach
from zsm_store.index.row import Query
from zsm_store.index.wide import search_wide

if TYPE_CHECKING:
    from zsm_store.index.state import State
    from zsm_store.model.distance import Neighbor
    from zsm_store.model.fingerprint import SchemaFingerprint

FIRST_LISTS = 3
"""Posting lists that are read before the bound is tightened for the first time."""

SHORT_LIST = 8
"""Up to this length a posting list is read whole; finding a range costs as much."""

_FEW = 50
"""Rows up to which a `Counter` takes longer to make than to fill."""

NARROW_WORK = 1_000
"""Rows to read up to which a plain loop is faster than arrays."""

IMPORT_WORK = 200_000
"""The same where numpy would have to be imported first."""


def search(
    state: State, fingerprint: SchemaFingerprint, k: int, max_distance: float | None
) -> list[Neighbor]:
    """Return the best `k` neighbors among the rows of one moment, in order."""
    if k < 1 or (max_distance is not None and not max_distance >= 0):
        return []
    exact = state.find(bytes.fromhex(fingerprint.schema_hash))
    found = [] if exact == NO_ROW else [neighbor(0.0, fingerprint.schema_hash)]
    if len(found) == k:
        return found
    k -= len(found)
    evaluation = prepare(state, fingerprint, k, max_distance, skip=exact)
    _search_sharing(evaluation)
    evaluation.settle()
    if evaluation.best.bound >= DISJOINT:
        search_distant(evaluation)
    return [*found, *evaluation.best.neighbors()]


def prepare(
    state: State,
    fingerprint: SchemaFingerprint,
    k: int,
    max_distance: float | None,
    skip: int,
) -> Evaluation:
    """Return an evaluation to which no row has been offered, and never is `skip`."""
    query = Query(fingerprint, state.vocabulary)
    bound = FARTHEST
    if max_distance is not None and max_distance < FARTHEST:
        bound = round_down(max_distance)
    # Rows without statistics are at most this far, and so is every row from a query
    # without: no need to look farther than the k-th of them.
    enough = state.unsampled if query.sampled else state.live
    if bound > DISJOINT and enough > k:
        bound = DISJOINT
    return Evaluation(state, query, Best(k, bound), skip)


def _search_sharing(evaluation: Evaluation) -> None:
    """Take every row into account that shares a field and may be near enough."""
    if not evaluation.query.count:
        search_empty(evaluation)
        return
    lists = _posting_lists(evaluation)
    to_read = lists_to_read(evaluation, len(lists))
    # Something has to be found first: what it costs is the bound from then on.
    read, work = 0, 0
    rows: list[int] = []
    while read < to_read and not rows:
        end = min(max(read + 1, FIRST_LISTS), to_read)
        work += sum([length for length, _ in lists[read:end]])
        if _is_wide(evaluation, work):
            search_wide(evaluation, [key for _, key in lists])
            return
        rows += _rows_with(evaluation, len(lists), lists[read:end])
        read = end
    if not rows:
        return
    counts = _counted(rows)
    first: list[int] = []
    if read < to_read:
        first = _most_frequent(counts, evaluation.best.k)
        for row in first:
            evaluation.add(row)
        evaluation.settle()
        to_read = lists_to_read(evaluation, len(lists))
    if read < to_read:
        work += sum([length for length, _ in lists[read:to_read]])
        if _is_wide(evaluation, work):
            search_wide(evaluation, [key for _, key in lists])
            return
        for row in _rows_with(evaluation, len(lists), lists[read:to_read]):
            counts[row] = counts.get(row, 0) + 1
        read = to_read
    add_seen(evaluation, counts, len(lists) - read, first)


def _is_wide(evaluation: Evaluation, work: int) -> bool:
    """Whether so many rows to read are worth arrays."""
    if work <= NARROW_WORK or not evaluation.state.base.count:
        return False
    return work > IMPORT_WORK or has_numpy()


def _posting_lists(evaluation: Evaluation) -> list[tuple[int, int]]:
    """Return length and key of the query's posting lists, the shortest first."""
    offsets = evaluation.state.base.posting_offsets
    last = len(offsets) - 1
    postings = evaluation.state.delta.postings
    lists = []
    for key in evaluation.query.keys:
        length = offsets[key + 1] - offsets[key] if key < last else 0
        if postings and key in postings:
            length += len(postings[key])
        if length:
            lists.append((length, key))
    lists.sort()
    return lists


def _rows_with(
    evaluation: Evaluation, count: int, lists: list[tuple[int, int]]
) -> list[int]:
    """Return the rows in some of `count` lists, at least those that may be near."""
    state = evaluation.state
    base, delta = state.base, state.delta
    reach = None
    rows: list[int] = []
    for length, key in lists:
        start, end = base.posting_range(key)
        if length > SHORT_LIST:
            if reach is None:
                reach = rows_in_reach(evaluation, count)
            start = bisect_left(base.postings, reach[0], start, end)
            end = bisect_left(base.postings, reach[1], start, end)
        rows += base.postings[start:end].tolist()
        if delta.postings and key in delta.postings:
            rows += delta.rows_with(key, state.visible)
    return rows


def _counted(rows: list[int]) -> dict[int, int]:
    """Return how often each row occurs."""
    if len(rows) > _FEW:
        return Counter(rows)
    counts: dict[int, int] = {}
    for row in rows:
        counts[row] = counts.get(row, 0) + 1
    return counts


def _most_frequent(counts: dict[int, int], number: int) -> list[int]:
    if number == 1:
        return [max(counts, key=counts.__getitem__)]
    return heapq.nlargest(number, counts, key=counts.__getitem__)
