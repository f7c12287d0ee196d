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

from tests import examples
from tests import strategies as zst
from zsm_store.errors import InvalidArtifactError
from zsm_store.model.artifact import ModelArtifact
from zsm_store.model.canonical import JsonObject
from zsm_store.model.float32 import float32, float32_from_bits, float32_to_bits
from zsm_store.model.params import ModelParams

JUST_ABOVE_ONE = float(np.nextafter(np.float32(1), np.float32(2)))
JUST_BELOW_ZERO = -float32_from_bits(1)

VALUES: dict[str, Any] = {
    "m": [[0.1, 0.9], [0.25, 0.25, 0.5]],
    "u": [[0.9, 0.1], [0.5, 0.25, 0.25]],
    "log_prior_odds": -2.0,
    "upper_threshold": 0.9,
    "lower_threshold": 0.1,
}

BROKEN: list[tuple[dict[str, Any], str]] = [
    ({"m": [[0.1, 0.9]]}, "m has 1 rows and u has 2"),
    ({"u": []}, "m has 2 rows and u has 0"),
    ({"m": [[1.0], [0.25, 0.25, 0.5]]}, "row 0 has 1 levels in m and 2 in u"),
    ({"u": [[0.9, 0.1], []]}, "row 1 has 3 levels in m and 0 in u"),
    ({"m": [[0.1, math.nan], [0, 0, 1]]}, r"m\[0\]\[1\] is nan"),
    ({"u": [[0.1, math.inf], [0, 0, 1]]}, r"u\[0\]\[1\] is inf"),
    ({"u": [[0.1, 0.9], [0, -math.inf, 1]]}, r"u\[1\]\[1\] is -inf"),
    ({"m": [[0.1, JUST_ABOVE_ONE], [0, 0, 1]]}, r"m\[0\]\[1\] is 1.0000001"),
    ({"u": [[0.1, 0.9], [0, 0, JUST_BELOW_ZERO]]}, r"u\[1\]\[2\] is -1.4"),
    ({"m": [[0.1, 1e300], [0, 0, 1]]}, r"m\[0\]\[1\] is inf"),
    ({"log_prior_odds": math.nan}, "log_prior_odds is nan"),
    ({"log_prior_odds": math.inf}, "log_prior_odds is inf"),
    ({"log_prior_odds": -math.inf}, "log_prior_odds is -inf"),
    ({"log_prior_odds": 1e39}, "log_prior_odds is inf"),
    ({"upper_threshold": JUST_ABOVE_ONE}, "upper_threshold is 1.0000001"),
    ({"upper_threshold": math.nan}, "upper_threshold is nan"),
    ({"lower_threshold": JUST_BELOW_ZERO}, "lower_threshold is -1.4"),
    ({"lower_threshold": math.nan}, "lower_threshold is nan"),
    ({"lower_threshold": 0.91}, "lower_threshold 0.91.* is above upper_threshold 0.89"),
]


def params(**changes: Any) -> ModelParams:
    return ModelParams(**{**VALUES, **changes})


def artifact(**changes: Any) -> ModelArtifact:
    values = {
        "fingerprint": examples.fingerprint(),
        "params": params(),
        "em_iterations": 3,
        **changes,
    }
    return ModelArtifact(**values)


@pytest.mark.parametrize(
    ("changes", "message"), BROKEN, ids=[repr(changes) for changes, _ in BROKEN]
)
def test_params_that_break_a_rule_are_refused(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidArtifactError, match=message):
        params(**changes)
    # A reader of the peer's bundles holds them and may ask.
    held = ModelParams.unvalidated(**{**VALUES, **changes})
    with pytest.raises(InvalidArtifactError, match=message):
        held.validate()


@pytest.mark.parametrize(
    "changes",
    [
        {"m": [[0.0, 0.0], [1.0, 1.0, 1.0]]},
        {"m": [], "u": []},
        {"m": [[], []], "u": [[], []]},
        {"upper_threshold": 1.0, "lower_threshold": 0.0},
        {"upper_threshold": 0.5, "lower_threshold": 0.5},
        {"log_prior_odds": 3.4e38},
        {"m": [[-0.0, 1], [0, 0, 1]]},
        # A double beside the range that is in it as a float32.
        {"m": [[1 + 1e-9, -1e-60], [0, 0, 1]]},
    ],
    ids=repr,
)
def test_params_at_the_edge_of_the_rules_are_accepted(changes: dict[str, Any]) -> None:
    params(**changes).validate()


@pytest.mark.parametrize("name", ["m", "u"])
@pytest.mark.parametrize(
    "rows",
    [None, 5, "ab", [0.5], [["0.5"]], [[None]], [[[0.5]]], [[0.5], 5], {"a": [0.5]}],
    ids=repr,
)
def test_what_are_no_rows_of_numbers_is_refused(name: str, rows: object) -> None:
    with pytest.raises(InvalidArtifactError, match=f"{name} must be rows of numbers"):
        params(**{name: rows})


@pytest.mark.parametrize("value", [None, "0.5", [0.5], 1j], ids=repr)
@pytest.mark.parametrize(
    "name", ["log_prior_odds", "upper_threshold", "lower_threshold"]
)
def test_what_is_no_number_is_refused(name: str, value: object) -> None:
    with pytest.raises(InvalidArtifactError, match=f"{name} must be a number"):
        params(**{name: value})


@pytest.mark.parametrize("name", ["m", "u", "log_prior_odds"])
def test_an_integer_beyond_any_float_is_refused(name: str) -> None:
    huge = 10**400
    value = [[huge, 0], [0, 0, 1]] if name in {"m", "u"} else huge
    with pytest.raises(InvalidArtifactError, match=name):
        params(**{name: value})


def test_every_number_is_rounded_once_to_float32() -> None:
    # Half way between two float32 values and a bit: rounding twice would go down.
    tie = 0.5 + 2**-25 + 2**-53
    found = params(m=[[0.1, tie], [0, 0, 1]], log_prior_odds=-2.1, upper_threshold=0.7)
    assert found.m[0] == (float(np.float32(0.1)), float(np.float32(tie)))
    assert found.m[0][1] == 0.5 + 2**-24
    assert found.log_prior_odds == float(np.float32(-2.1))
    assert found.upper_threshold == float(np.float32(0.7))
    assert found.lower_threshold == float(np.float32(0.1))


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int64"])
def test_numpy_arrays_are_accepted(dtype: str) -> None:
    m, u = np.array([[0, 1], [0.5, 0.5]], dtype), np.array([[1, 0], [0.5, 0.5]], dtype)
    found = params(m=m, u=u, log_prior_odds=np.float32(-2.1))
    assert found == params(m=m.tolist(), u=u.tolist(), log_prior_odds=-2.1)
    assert type(found.m) is tuple
    assert all(type(row) is tuple for row in (*found.m, *found.u))
    assert all(type(value) is float for row in found.m for value in row)
    assert type(found.log_prior_odds) is float


def test_an_array_changed_afterwards_changes_nothing() -> None:
    m = np.array([[0.25, 0.75], [0.5, 0.5]])
    found = params(m=m, u=m)
    m[:] = 9
    assert found.m == ((0.25, 0.75), (0.5, 0.5))


def test_unvalidated_params_keep_every_bit() -> None:
    bits = [0x7F800001, 0xFFC00001, 0x7F800000, 0x80000000, 0x00000001]
    row = [float32_from_bits(one) for one in bits]
    found = ModelParams.unvalidated(
        m=[row, []],
        u=[[2.0]],
        log_prior_odds=row[0],
        upper_threshold=row[1],
        lower_threshold=-5.0,
    )
    assert [float32_to_bits(value) for value in found.m[0]] == bits
    assert float32_to_bits(found.log_prior_odds) == bits[0]
    assert float32_to_bits(found.upper_threshold) == bits[1]
    assert (found.m[1], found.u, found.lower_threshold) == ((), ((2.0,),), -5.0)


@given(zst.params())
def test_params_are_a_value(one) -> None:
    for other in (
        dataclasses.replace(one),
        pickle.loads(pickle.dumps(one)),  # noqa: S301  # our own bytes
        copy.deepcopy(one),
        ModelParams.unvalidated(
            m=one.m,
            u=one.u,
            log_prior_odds=one.log_prior_odds,
            upper_threshold=one.upper_threshold,
            lower_threshold=one.lower_threshold,
        ),
    ):
        assert other == one
        assert hash(other) == hash(one)


def test_match_weights_are_bits() -> None:
    found = params(
        m=[[0.125, 0.5, 0.25], [0.0, 0.5, 0.0]],
        u=[[0.5, 0.125, 0.25], [0.0, 0.0, 0.5]],
    ).match_weights()
    assert found == ((-2.0, 2.0, 0.0), (0.0, math.inf, -math.inf))


@given(zst.params())
def test_match_weights_have_the_shape_of_m_and_are_never_nan(one) -> None:
    weights = one.match_weights()
    assert [len(row) for row in weights] == [len(row) for row in one.m]
    assert not any(math.isnan(value) for row in weights for value in row)


@pytest.mark.parametrize("name", ["em_iterations", "trained_on"])
@pytest.mark.parametrize("value", [-1, 2**64, 1.0, True, None, "1"], ids=repr)
def test_iterations_and_time_are_unsigned_64_bit_integers(
    name: str, value: object
) -> None:
    with pytest.raises(InvalidArtifactError, match=name):
        artifact(**{name: value})


@pytest.mark.parametrize("tag", [5, b"a", "\ud800", ["a"]], ids=repr)
def test_a_tag_must_be_text(tag: object) -> None:
    with pytest.raises(InvalidArtifactError, match="tag"):
        artifact(tag=tag)


@pytest.mark.parametrize("tag", [None, "", "a", "\x1b[31m", "two\nlines"], ids=repr)
def test_any_text_or_none_is_a_tag(tag: str | None) -> None:
    assert artifact(tag=tag).tag == tag


@pytest.mark.parametrize("extra", [[], "a", 5, {"a": math.inf}, {"a": {1}}], ids=repr)
def test_extra_must_be_a_json_object(extra: object) -> None:
    with pytest.raises(InvalidArtifactError, match="JSON"):
        artifact(extra=extra)


def test_changing_the_extra_given_changes_nothing() -> None:
    extra: dict[str, Any] = {"seed": 1, "deep": [1]}
    found = artifact(extra=extra)
    extra["deep"].append(2)
    assert found.extra == {"seed": 1, "deep": [1]}
    assert isinstance(found.extra, JsonObject)


def test_training_happened_now_unless_told_otherwise() -> None:
    before = int(time.time())
    assert before <= artifact().trained_on <= time.time()
    assert artifact(trained_on=0).trained_on == 0


@given(zst.artifacts())
def test_an_artifact_is_a_value(one) -> None:
    for other in (
        dataclasses.replace(one),
        pickle.loads(pickle.dumps(one)),  # noqa: S301  # our own bytes
        copy.deepcopy(one),
    ):
        assert other == one
        assert hash(other) == hash(one)
    assert one != dataclasses.replace(one, em_iterations=one.em_iterations ^ 1)
    assert one.schema_hash == one.fingerprint.schema_hash


@pytest.mark.parametrize(
    ("value", "attribute"),
    [(params(), "m"), (params(), "other"), (artifact(), "tag"), (artifact(), "other")],
    ids=["m", "other of params", "tag", "other of artifact"],
)
def test_nothing_changes_an_artifact(value: object, attribute: str) -> None:
    with pytest.raises((AttributeError, TypeError)):
        setattr(value, attribute, None)


def test_a_pickle_of_what_breaks_the_rules_keeps_it() -> None:
    held = ModelParams.unvalidated(
        m=[[2.0]],
        u=[],
        log_prior_odds=math.inf,
        upper_threshold=float32(7),
        lower_threshold=0.0,
    )
    assert pickle.loads(pickle.dumps(held)) == held  # noqa: S301  # our own bytes
