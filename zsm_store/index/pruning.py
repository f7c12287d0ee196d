"""Which posting lists, and which of their rows, a bound leaves to be looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zsm_store.index.costs import COSTS, overlap_needed, size_limit

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from zsm_store.index.evaluation import Evaluation


def lists_to_read(evaluation: Evaluation, lists: int) -> int:
    """Return how many of the posting lists have to be read.

    A row that is in none of those shares at most the fields of the others, and then
    costs more than the bound. Equal is not more: its digest may be smaller.
    """
    needed = overlap_needed(evaluation.query.count, evaluation.best.bound)
    return max(min(lists - needed + 1, lists), 0)


def rows_in_reach(evaluation: Evaluation, lists: int) -> tuple[int, int]:
    """Return the rows of the base whose size allows them to be near enough.

    Returns
    -------
    tuple
        The first one, and the first one after them.
    """
    count, bound = evaluation.query.count, evaluation.best.bound
    # A row has no fewer fields than it shares.
    fewest = overlap_needed(count, bound)
    most = size_limit(count, lists, bound)
    return evaluation.state.base.rows_of_size(fewest, most)


def add_seen(
    evaluation: Evaluation,
    seen: Iterable[tuple[int, int]],
    unread: int,
    added: Container[int] = (),
) -> None:
    """Take rows into account that may be near enough.

    Parameters
    ----------
    seen
        Rows, and in how many of the lists that were read they stand, by falling
        number.
    unread
        Number of lists that were not read.
    added
        Rows that have been taken into account before.
    """
    best, count = evaluation.best, evaluation.query.count
    base_count = evaluation.state.base.count
    offsets = evaluation.state.base.offsets
    delta_rows = evaluation.state.delta.rows
    last = -1
    for row, overlap in seen:
        if overlap != last:
            # The bound may have become tighter since there were more.
            if overlap + unread < overlap_needed(count, best.bound):
                break
            last = overlap
        if row < base_count:
            size = offsets[row + 1] - offsets[row]
        else:
            size = len(delta_rows[row - base_count].keys)
        at_most = overlap + unread
        if at_most > size:  # noqa: PLR1730  # a call costs more than the rest
            at_most = size
        cost = COSTS[count + size - at_most][at_most]
        if cost > best.bound or row in added:
            continue
        if unread:
            evaluation.add(row)
        else:
            evaluation.add_cost(cost, row)
