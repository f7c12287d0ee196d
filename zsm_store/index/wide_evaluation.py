"""Exact distances of many rows of the base at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zsm_store.index.costs import STATISTICS_WEIGHT
from zsm_store.index.row import KINDS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from zsm_store.index.base import Base
    from zsm_store.index.evaluation import Evaluation
    from zsm_store.index.row import Query

    Rows = NDArray[np.int32]
    Floats = NDArray[np.float32]

_CHUNK = 64
"""Rows whose statistics are compared at once, before the bound is looked at again."""


def add_all(evaluation: Evaluation, rows: Rows, costs: Floats) -> None:
    """Take rows of the base into account whose costs are known."""
    base = evaluation.state.base
    if evaluation.query.sampled:
        sampled = np.asarray(base.sampled)[rows] != 0
        offer_all(evaluation, rows[~sampled], costs[~sampled])
        settle_all(evaluation, rows[sampled], costs[sampled])
    else:
        offer_all(evaluation, rows, costs)


def offer_all(evaluation: Evaluation, rows: Rows, distances: Floats) -> None:
    """Offer rows of the base whose distances are known."""
    best, state = evaluation.best, evaluation.state
    near = distances <= np.float32(best.bound)
    rows, distances = rows[near], distances[near]
    # One number by which rows sort as neighbors do: float32 from 0 on as their bits.
    ranks = np.asarray(state.base.ranks)[rows]
    places = distances.view(np.uint32).astype(np.uint64) << np.uint64(32)
    places |= ranks.astype(np.uint64)
    # No more than that, even if all that are dead or to be skipped come first.
    enough = best.k + len(state.deaths) + 1
    if len(places) > enough:
        first = np.argpartition(places, enough)[:enough]
        rows, distances, places = rows[first], distances[first], places[first]
    order = np.argsort(places)
    for row, distance in zip(
        rows[order].tolist(), distances[order].tolist(), strict=True
    ):
        if evaluation.may_offer(row) and not best.offer(distance, state.digest_of(row)):
            break


def settle_all(evaluation: Evaluation, rows: Rows, costs: Floats) -> None:
    """Compare the statistics of sampled rows of the base, and offer them."""
    order = np.argsort(costs, kind="stable")
    rows, costs = rows[order], costs[order]
    for start in range(0, len(rows), _CHUNK):
        if costs[start] > np.float32(evaluation.best.bound):
            break
        chunk = rows[start : start + _CHUNK]
        stats = similarities(evaluation.state.base, evaluation.query, chunk)
        drift = (np.float32(1) - stats) * np.float32(STATISTICS_WEIGHT)
        offer_all(evaluation, chunk, costs[start : start + _CHUNK] + drift)


def similarities(base: Base, query: Query, rows: Rows) -> Floats:
    """Return what `statistics.similarity` returns, for sampled rows of the base.

    Returns
    -------
    numpy.ndarray
        (row,) float32, 0 to 1.
    """
    if not query.statistics:
        return np.zeros(len(rows), np.float32)
    numbers, in_query, most = zip(*query.statistics, strict=True)
    # One entry per field of a row, flat.
    offsets = np.asarray(base.offsets)
    starts = offsets[rows].astype(np.int64)
    sizes = offsets[rows + 1] - starts
    ends = np.cumsum(sizes)
    within = np.arange(ends[-1]) - np.repeat(ends - sizes, sizes)
    names = np.asarray(base.keys)[np.repeat(starts, sizes) + within] // KINDS
    # Where each of them stands in the query.
    order = np.argsort(numbers)
    sorted_numbers = np.array(numbers)[order]
    places = np.searchsorted(sorted_numbers, names)
    places[places == len(numbers)] = 0
    common = sorted_numbers[places] == names
    field = order[places[common]]
    row = np.repeat(np.arange(len(rows)), sizes)[common]
    stat = (np.repeat(np.asarray(base.stat_offsets)[rows], sizes) + within)[common]
    # (name of the query, row); what a row holds twice is written twice, the same.
    shape = (len(numbers), len(rows))
    shared = np.zeros(shape, np.bool_)
    shared[field, row] = True
    alike = np.zeros(shape, np.float32)
    alike[field, row] = _alike(
        np.array(in_query, np.float32)[field],
        np.asarray(base.null_rates)[stat],
        np.array(most, np.float32)[field],
        np.asarray(base.cardinalities)[stat],
    )
    # Not sum(), which adds in pairs; adding the 0 of a name not shared changes nothing.
    totals = np.add.accumulate(alike, axis=0, dtype=np.float32)[-1]
    shared_names = np.count_nonzero(shared, axis=0).astype(np.float32)
    similarity: Floats = totals / np.maximum(shared_names, np.float32(1))
    return similarity


def _alike(null_a: Floats, null_b: Floats, most_a: Floats, most_b: Floats) -> Floats:
    """Return the similarity of fields by null rate and cardinality."""
    one = np.float32(1)
    # Null rates of foreign bundles may be anything: infinite, or far below 0.
    with np.errstate(over="ignore", invalid="ignore"):
        drift = np.abs(null_a - null_b)
        by_nulls = np.where(drift < one, one - drift, np.float32(0))
    # Counts are 0 or at least 1: where both are 0 the ratio is 0 / 1.
    ratio = np.abs(most_a - most_b) / np.maximum(np.maximum(most_a, most_b), one)
    alike: Floats = (by_nulls + (one - ratio)) * np.float32(0.5)
    return alike
