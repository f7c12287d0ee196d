"""Which posting lists, and which of their rows, a bound leaves to be looked at."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING

from zsm_store.index.costs import COSTS, overlap_needed, size_limit

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from zsm_store.index.evaluation import Evaluation

_number = itemgetter(1)


def lists_to_read(evaluation: Evaluation, lists: int) -> int:
    """Return how many of the posting lists have to be read.

    A row that is in none of those shares at most the fields of the others, and then
    costs more than the bound. Equal is not more: its digest may be smaller.
    """
    needed = overlap_needed(evaluation.query.count, evaluation.best.bound)
    return max(min(lists - needed + 1, lists), 0)


def rows_in_reach(evaluation: Evaluation, overlap: int) -> tuple[int, int]:
    """Return the rows of the base whose size allows them to be near enough.

    Parameters
    ----------
    overlap
        The most fields that a row may share with the query.

    Returns
    -------
    tuple
        The first one, and the first one after them.
    """
    count, bound = evaluation.query.count, evaluation.best.bound
    # A row has no fewer fields than it shares.
    fewest = overlap_needed(count, bound)
    most = size_limit(count, overlap, bound)
    return evaluation.state.base.rows_of_size(fewest, most)


def add_seen(
    evaluation: Evaluation,
    counts: Mapping[int, int],
    unread: int,
    added: Container[int] = (),
) -> None:
    """Take rows into account that may be near enough.

    Parameters
    ----------
    counts
        Rows, and in how many of the lists that were read they stand.
    unread
        Number of lists that were not read.
    added
        Rows that have been taken into account before.
    """
    state, best, count = evaluation.state, evaluation.best, evaluation.query.count
    base_count = state.base.count
    least = overlap_needed(count, best.bound) - unread
    seen = [entry for entry in counts.items() if entry[1] >= least]
    if len(seen) > 1:
        seen.sort(key=_number, reverse=True)
    bound, last = -1.0, -1
    first = after = 0
    for row, overlap in seen:
        # The bound may have become tighter since there were more.
        if overlap != last or best.bound != bound:
            bound, last = best.bound, overlap
            if overlap + unread < overlap_needed(count, bound):
                break
            first, after = rows_in_reach(evaluation, overlap + unread)
        # By its number alone: to look at each row is what would take the time.
        if (row < base_count and not first <= row < after) or row in added:
            continue
        if unread:
            evaluation.add(row)
        else:
            size = state.size_of(row)
            evaluation.add_cost(COSTS[count + size - overlap][overlap], row)
