"""Reading and writing one artifact's JSON: `python -m tests.benchmarks.codec_run`."""

from __future__ import annotations

import random
import sys
import time
from typing import TYPE_CHECKING

import orjson

from tests.benchmarks.stopwatch import quiet
from zsm_store.codec import artifact_json
from zsm_store.codec.artifact_json import (
    _decode_unusual,
    decode_index_entry,
    decode_with_digest,
    encode_with_digest,
)
from zsm_store.model.artifact import ModelArtifact
from zsm_store.model.fingerprint import FieldStats, SchemaFingerprint
from zsm_store.model.params import ModelParams
from zsm_store.model.schema import Field, FieldKind, schema_hash

if TYPE_CHECKING:
    from collections.abc import Callable

_KINDS = tuple(FieldKind)
_FIELDS, _TOP_K, _LEVELS = 12, 10, 4


def sample_artifact(seed: int) -> ModelArtifact:
    """Return an artifact of usual size, a file of 4 KB; two in three rates are 0."""
    rng = random.Random(seed)  # noqa: S311  # repeatable, no secret
    stats = [
        FieldStats(
            name=f"{_word(rng)}_{number}",
            kind=rng.choice(_KINDS),
            null_rate=rng.choice([0.0, 0.0, rng.random()]),
            cardinality=rng.randint(20, 5_000),
            top_k=tuple(_word(rng) for _ in range(_TOP_K)),
        )
        for number in range(_FIELDS)
    ]
    rows = [_probabilities(rng) for _ in stats]
    return ModelArtifact(
        fingerprint=SchemaFingerprint(
            schema_hash=schema_hash([Field(one.name, one.kind) for one in stats]),
            field_stats=tuple(stats),
            record_count=5_000,
            created_at=1_700_000_000,
        ),
        params=ModelParams(
            m=tuple(rows),
            u=tuple(row[::-1] for row in rows),
            log_prior_odds=-4.0,
            upper_threshold=0.9,
            lower_threshold=0.1,
        ),
        tag=_word(rng),
        trained_on=1_700_000_000,
        em_iterations=12,
    )


def measure_codec(artifacts: int, rounds: int) -> dict[str, float]:
    """Return microseconds of CPU per artifact, of the fastest round, by operation."""
    made = {one.schema_hash: one for one in map(sample_artifact, range(artifacts))}
    files = {key: artifact_json.encode(one) for key, one in made.items()}
    operations: dict[str, Callable[[str], object]] = {
        "orjson.loads": lambda key: orjson.loads(files[key]),
        "decode_index_entry": lambda key: decode_index_entry(files[key], key),
        "decode_with_digest": lambda key: decode_with_digest(files[key], key),
        "decode, value by value": lambda key: _decode_unusual(files[key], key),
        "encode_with_digest": lambda key: encode_with_digest(made[key]),
    }
    best = dict.fromkeys(operations, float("inf"))
    with quiet():
        for _ in range(rounds):
            for name, operation in operations.items():
                start = time.thread_time_ns()
                for key in files:
                    operation(key)
                took_us = (time.thread_time_ns() - start) / 1_000 / artifacts
                best[name] = min(best[name], took_us)
    return best


def _word(rng: random.Random) -> str:
    return "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=7))


def _probabilities(rng: random.Random) -> tuple[float, ...]:
    weights = sorted(rng.random() for _ in range(_LEVELS))
    return tuple(weight / sum(weights) for weight in weights)


if __name__ == "__main__":
    for name, took_us in measure_codec(artifacts=100, rounds=40).items():
        sys.stdout.write(f"{name:24s}{took_us:8.1f} us\n")
