from __future__ import annotations

import copy
import dataclasses
import math
import pickle
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import examples
from tests import strategies as zst
from zsm_store.errors import InvalidArtifactError
from zsm_store.model.canonical import JsonObject
from zsm_store.model.fingerprint import (
    FieldStats,
    SchemaFingerprint,
    is_schema_hash,
)
from zsm_store.model.float32 import float32, float32_from_bits, float32_to_bits
from zsm_store.model.schema import (
    Field,
    FieldKind,
    FieldMapping,
    Schema,
    schema_hash,
)

HASH = "0123456789abcdef" * 4
U64_MAX = 2**64 - 1


def stats(**changes: Any) -> FieldStats:
    return FieldStats(**{"name": "a", "kind": FieldKind.NAME, **changes})


def fingerprint(**changes: Any) -> SchemaFingerprint:
    values = {
        "schema_hash": HASH,
        "field_stats": (),
        "record_count": 0,
        "created_at": 0,
        **changes,
    }
    return SchemaFingerprint(**values)


@pytest.mark.parametrize("text", [HASH, "0" * 64])
def test_a_schema_hash_is_64_lower_case_hex_digits(text: str) -> None:
    assert is_schema_hash(text)
    assert fingerprint(schema_hash=text).schema_hash == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        HASH[:-1],
        HASH + "0",
        HASH + "\n",
        "\n" + HASH,
        HASH.upper(),
        "g" * 64,
        " " + HASH[1:],
        "\u0661" * 64,
        HASH.encode(),
        None,
        5,
    ],
    ids=repr,
)
def test_anything_else_is_none(text: object) -> None:
    assert not is_schema_hash(text)
    with pytest.raises(InvalidArtifactError, match="64 hex digits"):
        fingerprint(schema_hash=text)


@pytest.mark.parametrize("value", [-1, U64_MAX + 1])
def test_an_integer_out_of_the_peers_range_is_refused(value: int) -> None:
    for build in (
        lambda: stats(cardinality=value),
        lambda: fingerprint(record_count=value),
        lambda: fingerprint(created_at=value),
    ):
        with pytest.raises(InvalidArtifactError, match=r"0 to 2\*\*64 - 1"):
            build()


@pytest.mark.parametrize("value", [True, 1.0, "1", None, np.float64(1)], ids=repr)
def test_what_is_no_integer_is_refused(value: object) -> None:
    for build in (
        lambda: stats(cardinality=value),
        lambda: fingerprint(record_count=value),
        lambda: fingerprint(created_at=value),
    ):
        with pytest.raises(InvalidArtifactError, match="must be an integer"):
            build()


def test_the_largest_integers_are_kept() -> None:
    assert stats(cardinality=U64_MAX).cardinality == U64_MAX
    found = fingerprint(record_count=U64_MAX, created_at=U64_MAX)
    assert (found.record_count, found.created_at) == (U64_MAX, U64_MAX)


@given(st.floats() | st.integers(-(2**70), 2**70))
def test_a_null_rate_is_rounded_once(value) -> None:
    found = stats(null_rate=value).null_rate
    assert type(found) is float
    with np.errstate(all="ignore"):
        expected = float(np.float64(value).astype(np.float32))
    assert found == expected or (math.isnan(found) and math.isnan(expected))


def test_a_null_rate_of_the_peer_is_kept_bit_for_bit() -> None:
    signalling = float32_from_bits(0x7F800001)
    assert float32_to_bits(stats(null_rate=signalling).null_rate) == 0x7F800001


@pytest.mark.parametrize("value", [None, "0.5", [0.5], 1j, b"0"], ids=repr)
def test_a_null_rate_that_is_no_number_is_refused(value: object) -> None:
    with pytest.raises(InvalidArtifactError, match="null rate of 'a'"):
        stats(null_rate=value)


@pytest.mark.parametrize("value", [10**400, -(10**400)], ids=["plus", "minus"])
def test_a_null_rate_beyond_any_float_is_refused(value: int) -> None:
    with pytest.raises(InvalidArtifactError, match="null rate of 'a'"):
        stats(null_rate=value)


def test_frequent_values_must_be_text() -> None:
    for value in (5, None, b"a", "\ud800"):
        with pytest.raises(InvalidArtifactError, match="frequent value of 'a'"):
            stats(top_k=("b", value))


def test_lists_are_held_as_tuples() -> None:
    assert stats(top_k=["b", "a"]).top_k == ("b", "a")
    found = fingerprint(field_stats=[stats()], mappings=[FieldMapping("a", "b")])
    assert found.field_stats == (stats(),)
    assert found.mappings == (FieldMapping("a", "b"),)


def test_statistics_of_an_unknown_kind_are_refused() -> None:
    with pytest.raises(InvalidArtifactError, match="unknown field kind 'name'"):
        stats(kind="name")
    assert stats(kind="Date").kind is FieldKind.DATE


@pytest.mark.parametrize("context", [[], "a", 5, {"a": math.nan}, {1: 2}], ids=repr)
def test_a_context_must_be_a_json_object(context: object) -> None:
    with pytest.raises(InvalidArtifactError, match="JSON"):
        fingerprint(context=context)
    with pytest.raises(InvalidArtifactError, match="JSON"):
        SchemaFingerprint.from_schema(examples.BRP, context=context)  # type: ignore[arg-type]  # that is the point


def test_changing_the_context_given_changes_nothing() -> None:
    context = {"blocking": ["year"]}
    found = SchemaFingerprint.from_schema(examples.BRP, context=context)
    context["blocking"].append("city")
    assert found.context == {"blocking": ["year"]}
    assert isinstance(found.context, JsonObject)


@given(zst.fingerprints())
def test_a_fingerprint_is_a_value(one) -> None:
    for other in (
        dataclasses.replace(one),
        pickle.loads(pickle.dumps(one)),  # noqa: S301  # our own bytes
        copy.deepcopy(one),
    ):
        assert other == one
        assert hash(other) == hash(one)
    assert one != dataclasses.replace(one, created_at=one.created_at ^ 1)


@pytest.mark.parametrize("attribute", ["schema_hash", "field_stats", "other"])
def test_a_fingerprint_cannot_be_changed(attribute: str) -> None:
    for value in (fingerprint(), stats()):
        with pytest.raises((AttributeError, TypeError)):
            setattr(value, attribute, "x")


@given(zst.schemas(), zst.mappings(), st.none() | zst.json_objects())
def test_the_fingerprint_of_a_schema_has_its_hash_and_no_statistics(
    schema, mappings, context
) -> None:
    found = SchemaFingerprint.from_schema(
        schema, mappings=iter(mappings), context=context, created_at=7
    )
    assert found.schema_hash == schema_hash(schema.fields, mappings, context)
    assert found.fields == schema.fields
    assert (found.record_count, found.created_at) == (0, 7)
    assert found.mappings == mappings
    assert found.context == context
    for one in found.field_stats:
        assert one == FieldStats(name=one.name, kind=one.kind)


@given(zst.schemas(), st.data())
def test_a_sample_adds_statistics_and_keeps_the_hash(schema, data) -> None:
    records = data.draw(zst.samples(schema))
    found = SchemaFingerprint.from_sample(schema, iter(records), created_at=7)
    plain = SchemaFingerprint.from_schema(schema, created_at=7)
    assert found.schema_hash == plain.schema_hash
    assert found.fields == schema.fields
    assert found.record_count == len(records)
    assert all(0 <= one.null_rate <= 1 for one in found.field_stats)
    assert all(len(one.top_k) <= one.cardinality for one in found.field_stats)


def test_statistics_of_a_small_sample() -> None:
    schema = Schema([Field("a", FieldKind.NAME), Field("b", FieldKind.NUMERIC)])
    records = [{"a": "x", "b": 5}, {"a": "x", "other": 1}, {"a": "", "b": 5.0}]
    found = SchemaFingerprint.from_sample(schema, records)
    third = float32(1 / 3)
    assert found.field_stats == (
        stats(null_rate=third, cardinality=1, top_k=("x",)),
        FieldStats(
            name="b",
            kind=FieldKind.NUMERIC,
            null_rate=third,
            cardinality=1,
            top_k=("5",),
        ),
    )
    assert found.record_count == 3


def test_the_time_of_creation_is_now_by_default_and_zero_if_so_given() -> None:
    before = int(time.time())
    found = SchemaFingerprint.from_schema(examples.BRP)
    assert before <= found.created_at <= time.time()
    assert SchemaFingerprint.from_schema(examples.BRP, created_at=0).created_at == 0


def test_a_value_that_cannot_be_counted_is_refused() -> None:
    with pytest.raises(InvalidArtifactError, match="give text"):
        SchemaFingerprint.from_sample(examples.BRP, [{"bsn": object()}])
