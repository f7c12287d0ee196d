from __future__ import annotations

import math
import random

import numpy as np
import pytest

from zsm_store.index.costs import (
    COSTS,
    DISJOINT,
    FARTHEST,
    overlap_needed,
    round_down,
    size_limit,
    structure_cost,
)
from zsm_store.model.distance import distance_parts
from zsm_store.model.fingerprint import FieldStats, SchemaFingerprint
from zsm_store.model.schema import FieldKind

BOUNDS = sorted({COSTS[union][part] for union in range(1, 30) for part in range(union)})
"""Costs that occur: where equality is met."""


def fields(digit: str, names: range) -> SchemaFingerprint:
    return SchemaFingerprint(
        schema_hash=digit * 64,
        field_stats=tuple(
            FieldStats(name=str(name), kind=FieldKind.NAME) for name in names
        ),
        record_count=0,
        created_at=0,
    )


@pytest.mark.parametrize(("first", "second"), [(0, 0), (0, 3), (9, 14), (300, 310)])
def test_a_cost_is_the_structure_part_of_the_distance(first: int, second: int) -> None:
    a, b = fields("a", range(first)), fields("b", range(second))
    union, overlap = max(first, second), min(first, second)
    assert COSTS[union][overlap] == distance_parts(a, b).structure
    assert structure_cost(union, overlap) == COSTS[union][overlap]


def test_the_costs_of_the_extremes() -> None:
    assert COSTS[5][0] == DISJOINT == float(np.float32(0.7))
    assert COSTS[5][5] == COSTS[0][0] == 0.0
    assert FARTHEST == 1.0


def test_the_overlap_needed_is_the_least_that_is_within_the_bound() -> None:
    for count in range(1, 25):
        for bound in [0.0, *BOUNDS, DISJOINT, FARTHEST]:
            least = next(n for n in range(count + 1) if COSTS[count][n] <= bound)
            assert overlap_needed(count, bound) == least


def test_no_row_within_the_bound_is_larger_than_the_limit() -> None:
    for bound in BOUNDS[::7]:
        for count in (1, 4, 12):
            for overlap in range(overlap_needed(count, bound), count + 1):
                sizes = [
                    size
                    for size in range(overlap, 500)
                    if COSTS[count + size - overlap][overlap] <= bound
                ]
                assert size_limit(count, overlap, bound) == max(sizes, default=0)


def test_of_large_schemas_no_row_within_the_bound_is_passed_over() -> None:
    pick = random.Random(0)  # noqa: S311
    for _ in range(20_000):
        count = pick.choice([1, 20, 300, 5_000, 10**6])
        overlap = pick.randint(0, count)
        size = overlap + pick.choice([0, 0, 1, pick.randint(0, 2 * count)])
        bound = structure_cost(count + size - overlap, overlap)
        assert overlap_needed(count, bound) <= overlap
        limit = size_limit(count, overlap, bound)
        assert limit is None or limit >= size


def test_a_bound_that_admits_disjoint_rows_limits_no_size() -> None:
    assert size_limit(5, 3, DISJOINT) is None
    assert size_limit(5, 3, math.nextafter(DISJOINT, 0)) is None


@pytest.mark.parametrize("bound", [0.0, 5e-324, 0.1, 0.25, 0.7, 1 / 3, 1.0])
def test_a_bound_becomes_the_largest_float32_not_above_it(bound: float) -> None:
    rounded = np.float32(round_down(bound))
    assert float(rounded) == round_down(bound) <= bound
    assert float(np.nextafter(rounded, np.float32(2))) > bound
