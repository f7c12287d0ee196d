"""Exact distances of single rows, on behalf of one query."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zsm_store.index.costs import COSTS
from zsm_store.index.delta import NO_ROW
from zsm_store.index.imported import has_numpy
from zsm_store.index.statistics import estimate, margin, similarity, total_distance

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zsm_store.index.best import Best
    from zsm_store.index.row import Query
    from zsm_store.index.state import State

_MANY = 12
"""More rows than this are worth what numpy costs per call."""

_IMPORT_MANY = 10_000
"""More rows than this are worth what it takes to import it."""


class Evaluation:
    """Offers rows to `best`: at once if their cost is their distance, else queued.

    Parameters
    ----------
    skip
        A row that is not to be offered.
    """

    __slots__ = ("_queue", "best", "query", "skip", "state")

    def __init__(
        self, state: State, query: Query, best: Best, skip: int = NO_ROW
    ) -> None:
        self.state = state
        self.query = query
        self.best = best
        self.skip = skip
        self._queue: list[tuple[float, int]] = []

    def add(self, row: int) -> None:
        """Take a row into account, whatever it shares with the query."""
        query, keys = self.query, self.state.keys_of(row)
        overlap = len(query.keys.intersection(keys))
        cost = COSTS[query.count + len(keys) - overlap][overlap]
        if cost <= self.best.bound:
            self.add_cost(cost, row)

    def may_offer(self, row: int) -> bool:
        """Whether a row is alive and wanted."""
        return row != self.skip and self.state.is_live(row)

    def add_cost(self, cost: float, row: int) -> None:
        """Take a row into account whose cost is known."""
        if cost > self.best.bound or row == self.skip:
            return
        state = self.state
        if row in state.deaths and not state.is_live(row):
            return
        if self.query.sampled and state.is_sampled(row):
            self._queue.append((cost, row))
        else:
            self.best.offer(cost, state.digest_of(row))

    def settle(self) -> None:
        """Compute the statistics part of the queued rows that may need it."""
        queue = self._queue
        if not queue:
            return
        self._queue = []
        if len(queue) == 1:
            self._compute(*queue[0])
            return
        queue.sort()
        if len(queue) > _MANY:
            queue = self._settle_base(queue)
        # By the estimate: the first exact distance then refuses nearly all others.
        statistics = self.query.statistics
        off_by = margin(len(statistics))
        bound = self.best.bound
        estimated = []
        for cost, row in queue:
            if cost > bound:
                break
            near = cost + 0.3 * (1 - estimate(statistics, *self._columns(row)))
            estimated.append((near - off_by, cost, row))
        estimated.sort()
        for at_least, cost, row in estimated:
            if at_least > self.best.bound:
                break
            self._compute(cost, row)

    def _compute(self, cost: float, row: int) -> None:
        stats = similarity(self.query.statistics, *self._columns(row))
        self.best.offer(total_distance(cost, stats), self.state.digest_of(row))

    def _columns(
        self, row: int
    ) -> tuple[Sequence[int], Sequence[float], Sequence[float]]:
        base = self.state.base
        if row < base.count:
            return base.keys_of(row), *base.statistics_of(row)
        _, keys, _, null_rates, cardinalities = self.state.delta.rows[row - base.count]
        return keys, null_rates, cardinalities

    def _settle_base(self, queue: list[tuple[float, int]]) -> list[tuple[float, int]]:
        """Settle the rows of the base in `queue`, which is sorted; return the rest."""
        count = self.state.base.count
        in_base = [entry for entry in queue if entry[1] < count]
        if len(in_base) <= (_MANY if has_numpy() else _IMPORT_MANY):
            return queue
        import numpy as np  # noqa: PLC0415  # small registries need none

        from zsm_store.index.wide_evaluation import settle_all  # noqa: PLC0415

        costs, rows = zip(*in_base, strict=True)
        settle_all(self, np.array(rows, np.int32), np.array(costs, np.float32))
        return [entry for entry in queue if entry[1] >= count]
