from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.interop import golden
from zsm_store.model.startup import (
    ColdStart,
    NearestArtifact,
    StartupMode,
    WarmLoad,
    WarmStart,
)
from zsm_store.registry.schema_registry import SchemaRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zsm_store.model.fingerprint import SchemaFingerprint

CASES = golden.load("startup.json")


@pytest.fixture(params=CASES, ids=golden.names(CASES))
def case(request: pytest.FixtureRequest) -> dict[str, Any]:
    chosen: dict[str, Any] = request.param
    return chosen


@pytest.fixture
def expected(case: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = case["expected"]
    return answer


@pytest.fixture
def query(case: dict[str, Any]) -> SchemaFingerprint:
    return golden.fingerprint(case["query"])


@pytest.fixture
def registry(case: dict[str, Any]) -> Iterator[SchemaRegistry]:
    with SchemaRegistry.in_memory() as opened:
        for artifact in case["artifacts"]:
            opened.save(golden.artifact(artifact))
        yield opened


@pytest.fixture
def mode(registry: SchemaRegistry, query: SchemaFingerprint) -> StartupMode:
    return registry.lookup_startup_mode(query, explain=True)


def assert_distance(found: float, expected: dict[str, Any], key: str) -> None:
    lowest = expected[f"{key}_bits"]
    highest = expected.get(f"{key}_bits_max", lowest)
    assert lowest <= golden.float32_bits(found) <= highest


def test_every_vector_is_used() -> None:
    assert len(CASES) == 55
    modes = [case["expected"]["mode"] for case in CASES]
    assert {mode: modes.count(mode) for mode in set(modes)} == {
        "warm_load": 5,
        "warm_start": 30,
        "cold_start": 19,
        "order_dependent": 1,
    }


def test_mode_is_the_peers(mode: StartupMode, expected: dict[str, Any]) -> None:
    allowed = expected.get("modes_seen", [expected["mode"]])
    match mode:
        case WarmLoad():
            assert "warm_load" in allowed
        case WarmStart():
            assert "warm_start" in allowed
            assert_distance(mode.distance, expected, "distance")
        case ColdStart(nearest=NearestArtifact(distance=distance)):
            assert "cold_start" in allowed
            assert_distance(distance, expected, "nearest_distance")
        case ColdStart():
            assert "cold_start" in allowed
            assert expected["nearest_distance"] is None


def test_of_equally_close_the_smallest_hash_starts(
    mode: StartupMode, expected: dict[str, Any]
) -> None:
    match mode:
        case WarmLoad(artifact=artifact) | WarmStart(artifact=artifact):
            assert artifact.schema_hash == min(expected["schema_hashes_seen"])
            assert artifact.tag in expected["tags_seen"]
        case ColdStart():
            assert "cold_start" in expected.get("modes_seen", [expected["mode"]])


def test_nearest_distance_is_one_that_the_peer_computes(
    registry: SchemaRegistry, query: SchemaFingerprint, expected: dict[str, Any]
) -> None:
    nearest = registry.get_nearest(query)
    if nearest is None:
        assert expected["nearest_distance"] is None
    else:
        assert_distance(nearest.distance, expected, "nearest_distance")


def test_the_artifact_that_starts_is_the_one_that_was_saved(
    mode: StartupMode, case: dict[str, Any]
) -> None:
    saved = [golden.artifact(artifact) for artifact in case["artifacts"]]
    match mode:
        case WarmLoad(artifact=artifact) | WarmStart(artifact=artifact):
            assert artifact in saved
        case ColdStart(nearest=NearestArtifact(artifact=artifact)):
            assert artifact in saved
        case ColdStart():
            assert not saved


def test_a_lookup_that_explains_nothing_decides_alike(
    registry: SchemaRegistry, query: SchemaFingerprint, mode: StartupMode
) -> None:
    bounded = registry.lookup_startup_mode(query)
    assert type(bounded) is type(mode)
    assert bounded.runner_up is None
    if isinstance(bounded, ColdStart):
        assert bounded == ColdStart(wanted=query, stored=len(registry))
    else:
        assert not isinstance(mode, ColdStart)
        assert bounded == replace(mode, runner_up=None)
