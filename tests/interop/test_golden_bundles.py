from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.interop import golden
from zsm_store.codec.bundle import Bundle, MemorySource, encode_bundle
from zsm_store.codec.bundle_body import HEADER_BYTES
from zsm_store.codec.bundle_entry import encode_entry
from zsm_store.errors import InvalidArtifactError

if TYPE_CHECKING:
    from zsm_store.model.artifact import ModelArtifact

ARTIFACTS = {"empty": 0, "one": 1, "three": 3}
"""Golden bundles and how many artifacts each holds."""


@pytest.fixture(params=ARTIFACTS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def data(name: str) -> bytes:
    return (golden.DIRECTORY / "bundles" / f"{name}.zsm").read_bytes()


@pytest.fixture
def expected(name: str) -> list[dict[str, Any]]:
    return golden.load(f"bundles/{name}.json")


@pytest.fixture
def bundle(data: bytes) -> Bundle:
    return Bundle(MemorySource(data))


def all_bits(rows: tuple[tuple[float, ...], ...]) -> list[list[int]]:
    return [[golden.float32_bits(value) for value in row] for row in rows]


def described(artifact: ModelArtifact) -> dict[str, Any]:
    """Return an artifact as the vectors describe it, float32 values by their bits."""
    fingerprint, params = artifact.fingerprint, artifact.params
    return {
        "key": artifact.schema_hash,
        "schema_hash": fingerprint.schema_hash,
        "field_stats": [
            {
                "name": stats.name,
                "kind": stats.kind.value,
                "null_rate_bits": golden.float32_bits(stats.null_rate),
                "cardinality": stats.cardinality,
                "top_k": list(stats.top_k),
            }
            for stats in fingerprint.field_stats
        ],
        "record_count": fingerprint.record_count,
        "created_at": fingerprint.created_at,
        "params": {
            "m_bits": all_bits(params.m),
            "u_bits": all_bits(params.u),
            **{
                f"{key}_bits": golden.float32_bits(getattr(params, key))
                for key in ("log_prior_odds", "upper_threshold", "lower_threshold")
            },
        },
        "tag": artifact.tag,
        "trained_on": artifact.trained_on,
        "em_iterations": artifact.em_iterations,
    }


def without_decimals(value: Any) -> Any:
    """Drop every number that stands beside its bits."""
    if isinstance(value, list):
        return [without_decimals(item) for item in value]
    if isinstance(value, dict):
        return {
            key: without_decimals(item)
            for key, item in value.items()
            if f"{key}_bits" not in value
        }
    return value


def peer_entries(data: bytes, expected: list[dict[str, Any]]) -> dict[str, bytes]:
    """Cut a bundle at the keys, which stand twice at the start of each entry."""
    starts = sorted(
        (data.index(bytes.fromhex(case["key"]) * 2), case["key"]) for case in expected
    )
    bounds = [start for start, _ in starts] + [len(data)]
    return {
        key: data[start:end]
        for (start, key), end in zip(starts, bounds[1:], strict=True)
    }


def test_every_bundle_is_used() -> None:
    folder = golden.DIRECTORY / "bundles"
    assert {path.stem for path in folder.glob("*.zsm")} == ARTIFACTS.keys()
    assert {path.stem for path in folder.glob("*.json")} == ARTIFACTS.keys()


def test_bundle_of_the_peer_has_no_trailer(name: str, bundle: Bundle) -> None:
    assert not bundle.has_trailer
    assert bundle.count == ARTIFACTS[name]


def test_every_value_is_the_peers_bit_for_bit(
    bundle: Bundle, expected: list[dict[str, Any]]
) -> None:
    found = sorted(map(described, bundle), key=lambda case: str(case["key"]))
    assert found == sorted(without_decimals(expected), key=lambda case: case["key"])


def test_one_artifact_is_read_without_the_others(
    bundle: Bundle, expected: list[dict[str, Any]]
) -> None:
    assert list(bundle.keys()) == sorted(case["key"] for case in expected)
    for case in expected:
        assert described(bundle.read(case["key"])) == without_decimals(case)


def test_encoded_again_each_artifact_has_the_peers_bytes(
    data: bytes, bundle: Bundle, expected: list[dict[str, Any]]
) -> None:
    encoded = {artifact.schema_hash: encode_entry(artifact) for artifact in bundle}
    assert encoded == peer_entries(data, expected)


def test_in_the_order_of_the_file_the_bytes_are_the_peers_file(
    data: bytes, bundle: Bundle
) -> None:
    assert data[:HEADER_BYTES] + b"".join(map(encode_entry, bundle)) == data


@pytest.mark.parametrize("name", ["empty", "one"])
def test_our_bundle_starts_with_the_peers_file_and_reads_the_same(
    data: bytes, bundle: Bundle
) -> None:
    ours = b"".join(encode_bundle(bundle, bundle.count))
    assert ours.startswith(data)
    reopened = Bundle(MemorySource(ours))
    assert reopened.has_trailer
    assert list(reopened) == list(bundle)


@pytest.mark.parametrize("name", ["three"])
def test_what_breaks_the_rules_is_read_but_not_written(bundle: Bundle) -> None:
    artifacts = list(bundle)
    assert len(artifacts) == 3
    for artifact in artifacts:
        with pytest.raises(InvalidArtifactError):
            artifact.params.validate()
        with pytest.raises(InvalidArtifactError):
            b"".join(encode_bundle([artifact], 1))
