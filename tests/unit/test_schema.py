from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import strategies as zst
from zsm_store.errors import InvalidArtifactError
from zsm_store.model.schema import (
    Field,
    FieldKind,
    FieldMapping,
    NullPolicy,
    Schema,
    schema_hash,
)

NAME, DATE = FieldKind.NAME, FieldKind.DATE
A, B = Field("a", NAME), Field("b", DATE)

PEERS_ORDER = [
    "Name",
    "Date",
    "Address",
    "Phone",
    "Id",
    "FreeText",
    "Numeric",
    "Categorical",
    "Alias",
    "LicensePlate",
    "GpsCoordinate",
    "Timestamp",
]

CONTROL_CHARACTERS = [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_kinds_stand_in_the_peers_order() -> None:
    assert [kind.value for kind in FieldKind] == PEERS_ORDER
    assert [kind.code for kind in FieldKind] == list(range(12))
    assert [FieldKind.from_code(code) for code in range(12)] == list(FieldKind)


def test_there_is_no_thirteenth_kind() -> None:
    with pytest.raises(IndexError):
        FieldKind.from_code(12)


@pytest.mark.parametrize("value", ["name", "NAME", "", "Nom", None, 0, [], {}])
def test_an_unknown_kind_is_refused_with_the_known_ones(value: object) -> None:
    with pytest.raises(
        InvalidArtifactError, match=r"unknown field kind .*LicensePlate"
    ):
        FieldKind(value)
    with pytest.raises(InvalidArtifactError, match="unknown field kind"):
        Field("a", value)  # type: ignore[arg-type]  # that is the point


@pytest.mark.parametrize("value", ["Skip", "", None, [], 1])
def test_an_unknown_null_policy_is_refused_with_the_known_ones(value: object) -> None:
    with pytest.raises(InvalidArtifactError, match="penalise_absence"):
        FieldMapping("a", "b", value)  # type: ignore[arg-type]  # that is the point


def test_the_text_of_a_kind_or_policy_is_enough() -> None:
    assert Field("a", "Date").kind is DATE  # type: ignore[arg-type]  # text of a user
    text = "penalise_absence"
    mapping = FieldMapping("a", "b", text)  # type: ignore[arg-type]  # same
    assert mapping.null_policy is NullPolicy.PENALISE_ABSENCE
    assert FieldMapping("a", "b").null_policy is NullPolicy.SKIP


@pytest.mark.parametrize("name", [None, 1, b"a", ["a"]])
def test_a_name_that_is_no_text_is_refused(name: object) -> None:
    with pytest.raises(InvalidArtifactError, match="must be text"):
        Field(name, NAME)  # type: ignore[arg-type]  # that is the point
    with pytest.raises(InvalidArtifactError, match="must be text"):
        FieldMapping(name, "b")  # type: ignore[arg-type]  # that is the point
    with pytest.raises(InvalidArtifactError, match="must be text"):
        FieldMapping("a", name)  # type: ignore[arg-type]  # that is the point


@pytest.mark.parametrize("name", ["\ud800", "a\udfffb"])
def test_a_lone_surrogate_is_no_name(name: str) -> None:
    for build in (
        lambda: Field(name, NAME),
        lambda: FieldMapping(name, "b"),
        lambda: FieldMapping("a", name),
    ):
        with pytest.raises(InvalidArtifactError, match="not valid Unicode") as caught:
            build()
        str(caught.value).encode()  # the message itself can be printed


def test_a_schema_needs_a_field() -> None:
    with pytest.raises(InvalidArtifactError, match="at least one field"):
        Schema([])


def test_a_name_that_stands_twice_is_refused_whatever_its_kind() -> None:
    with pytest.raises(InvalidArtifactError, match="'a' stands twice"):
        Schema([A, B, Field("a", DATE)])


@pytest.mark.parametrize("control", CONTROL_CHARACTERS, ids=ascii)
def test_a_control_character_in_a_name_is_refused(control: str) -> None:
    with pytest.raises(InvalidArtifactError, match="control character") as caught:
        Schema([A, Field(f"b{control}", DATE)])
    assert control not in str(caught.value)


def test_the_peers_files_may_hold_control_characters_so_a_field_may() -> None:
    assert Field("a\x00", NAME).name == "a\x00"


@pytest.mark.parametrize("name", zst.NASTY_NAMES, ids=ascii)
def test_any_other_name_is_accepted(name: str) -> None:
    assert Schema([Field(name, NAME)]).fields[0].name == name


def test_fields_keep_their_order_and_are_read_once() -> None:
    assert Schema(iter([B, A])).fields == (B, A)


@given(zst.schemas())
def test_a_schema_is_a_value(schema) -> None:
    again = Schema(list(schema.fields))
    assert again == schema
    assert hash(again) == hash(schema)
    assert pickle.loads(pickle.dumps(schema)) == schema  # noqa: S301  # our own bytes
    assert copy.deepcopy(schema) == schema


@pytest.mark.parametrize(
    ("value", "attribute"),
    [(A, "name"), (FieldMapping("a", "b"), "a_field"), (Schema([A]), "fields")],
)
def test_schema_values_cannot_be_changed(value: object, attribute: str) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, attribute, "x")
    with pytest.raises((AttributeError, TypeError)):
        value.other = "x"  # type: ignore[attr-defined]  # that is the point


def test_the_hash_covers_sorted_names_and_codes() -> None:
    expected = sha256(b"a:\x00\x00\x00\x00|b:\x01\x00\x00\x00|")
    assert schema_hash([A, B]) == schema_hash(iter([B, A])) == expected


def test_mappings_and_context_extend_the_hash_in_this_order() -> None:
    fields = b"a:\x00\x00\x00\x00|"
    context = {"blocking": ["year"], "a": 1.0}
    inner = sha256(
        json.dumps({"a": 1, "blocking": ["year"]}, separators=(",", ":")).encode()
    )
    mappings = [FieldMapping("b", "x"), FieldMapping("a", "y")]
    assert schema_hash([A], mappings) == sha256(fields + b"mappings:a:y|b:x|")
    assert schema_hash([A], context=context) == sha256(
        fields + f"context:{inner}|".encode()
    )
    assert schema_hash([A], mappings, context) == sha256(
        fields + f"mappings:a:y|b:x|context:{inner}|".encode()
    )


def test_an_empty_context_is_another_address_than_none() -> None:
    assert schema_hash([A], context={}) != schema_hash([A])


def test_a_context_is_the_same_in_any_spelling() -> None:
    assert schema_hash([A], context={"x": 1, "y": 2.0}) == schema_hash(
        [A], context={"y": 2, "x": 1.0}
    )


def test_a_bad_context_is_refused() -> None:
    with pytest.raises(InvalidArtifactError):
        schema_hash([A], context={"x": float("nan")})


@given(zst.schemas(), zst.mappings(), st.randoms())
def test_order_and_null_policies_do_not_change_the_hash(
    schema, mappings, random
) -> None:
    expected = schema_hash(schema.fields, mappings)
    fields = list(schema.fields)
    random.shuffle(fields)
    other_policy = [FieldMapping(one.a_field, one.b_field) for one in mappings]
    assert schema_hash(fields, other_policy) == expected


@given(zst.schemas(), zst.schemas())
def test_different_schemas_have_different_hashes(left, right) -> None:
    same = set(left.fields) == set(right.fields)
    assert (schema_hash(left.fields) == schema_hash(right.fields)) == same
