from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tests import examples
from zsm_store.model.distance import (
    EXACT_MATCH_THRESHOLD,
    WARM_START_THRESHOLD,
    Neighbor,
    distance_parts,
    fingerprint_distance,
)
from zsm_store.model.fingerprint import FieldStats, SchemaFingerprint
from zsm_store.model.schema import Field, FieldKind, FieldMapping, Schema

NAME, DATE = FieldKind.NAME, FieldKind.DATE
ONE_ULP_MORE = float(np.nextafter(np.float32(0.25), np.float32(1)))


def schema(first: int, last: int) -> Schema:
    return Schema([Field(f"f{number}", NAME) for number in range(first, last)])


def sampled(*stats: FieldStats, records: int = 100, digit: str = "0") -> Any:
    return SchemaFingerprint(
        schema_hash=digit * 64, field_stats=stats, record_count=records, created_at=0
    )


def stats(name: str = "a", null_rate: float = 0.0, cardinality: int = 0) -> FieldStats:
    return FieldStats(
        name=name, kind=NAME, null_rate=null_rate, cardinality=cardinality
    )


def statistics(left: FieldStats, right: FieldStats) -> float:
    parts = distance_parts(sampled(left), sampled(right, digit="1"))
    assert parts.structure == 0
    return parts.statistics


@pytest.mark.parametrize(("common", "union"), [(9, 14), (18, 28), (27, 42)])
def test_nine_of_fourteen_fields_are_exactly_at_the_threshold(
    common: int, union: int
) -> None:
    a, b = (
        examples.fingerprint(schema(0, common)),
        examples.fingerprint(schema(0, union)),
    )
    assert fingerprint_distance(a, b) == fingerprint_distance(b, a) == 0.25
    assert fingerprint_distance(a, b) <= WARM_START_THRESHOLD
    # The same sum in double precision is on the other side or beside it.
    assert (1 - common / union) * 0.7 != 0.25


def test_one_ulp_above_the_threshold_is_above_it() -> None:
    assert ONE_ULP_MORE > WARM_START_THRESHOLD


def test_thresholds_are_the_peers() -> None:
    assert WARM_START_THRESHOLD == 0.25
    assert EXACT_MATCH_THRESHOLD == 0.0


def test_schemas_without_a_common_field_differ_by_seven_tenths() -> None:
    a, b = examples.fingerprint(examples.BRP), examples.fingerprint(examples.SIM)
    # Without a sample statistics cost nothing, with one they cost all of their share.
    assert fingerprint_distance(a, b) == float(np.float32(0.7))
    full = fingerprint_distance(sampled(stats("a")), sampled(stats("b"), digit="1"))
    assert full == float(np.float32(0.7) + np.float32(0.3)) == 1.0


def test_an_equal_hash_is_distance_zero_whatever_else_is_there() -> None:
    a = sampled(stats("a", 0.0, 1))
    b = sampled(stats("b", 1.0, 1000))
    assert fingerprint_distance(a, b) == 0
    parts = distance_parts(a, b)
    assert (parts.structure, parts.statistics, parts.total) == (0, 0, 0)


def test_other_mappings_alone_are_distance_zero_too() -> None:
    a = examples.fingerprint()
    b = examples.fingerprint(mappings=[FieldMapping("bsn", "nummer")])
    assert a.schema_hash != b.schema_hash
    assert fingerprint_distance(a, b) == 0


def test_the_same_name_of_another_kind_is_another_field() -> None:
    a = examples.fingerprint(Schema([Field("a", NAME), Field("b", NAME)]))
    b = examples.fingerprint(Schema([Field("a", NAME), Field("b", DATE)]))
    third = np.float32(1) / np.float32(3)
    expected = (np.float32(1) - third) * np.float32(0.7)
    assert fingerprint_distance(a, b) == float(expected)


def test_the_order_of_columns_costs_nothing() -> None:
    fields = [Field(name, NAME) for name in "abc"]
    a, b = Schema(fields), Schema(fields[::-1])
    context = {"x": 1}  # another hash, so that the distance is computed
    assert (
        fingerprint_distance(
            examples.fingerprint(a), examples.fingerprint(b, context=context)
        )
        == 0
    )


def test_null_rates_cost_their_difference() -> None:
    half = statistics(stats(null_rate=0.0), stats(null_rate=0.5))
    assert half == float(np.float32(0.25) * np.float32(0.3))
    whole = statistics(stats(null_rate=0.0), stats(null_rate=1.0))
    assert whole == float(np.float32(0.5) * np.float32(0.3))


def test_cardinalities_cost_their_ratio() -> None:
    found = statistics(stats(cardinality=25), stats(cardinality=100))
    assert found == float(np.float32(0.375) * np.float32(0.3))
    assert statistics(stats(cardinality=0), stats(cardinality=0)) == 0
    assert statistics(stats(cardinality=0), stats(cardinality=1)) == float(
        np.float32(0.5) * np.float32(0.3)
    )


def test_cardinalities_are_compared_as_float32() -> None:
    assert statistics(stats(cardinality=2**24), stats(cardinality=2**24 + 1)) == 0
    assert statistics(stats(cardinality=2**64 - 1), stats(cardinality=2**64 - 2)) == 0


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (math.nan, 0.5),
        (math.inf, 0.5),
        (math.inf, math.inf),
        (math.inf, -math.inf),
        (-5.0, 5.0),
        (3e38, -3e38),
    ],
)
def test_a_null_rate_out_of_range_costs_no_more_than_all_of_its_share(
    left: float, right: float
) -> None:
    found = statistics(stats(null_rate=left), stats(null_rate=right))
    assert found == float(np.float32(0.5) * np.float32(0.3))


def test_statistics_of_a_changed_kind_still_count() -> None:
    a = sampled(stats("a"))
    other = FieldStats(name="a", kind=DATE, null_rate=1.0)
    parts = distance_parts(a, sampled(other, digit="1"))
    assert parts.structure == float(np.float32(0.7))
    assert parts.statistics == float(np.float32(0.5) * np.float32(0.3))


@pytest.mark.parametrize("unsampled", ["a", "b"])
def test_without_a_sample_on_both_sides_statistics_cost_nothing(unsampled: str) -> None:
    a = sampled(stats(null_rate=0.0), records=0 if unsampled == "a" else 5)
    b = sampled(stats(null_rate=1.0), records=0 if unsampled == "b" else 5, digit="1")
    assert fingerprint_distance(a, b) == 0


def test_two_schemas_without_fields_are_the_same() -> None:
    assert distance_parts(sampled(), sampled(digit="1")).structure == 0


def test_of_a_name_that_stands_twice_the_last_one_counts_on_both_sides() -> None:
    twice = sampled(stats("a", 1.0), stats("a", 0.0))
    once = sampled(stats("a", 0.0), digit="1")
    assert fingerprint_distance(twice, once) == fingerprint_distance(once, twice) == 0


def test_neighbors_sort_by_distance_then_by_hash() -> None:
    near = Neighbor(distance=0.1, schema_hash="b")
    far = Neighbor(distance=0.2, schema_hash="a")
    tie = Neighbor(distance=0.1, schema_hash="a")
    assert sorted([far, near, tie]) == [tie, near, far]


def test_the_nearest_of_the_peers_tables_is_the_same_table_with_one_column_more() -> (
    None
):
    wanted = examples.fingerprint(examples.BRP_WITH_PHONE)
    distances = [
        fingerprint_distance(wanted, examples.fingerprint(table))
        for table in (examples.BRP, examples.BRP_WITHOUT_TWO, examples.SIM)
    ]
    assert distances == sorted(distances)
    assert distances[0] <= WARM_START_THRESHOLD < distances[1]
