from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from tests import strategies as zst
from zsm_store.model.distance import (
    WARM_START_THRESHOLD,
    distance_parts,
    fingerprint_distance,
)
from zsm_store.model.fingerprint import FieldStats, SchemaFingerprint
from zsm_store.model.float32 import float32, float32_from_bits
from zsm_store.model.schema import Field, FieldKind, Schema

if TYPE_CHECKING:
    from collections.abc import Iterable

F32 = np.float32

DAMAGED_RATES = zst.rates() | zst.float32_bits().map(float32_from_bits)

PEER_FINGERPRINTS = st.builds(
    SchemaFingerprint,
    schema_hash=st.sampled_from(["0" * 64, "1" * 64]),
    field_stats=st.lists(
        st.builds(
            FieldStats,
            name=st.sampled_from("abc"),
            kind=zst.kinds(),
            null_rate=DAMAGED_RATES,
            cardinality=zst.counts(),
        ),
        max_size=4,
    ),
    record_count=st.integers(0, 2),
    created_at=st.just(0),
)
"""Whatever the peer's files may hold: names that stand twice, rates that are none."""

ANY = zst.fingerprints() | PEER_FINGERPRINTS


def float32_similarity(a: FieldStats, b: FieldStats) -> np.float32:
    drift = abs(F32(a.null_rate) - F32(b.null_rate))
    # The peer's minimum of NaN and 1 is 1.
    null = F32(1) - (F32(1) if np.isnan(drift) else min(drift, F32(1)))
    if a.cardinality == b.cardinality == 0:
        cardinality = F32(1)
    else:
        in_a = np.uint64(a.cardinality).astype(F32)
        in_b = np.uint64(b.cardinality).astype(F32)
        cardinality = F32(1) - abs(in_a - in_b) / max(in_a, in_b)
    return (null + cardinality) / F32(2)


def definition(a: SchemaFingerprint, b: SchemaFingerprint) -> np.float32:
    """Return the distance in scalars of numpy, line by line as the facts state it."""
    if a.schema_hash == b.schema_hash:
        return F32(0)
    pairs_a = {(one.name, one.kind) for one in a.field_stats}
    pairs_b = {(one.name, one.kind) for one in b.field_stats}
    union = len(pairs_a | pairs_b)
    jaccard = F32(len(pairs_a & pairs_b)) / F32(union) if union else F32(1)
    by_a = {one.name: one for one in a.field_stats}
    by_b = {one.name: one for one in b.field_stats}
    common = sorted(by_a.keys() & by_b.keys())
    if a.record_count == 0 or b.record_count == 0:
        stats = F32(1)
    elif not common:
        stats = F32(0)
    else:
        total = F32(0)
        for name in common:
            total += float32_similarity(by_a[name], by_b[name])
        stats = total / F32(len(common))
    return (F32(1) - jaccard) * F32(0.7) + (F32(1) - stats) * F32(0.3)


def unsampled(names: Iterable[int]) -> SchemaFingerprint:
    fields = [Field(f"f{number}", FieldKind.NAME) for number in names]
    return SchemaFingerprint.from_schema(Schema(fields), created_at=0)


def sampled(digit: str) -> st.SearchStrategy[SchemaFingerprint]:
    """Return samples of one wide schema: sums of many terms that all round."""
    rate = st.integers(0, 1000).map(lambda nulls: nulls / 1000)
    return st.lists(st.tuples(rate, st.integers(0, 1000)), min_size=3, max_size=8).map(
        lambda values: SchemaFingerprint(
            schema_hash=digit * 64,
            field_stats=[
                FieldStats(
                    name=f"f{number}",
                    kind=FieldKind.NAME,
                    null_rate=null_rate,
                    cardinality=cardinality,
                )
                for number, (null_rate, cardinality) in enumerate(values)
            ],
            record_count=1000,
            created_at=0,
        )
    )


def bits(value: float) -> bytes:
    return np.float64(value).tobytes()


@given(sampled("0"), sampled("1"))
def test_many_terms_are_added_one_by_one_in_the_order_of_names(a, b) -> None:
    assert bits(fingerprint_distance(a, b)) == bits(float(definition(a, b)))


@given(ANY, ANY)
def test_the_distance_is_that_of_float32_hardware(a, b) -> None:
    with np.errstate(all="ignore"):
        expected = definition(a, b)
    assert expected.dtype == np.float32
    assert bits(fingerprint_distance(a, b)) == bits(float(expected))


@given(ANY, ANY)
def test_the_distance_is_symmetric_bit_for_bit(a, b) -> None:
    assert bits(fingerprint_distance(a, b)) == bits(fingerprint_distance(b, a))


@given(ANY, ANY)
def test_the_distance_is_a_float32_from_0_to_1(a, b) -> None:
    distance = fingerprint_distance(a, b)
    assert type(distance) is float
    assert 0 <= distance <= 1
    assert math.copysign(1, distance) == 1
    assert float32(distance) == distance


@given(ANY, ANY)
def test_the_parts_are_within_their_weights_and_add_up(a, b) -> None:
    parts = distance_parts(a, b)
    assert 0 <= parts.structure <= float32(0.7)
    assert 0 <= parts.statistics <= float32(0.3)
    assert parts.total == fingerprint_distance(a, b)


@given(ANY)
def test_everything_is_at_distance_zero_from_itself(one) -> None:
    assert fingerprint_distance(one, one) == 0


@given(zst.fingerprints(), st.randoms())
def test_under_another_hash_the_same_statistics_are_still_at_distance_zero(
    one, random
) -> None:
    stats = list(one.field_stats)
    random.shuffle(stats)
    other = dataclasses.replace(one, schema_hash="f" * 64, field_stats=tuple(stats))
    assert fingerprint_distance(one, other) == 0


@given(zst.fingerprints(), zst.fingerprints(), st.randoms())
def test_the_order_of_columns_changes_no_bit(a, b, random) -> None:
    stats = list(a.field_stats)
    random.shuffle(stats)
    moved = dataclasses.replace(a, field_stats=tuple(stats))
    assert bits(fingerprint_distance(moved, b)) == bits(fingerprint_distance(a, b))


@given(zst.fingerprints(), zst.fingerprints(sampled=True))
def test_forgetting_a_sample_never_moves_schemas_apart(a, b) -> None:
    without = dataclasses.replace(a, record_count=0)
    assert fingerprint_distance(without, b) <= fingerprint_distance(a, b)


@given(st.integers(1, 60), st.integers(0, 60))
@example(9, 5)
@example(18, 10)
@example(27, 15)
@example(9, 6)
def test_added_columns_are_a_warm_start_up_to_nine_of_fourteen(kept, added) -> None:
    stored, wanted = unsampled(range(kept)), unsampled(range(kept + added))
    distance = fingerprint_distance(stored, wanted)
    assert bits(distance) == bits(float(definition(stored, wanted)))
    # Exact integers decide: kept / (kept + added) >= 9 / 14.
    assert (distance <= WARM_START_THRESHOLD) == (14 * kept >= 9 * (kept + added))
    assert (distance == 0.25) == (14 * kept == 9 * (kept + added))


@given(st.integers(1, 20), st.integers(0, 20), st.integers(0, 20))
def test_more_new_columns_are_never_closer(kept, added, more) -> None:
    stored = unsampled(range(kept))
    near = fingerprint_distance(stored, unsampled(range(kept + added)))
    far = fingerprint_distance(stored, unsampled(range(kept + added + more)))
    assert near <= far
