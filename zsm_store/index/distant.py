"""Rows that share no field with the query, for searches that reach that far."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from zsm_store.index.costs import COSTS, DISJOINT, FARTHEST
from zsm_store.index.row import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zsm_store.index.evaluation import Evaluation
    from zsm_store.index.state import State

_SPARSE = 64
"""With fewer than one row in so many without statistics, they are picked out first."""


def search_empty(evaluation: Evaluation) -> None:
    """Take the rows without fields into account: equal to a query without fields."""
    state = evaluation.state
    for row in range(state.base.size_starts[1]):
        evaluation.add_cost(COSTS[0][0], row)
    for row in range(state.base.count, state.visible):
        if not state.keys_of(row):
            evaluation.add_cost(COSTS[0][0], row)


def search_distant(evaluation: Evaluation) -> None:
    """Take the rows into account that share no field.

    They cost `DISJOINT`, and that is the distance of those without statistics. Sampled
    ones may share a name, of another kind, and be anywhere from there to `FARTHEST`. Of
    those equally far the smallest digests win, so rows are walked in their order until
    one is refused.
    """
    state, query, best = evaluation.state, evaluation.query, evaluation.best
    is_sparse = query.sampled and state.unsampled * _SPARSE < state.base.count
    if is_sparse:
        _search_unsampled(evaluation, _unsampled_by_digest(state))
    else:
        _search_unsampled(evaluation, _by_digest(state))
    # What has been walked over is known. Beyond, what is sampled and no nearer than
    # `DISJOINT` loses to the row that was refused.
    if query.sampled and (is_sparse or best.bound > DISJOINT):
        _search_names(evaluation)
        if best.bound >= FARTHEST:
            _search_strangers(evaluation)


def _search_unsampled(evaluation: Evaluation, rows: Iterator[int]) -> None:
    """Take pairs into account of which one side has no statistics.

    Of the sampled pairs on the way, those that share a name, which may be as near.
    """
    state, query = evaluation.state, evaluation.query
    names = {key // KINDS for key in query.keys}
    for row in rows:
        if not _is_candidate(evaluation, row):
            continue
        if query.sampled and state.is_sampled(row):
            if not names.isdisjoint([key // KINDS for key in state.keys_of(row)]):
                evaluation.add_cost(DISJOINT, row)
        elif not evaluation.best.offer(DISJOINT, state.digest_of(row)):
            break
    evaluation.settle()


def _search_names(evaluation: Evaluation) -> None:
    """Take the sampled rows into account that share a name of another kind."""
    for row in _rows_with_names(evaluation):
        if evaluation.state.is_sampled(row) and _is_candidate(evaluation, row):
            evaluation.add_cost(DISJOINT, row)
    evaluation.settle()


def _search_strangers(evaluation: Evaluation) -> None:
    """Take the sampled rows into account that share no name."""
    state = evaluation.state
    names = {key // KINDS for key in evaluation.query.keys}
    for row in _by_digest(state):
        if not state.is_sampled(row) or not _is_candidate(evaluation, row):
            continue
        is_stranger = names.isdisjoint([key // KINDS for key in state.keys_of(row)])
        if is_stranger and not evaluation.best.offer(FARTHEST, state.digest_of(row)):
            break


def _is_candidate(evaluation: Evaluation, row: int) -> bool:
    """Whether a row may be offered and has not been because of a common field."""
    state, query = evaluation.state, evaluation.query
    if row == evaluation.skip or not state.is_live(row):
        return False
    keys = state.keys_of(row)
    if not keys and not query.count:
        return False
    return query.keys.isdisjoint(keys)


def _by_digest(state: State) -> Iterator[int]:
    """Return all rows by rising digest, dead ones included."""
    in_delta = sorted(range(state.base.count, state.visible), key=state.digest_of)
    return heapq.merge(state.base.by_digest, in_delta, key=state.digest_of)


def _unsampled_by_digest(state: State) -> Iterator[int]:
    """Return the same, without the sampled rows of the base."""
    in_delta = sorted(range(state.base.count, state.visible), key=state.digest_of)
    in_base = sorted(state.base.unsampled(), key=state.base.ranks.__getitem__)
    return heapq.merge(in_base, in_delta, key=state.digest_of)


def _rows_with_names(evaluation: Evaluation) -> Iterator[int]:
    """Return the rows that hold a name of the query, of whatever kind, once each."""
    state = evaluation.state
    rows: set[int] = set()
    for name in {key // KINDS for key in evaluation.query.keys}:
        first = name * KINDS
        start = state.base.posting_range(first)[0]
        end = state.base.posting_range(first + KINDS - 1)[1]
        rows.update(state.base.postings[start:end])
        for key in range(first, first + KINDS):
            rows.update(state.delta.rows_with(key, state.visible))
    return iter(rows)
