from __future__ import annotations

from tests.benchmarks.codec_run import measure_codec, sample_artifact
from zsm_store.codec import artifact_json


def test_a_small_run_measures_every_operation() -> None:
    times = measure_codec(artifacts=2, rounds=1)
    assert min(times.values()) > 0


def test_what_is_measured_is_read_the_quick_way() -> None:
    artifact = sample_artifact(1)
    data = artifact_json.encode(artifact)
    assert 3_000 < len(data) < 4_500
    content, _ = artifact_json._usual(data, artifact.schema_hash)
    assert content.artifact() == artifact
