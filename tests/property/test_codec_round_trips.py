from __future__ import annotations

import dataclasses
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests import strategies as zst
from zsm_store.codec import artifact_json, bincode
from zsm_store.codec.bincode import BincodeReader
from zsm_store.codec.bundle import (
    HEADER_BYTES,
    MAGIC,
    Bundle,
    MemorySource,
    encode_bundle,
)
from zsm_store.codec.bundle_entry import MIN_ENTRY_BYTES, decode_entry, encode_entry
from zsm_store.model.artifact import ModelArtifact
from zsm_store.model.fingerprint import FieldStats, SchemaFingerprint
from zsm_store.model.float32 import float32_from_bits, float32_to_bits
from zsm_store.model.params import ModelParams

ANY_FLOAT32 = zst.float32_bits().map(float32_from_bits)
ANY_ROWS = st.lists(st.lists(ANY_FLOAT32, max_size=4), max_size=4)

PEER_STATS = st.builds(
    FieldStats,
    name=zst.texts(),
    kind=zst.kinds(),
    null_rate=ANY_FLOAT32,
    cardinality=zst.u64s(),
    top_k=st.lists(zst.texts(), max_size=12),
)

PEER_ARTIFACTS = st.builds(
    ModelArtifact,
    fingerprint=st.builds(
        SchemaFingerprint,
        schema_hash=st.binary(min_size=32, max_size=32).map(bytes.hex),
        field_stats=st.lists(PEER_STATS, max_size=4),
        record_count=zst.u64s(),
        created_at=zst.u64s(),
    ),
    params=st.builds(
        ModelParams.unvalidated,
        m=ANY_ROWS,
        u=ANY_ROWS,
        log_prior_odds=ANY_FLOAT32,
        upper_threshold=ANY_FLOAT32,
        lower_threshold=ANY_FLOAT32,
    ),
    tag=zst.tags(),
    trained_on=zst.u64s(),
    em_iterations=zst.u64s(),
)
"""Whatever the peer's format can hold, whether it obeys the rules or not."""


def in_order(artifacts: list[ModelArtifact]) -> list[ModelArtifact]:
    return sorted(artifacts, key=lambda artifact: artifact.schema_hash)


def packed(artifacts: list[ModelArtifact]) -> bytes:
    return b"".join(encode_bundle(in_order(artifacts), len(artifacts)))


def bits(artifact: ModelArtifact) -> list[Any]:
    """Return all floats of an artifact by their bits; equal ones may differ."""
    params = artifact.params
    return [
        [float32_to_bits(one.null_rate) for one in artifact.fingerprint.field_stats],
        [list(map(float32_to_bits, row)) for row in (*params.m, *params.u)],
        float32_to_bits(params.log_prior_odds),
        float32_to_bits(params.upper_threshold),
        float32_to_bits(params.lower_threshold),
    ]


@given(zst.artifacts())
def test_an_artifact_survives_json_bit_for_bit(artifact) -> None:
    data = artifact_json.encode(artifact)
    found = artifact_json.decode(data, artifact.schema_hash)
    assert found == artifact
    assert bits(found) == bits(artifact)
    assert artifact_json.encode(found) == data


@given(zst.artifacts())
def test_json_is_utf8_lines_with_one_field_and_one_row_per_line(artifact) -> None:
    data = artifact_json.encode(artifact)
    text = data.decode()
    assert text.startswith('{\n  "format": "zsm-store/1",\n  "digest": "sha256:')
    assert text.endswith("]\n}\n")
    assert "\r" not in text
    lines = text.split("\n")
    fields = artifact.fingerprint.field_stats
    assert sum(line.startswith('    {"name":') for line in lines) == len(fields)
    assert sum(line.startswith("    [") for line in lines) == 2 * len(fields)
    assert json.loads(text)["schema_hash"] == artifact.schema_hash


@given(zst.artifacts())
def test_the_digest_is_stated_and_that_of_every_spelling(artifact) -> None:
    data, stated = artifact_json.encode_with_digest(artifact)
    assert stated == artifact_json.digest(artifact)
    assert json.loads(data)["digest"] == stated
    document = json.loads(data)
    for other in (
        data.replace(b"\n", b"\r\n"),
        json.dumps(document, indent=3).encode(),
        json.dumps(document, sort_keys=True, ensure_ascii=False).encode(),
        json.dumps(dict(reversed(document.items()))).encode(),
    ):
        assert artifact_json.decode(other) == artifact


@given(zst.artifacts(), zst.artifacts())
def test_equal_artifacts_and_only_they_have_equal_digests(left, right) -> None:
    equal = artifact_json.digest(left) == artifact_json.digest(right)
    assert equal == (left == right)


@given(zst.artifacts(), st.data())
def test_changing_any_part_changes_the_digest(artifact, data) -> None:
    name = data.draw(st.sampled_from(["tag", "trained_on", "em_iterations", "extra"]))
    value = {
        "tag": f"{artifact.tag}x",
        "trained_on": artifact.trained_on ^ 1,
        "em_iterations": artifact.em_iterations ^ 1,
        "extra": {"other": 1, **(artifact.extra or {"a": 1})},
    }[name]
    changed = dataclasses.replace(artifact, **{name: value})
    if changed != artifact:
        assert artifact_json.digest(changed) != artifact_json.digest(artifact)


@given(zst.artifact_sets())
def test_artifacts_survive_a_bundle_bit_for_bit(artifacts) -> None:
    data = packed(artifacts)
    found = list(Bundle(MemorySource(data)))
    assert found == in_order(artifacts)
    assert list(map(bits, found)) == list(map(bits, in_order(artifacts)))
    assert packed(found[::-1]) == data


@given(zst.artifact_sets())
def test_each_artifact_of_a_bundle_is_found_alone(artifacts) -> None:
    bundle = Bundle(MemorySource(packed(artifacts)))
    assert bundle.count == len(artifacts)
    assert bundle.keys() == tuple(one.schema_hash for one in in_order(artifacts))
    for artifact in artifacts:
        assert bundle.read(artifact.schema_hash) == artifact
        assert bundle.digest(artifact.schema_hash) == artifact_json.digest(artifact)


@given(zst.artifact_sets())
def test_the_body_of_a_bundle_is_the_peers(artifacts) -> None:
    entries = b"".join(map(encode_entry, in_order(artifacts)))
    body = MAGIC + bincode.u64(len(artifacts)) + entries
    data = packed(artifacts)
    assert data.startswith(body)
    plain = Bundle(MemorySource(body))
    assert not plain.has_trailer
    assert b"".join(map(encode_entry, plain)) == entries


@given(PEER_ARTIFACTS)
def test_whatever_the_peer_holds_survives_bit_for_bit(artifact) -> None:
    entry = encode_entry(artifact)
    reader = BincodeReader(entry, HEADER_BYTES)
    found = decode_entry(reader)
    assert reader.position == len(entry) >= MIN_ENTRY_BYTES
    assert bits(found) == bits(artifact)
    assert encode_entry(found) == entry
    (alone,) = Bundle(MemorySource(MAGIC + bincode.u64(1) + entry))
    assert encode_entry(alone) == entry


@given(zst.artifacts(extended=False))
def test_an_artifact_that_the_peer_can_hold_loses_nothing_in_its_format(
    artifact,
) -> None:
    assert decode_entry(BincodeReader(encode_entry(artifact))) == artifact
