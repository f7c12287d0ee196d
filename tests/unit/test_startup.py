from __future__ import annotations

import dataclasses
import pickle

import pytest
from hypothesis import given

from tests import examples
from tests import strategies as zst
from zsm_store.model.distance import Neighbor, fingerprint_distance
from zsm_store.model.fingerprint import FieldStats, SchemaFingerprint
from zsm_store.model.float32 import float32
from zsm_store.model.schema import Field, FieldKind, Schema
from zsm_store.model.startup import (
    ColdStart,
    FieldDrift,
    KindChange,
    NearestArtifact,
    StartupMode,
    WarmLoad,
    WarmStart,
    explain,
)

STORED = examples.trained(examples.BRP)
WITH_PHONE = examples.fingerprint(examples.BRP_WITH_PHONE)
RUNNER_UP = Neighbor(distance=0.5, schema_hash="f" * 64)

WARM_LOAD = WarmLoad(wanted=STORED.fingerprint, artifact=STORED, runner_up=RUNNER_UP)
WARM_START = WarmStart(
    wanted=WITH_PHONE, artifact=STORED, distance=float32(0.1166), runner_up=None
)
COLD_START = ColdStart(
    wanted=examples.fingerprint(examples.SIM),
    stored=2,
    nearest=NearestArtifact(artifact=STORED, distance=float32(0.7)),
    runner_up=RUNNER_UP,
)
EMPTY = ColdStart(wanted=WITH_PHONE, stored=0)
NOT_EXPLAINED = ColdStart(wanted=WITH_PHONE, stored=1234)


def sampled(records: int = 10, **rates: tuple[float, int]) -> SchemaFingerprint:
    schema = Schema([Field(name, FieldKind.NAME) for name in rates])
    return dataclasses.replace(
        examples.fingerprint(schema, context={"records": records, "rates": rates}),
        field_stats=tuple(
            FieldStats(name=name, kind=FieldKind.NAME, null_rate=null, cardinality=size)
            for name, (null, size) in rates.items()
        ),
        record_count=records,
    )


def test_an_explanation_names_what_was_kept_added_removed_and_changed() -> None:
    stored = Schema(
        [Field(name, FieldKind.NAME) for name in ("gone", "kept", "turned", "moved")]
    )
    wanted = Schema(
        [
            Field("new", FieldKind.DATE),
            Field("moved", FieldKind.NAME),
            Field("turned", FieldKind.ALIAS),
            Field("kept", FieldKind.NAME),
        ]
    )
    found = explain(examples.fingerprint(wanted), examples.fingerprint(stored))
    assert found.kept == ("moved", "kept")
    assert found.added == ("new",)
    assert found.removed == ("gone",)
    assert found.kind_changed == (
        KindChange(name="turned", stored=FieldKind.NAME, wanted=FieldKind.ALIAS),
    )
    assert found.schema_hash == examples.fingerprint(stored).schema_hash
    assert found.drift == ()


def test_an_explanation_says_how_statistics_moved() -> None:
    stored = sampled(a=(0.25, 10), b=(0.5, 5), c=(0.0, 1))
    wanted = sampled(a=(0.75, 10), b=(0.5, 7), c=(0.0, 1))
    found = explain(wanted, stored)
    assert found.drift == (
        FieldDrift(
            name="a", null_rate=0.5, stored_cardinality=10, wanted_cardinality=10
        ),
        FieldDrift(name="b", null_rate=0.0, stored_cardinality=5, wanted_cardinality=7),
    )


@pytest.mark.parametrize("records", [(0, 5), (5, 0), (0, 0)])
def test_without_samples_on_both_sides_nothing_drifts(records: tuple[int, int]) -> None:
    wanted = sampled(records[0], a=(0.25, 10))
    stored = sampled(records[1], a=(0.75, 20))
    assert explain(wanted, stored).drift == ()


@given(zst.fingerprints(), zst.fingerprints())
def test_the_parts_of_an_explanation_add_up(wanted, stored) -> None:
    found = explain(wanted, stored)
    assert found.distance == fingerprint_distance(wanted, stored)
    assert found.distance == float32(found.structure + found.statistics)
    assert 0 <= found.structure <= float32(0.7)
    assert 0 <= found.statistics <= float32(0.3)
    wanted_names = {stats.name for stats in wanted.field_stats}
    stored_names = {stats.name for stats in stored.field_stats}
    changed = {change.name for change in found.kind_changed}
    assert set(found.kept) | changed | set(found.added) == wanted_names
    assert set(found.kept) | changed | set(found.removed) == stored_names
    assert not set(found.kept) & changed
    assert {drift.name for drift in found.drift} <= wanted_names & stored_names


def test_a_warm_load_says_why_and_gives_the_trained_params() -> None:
    assert (WARM_LOAD.name, WARM_LOAD.distance) == ("warm_load", 0.0)
    assert WARM_LOAD.reason == "the very same schema was trained before"
    assert WARM_LOAD.explanation.distance == 0
    assert WARM_LOAD.explanation.kept == tuple(
        field.name for field in examples.BRP.fields
    )
    assert WARM_LOAD.aligned().params == STORED.params
    assert WARM_LOAD.aligned().is_complete
    assert WARM_LOAD.runner_up == RUNNER_UP


def test_a_warm_load_of_moved_columns_gives_the_params_in_their_order() -> None:
    moved = examples.fingerprint(Schema(examples.BRP.fields[::-1]))
    params = dataclasses.replace(
        STORED.params, m=[[i / 8] for i in range(5)], u=[[0.5]] * 5
    )
    mode = WarmLoad(
        wanted=moved,
        artifact=dataclasses.replace(STORED, params=params),
        runner_up=None,
    )
    assert moved.schema_hash == STORED.schema_hash
    assert mode.aligned().params.m == params.m[::-1]


def test_a_warm_start_says_why_and_gives_aligned_params() -> None:
    assert WARM_START.name == "warm_start"
    assert WARM_START.reason == (
        "a similar schema was trained before, at distance 0.1166 (at most 0.25)"
    )
    assert WARM_START.explanation.added == ("telefoon",)
    assert WARM_START.explanation.removed == ()
    assert WARM_START.aligned().filled == ("telefoon",)
    assert not WARM_START.aligned().is_complete


def test_a_cold_start_says_why_and_what_was_nearest() -> None:
    assert COLD_START.name == "cold_start"
    assert COLD_START.distance == float32(0.7)
    assert COLD_START.reason == "the nearest artifact is at distance 0.7, above 0.25"
    assert COLD_START.explanation is not None
    assert COLD_START.explanation.kept == ()
    assert COLD_START.runner_up == RUNNER_UP


def test_a_cold_start_of_an_empty_registry_says_so() -> None:
    assert EMPTY.distance is None
    assert EMPTY.explanation is None
    assert EMPTY.reason == "the registry holds no usable artifact"


@pytest.mark.parametrize(
    "mode",
    [WARM_LOAD, WARM_START, COLD_START, EMPTY],
    ids=["warm load", "warm start", "cold start", "empty"],
)
def test_each_mode_is_a_value_of_the_union(mode: StartupMode) -> None:
    assert isinstance(mode, StartupMode)
    assert pickle.loads(pickle.dumps(mode)) == mode  # noqa: S301  # our own bytes
    assert dataclasses.replace(mode) == mode
    with pytest.raises((AttributeError, TypeError)):
        mode.artifact = None  # type: ignore[misc,union-attr]  # that is the point


def test_a_cold_start_that_was_not_to_be_explained_says_what_it_knows() -> None:
    assert NOT_EXPLAINED.reason == "no artifact of 1,234 is within 0.25"
    assert NOT_EXPLAINED.distance is None
    assert NOT_EXPLAINED.explanation is None
