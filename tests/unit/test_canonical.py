from __future__ import annotations

import copy
import json
import math
import pickle
import time
import uuid
from collections import ChainMap
from datetime import date
from enum import Enum
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests import strategies as zst
from zsm_store.errors import InvalidArtifactError
from zsm_store.model.canonical import JsonObject, canonical_json


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


def integral_as_integers(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, dict):
        return {key: integral_as_integers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [integral_as_integers(item) for item in value]
    return value


def has_no_odd_floats(value: Any) -> bool:
    """Whether the standard library writes every float as the canonical form does."""
    if isinstance(value, float):
        return value == 0 or 1e-4 <= abs(value) < 2**53
    if isinstance(value, dict):
        return all(map(has_no_odd_floats, value.values()))
    return not isinstance(value, list) or all(map(has_no_odd_floats, value))


@given(zst.json_values().filter(has_no_odd_floats))
def test_canonical_json_is_that_of_the_standard_library_with_sorted_keys(value) -> None:
    expected = json.dumps(
        integral_as_integers(value),
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
    )
    # The two differ in how they escape control characters, not in what they mean.
    found = canonical_json(value)
    assert json.loads(found) == json.loads(expected)
    if not any(ord(char) < 0x20 or ord(char) == 0x7F for char in expected) and (
        "\\u" not in expected
    ):
        assert found.decode() == expected


@given(zst.json_values())
@example(1e17)
@example(float(2**63))
@example(-float(2**63))
@example(1.5e300)
@example(1e22)
@example(-0.0)
def test_canonical_json_reads_back_to_an_equal_value(value) -> None:
    found = orjson.loads(canonical_json(value))
    assert found == value
    assert canonical_json(found) == canonical_json(value)


def test_keys_are_sorted_by_code_point_at_every_depth() -> None:
    # By UTF-16 code units the second one would come first.
    high, higher = "\uff5e", "\U0001f600"
    value = {higher: 1, "b": {"z": 1, "a": [{"y": 1, "x": 2}]}, high: 2, "B": 3}
    expected = f'{{"B":3,"b":{{"a":[{{"x":2,"y":1}}],"z":1}},"{high}":2,"{higher}":1}}'
    assert canonical_json(value) == expected.encode()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1"),
        (-0.0, "0"),
        (0.1, "0.1"),
        (-2.0, "-2"),
        (1e15, "1000000000000000"),
        (float(2**53), "9007199254740992"),
        (1e17, "100000000000000000"),
        (float(2**63), "9223372036854775808"),
        (-float(2**63), "-9223372036854775808"),
        (1e20, "1e+20"),
        (-1e20, "-1e+20"),
        (1.5e300, "1.5e+300"),
        (2**64 - 1, "18446744073709551615"),
        (-(2**63), "-9223372036854775808"),
        (np.float64(3.0), "3"),
        (np.float64(1e25), "1e+25"),
        ((1, [2.0]), "[1,[2]]"),
        (ChainMap({"a": 1.0}), '{"a":1}'),
        (True, "true"),
        (None, "null"),
        ("\u00e9\u2028", '"\u00e9\u2028"'),
    ],
)
def test_each_value_has_one_text(value: object, text: str) -> None:
    assert canonical_json(value).decode() == text


def test_the_number_a_javascript_tool_writes_has_the_same_text() -> None:
    for written, rewritten in [("1e17", "100000000000000000"), ("2.0", "2")]:
        assert canonical_json(orjson.loads(written)) == canonical_json(
            orjson.loads(rewritten)
        )


class Missing(Enum):
    """An enumeration that orjson would write as null."""

    VALUE = math.nan


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        math.inf,
        -math.inf,
        np.float64("nan"),
        2**64,
        -(2**63) - 1,
        "\ud800",
        {"\udfff": 1},
        {1: "a"},
        {None: "a"},
        {("a",): 1},
        {"a": {2}},
        b"bytes",
        date(2024, 1, 1),
        uuid.UUID(int=1),
        Missing.VALUE,
        np.int64(1),
        np.array([1.0]),
        slice(1),
        1j,
    ],
    ids=repr,
)
def test_what_json_cannot_hold_is_refused_at_any_depth(value: object) -> None:
    for wrapped in (value, [value], {"a": [{"b": value}]}):
        with pytest.raises(InvalidArtifactError, match="JSON"):
            canonical_json(wrapped)


@pytest.mark.parametrize("levels", [202, 254, 255, 1_000, 100_000])
def test_deep_nesting_is_refused_and_nothing_crashes(levels: int) -> None:
    deep: list[Any] = []
    for _ in range(levels):
        deep = [deep]
    with pytest.raises(InvalidArtifactError, match="JSON"):
        canonical_json(deep)


def test_200_levels_are_no_problem() -> None:
    assert orjson.loads(canonical_json(nested(200))) == nested(200)


def test_a_value_within_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(InvalidArtifactError):
        canonical_json(endless)


@given(zst.json_objects())
def test_a_json_object_behaves_like_the_mapping_it_was_made_of(value) -> None:
    held = JsonObject(value)
    assert held == value
    assert dict(held) == value
    assert len(held) == len(value)
    assert set(held) == set(value)
    assert JsonObject(held) == held
    assert eval(repr(held), {"JsonObject": JsonObject}) == held  # noqa: S307  # ours


@given(zst.json_objects())
def test_copies_of_a_json_object_are_equal_and_hash_equal(value) -> None:
    held = JsonObject(value)
    for other in (
        JsonObject(value),
        pickle.loads(pickle.dumps(held)),  # noqa: S301  # our own bytes
        copy.deepcopy(held),
        copy.copy(held),
    ):
        assert other == held
        assert hash(other) == hash(held)
        assert other.canonical == held.canonical


@given(zst.json_objects(), zst.json_objects())
def test_json_objects_are_equal_where_their_canonical_text_is(left, right) -> None:
    a, b = JsonObject(left), JsonObject(right)
    assert (a == b) == (canonical_json(left) == canonical_json(right))


def test_a_json_object_is_not_equal_to_what_is_no_mapping() -> None:
    assert JsonObject({}) != []
    assert JsonObject({"a": 1}) != {"a": 2}


def test_nothing_changes_a_json_object() -> None:
    source = {"blocking": ["year"], "deep": {"a": [1]}}
    held = JsonObject(source)
    source["blocking"].append("city")
    held["blocking"].append("city")
    held["deep"]["a"].clear()
    assert held == {"blocking": ["year"], "deep": {"a": [1]}}
    with pytest.raises(AttributeError, match="immutable"):
        held.canonical = b"{}"
    with pytest.raises(AttributeError, match="immutable"):
        del held.canonical
    with pytest.raises(AttributeError, match="immutable"):
        held.other = 1
    with pytest.raises(TypeError):
        held["blocking"] = []  # type: ignore[index]  # that is the point


@pytest.mark.parametrize("value", [None, [], [("a", 1)], "{}", 5, b"{}"], ids=repr)
def test_what_is_no_mapping_is_no_json_object(value: object) -> None:
    with pytest.raises(InvalidArtifactError, match="JSON object"):
        JsonObject(value)


def test_a_missing_key_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        JsonObject({"a": 1})["b"]


@given(st.integers(-(2**63), 2**64 - 1))
def test_integers_keep_every_digit(number) -> None:
    assert JsonObject({"n": number})["n"] == number


def test_a_large_object_is_encoded_in_one_go() -> None:
    # Key by key it is decoded as often as it has keys: a minute here, hours in a
    # bundle that somebody made for the purpose.
    held = JsonObject({str(number): number for number in range(20_000)})
    start = time.process_time()
    canonical_json(held)
    canonical_json({"context": held})
    assert held == {str(number): number for number in range(20_000)}
    assert time.process_time() - start < 5
