"""The same search on arrays, for queries whose posting lists are long."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from zsm_store.index.pruning import add_seen, lists_to_read

if TYPE_CHECKING:
    from zsm_store.index.evaluation import Evaluation


def search_wide(evaluation: Evaluation, keys: list[int]) -> None:
    """Take every row into account that shares a field and may be near enough.

    Parameters
    ----------
    keys
        Keys of the query that any row holds, the rarest first.
    """
    # Here, because a registry without a base is searched without numpy.
    from zsm_store.index.wide_base import search_base  # noqa: PLC0415

    search_base(evaluation, keys)
    evaluation.settle()
    # The delta is small, and the bound is by now nearly what it will be.
    search_delta(evaluation, keys)


def search_delta(evaluation: Evaluation, keys: list[int]) -> None:
    """Take every row of the delta into account that may be near enough.

    Parameters
    ----------
    keys
        Keys of the query that any row holds, the rarest first or last.
    """
    state = evaluation.state
    to_read = lists_to_read(evaluation, len(keys))
    rows: list[int] = []
    for key in keys[:to_read]:
        rows += state.delta.rows_with(key, state.visible)
    add_seen(evaluation, Counter(rows), len(keys) - to_read)
