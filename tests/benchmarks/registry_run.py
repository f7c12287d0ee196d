"""The whole lookup: a registry in a directory, validation and reading included."""

from __future__ import annotations

import os
import random
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tests.benchmarks.queries import Question
from tests.benchmarks.stopwatch import Latency, Timed, time_calls
from zsm_store import ModelArtifact, ModelParams, SchemaRegistry
from zsm_store.codec import artifact_json
from zsm_store.model.distance import WARM_START_THRESHOLD

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.benchmarks.answers import Truth
    from tests.benchmarks.queries import Query
    from zsm_store.model.fingerprint import SchemaFingerprint
    from zsm_store.model.startup import StartupMode

CACHE_VARIABLE = "ZSM_CACHE_DIR"
"""Where the library and the commands keep what can be made again."""
_SETTLE_S = 0.1
"""Longer than a tick of a local file system's clock: readings are believed then."""
_SETTLE_AT_MOST_S = 5.0
_FEW = 100
"""Artifacts that are asked for again and again: they fit into the artifact cache."""
_EXAMPLES = 10
_TOP_K_LETTERS = 6
_LEVELS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryTimes:
    """Of one registry in a local directory."""

    size: int
    warm_load_cached: Latency | None
    """The artifact was asked for a moment ago."""
    warm_load_read: Latency | None
    """The artifact has to be read from its file and verified."""
    warm_start: Latency | None
    """Drifted queries that have a neighbor within the threshold."""
    cold_start: Latency | None
    checked: int
    wrong: int


@contextmanager
def written_registry(
    stored: Sequence[SchemaFingerprint], parent: Path | None
) -> Iterator[Path]:
    """Write every artifact to a temporary directory, without waiting for the disk.

    The index cache of the processes within goes to a directory of its own.
    """
    with TemporaryDirectory(prefix="zsm-benchmark-", dir=parent) as name:
        directory = Path(name) / "registry"
        cache = Path(name) / "cache"
        cache.mkdir()
        SchemaRegistry.init(directory).close()
        rng = random.Random(len(stored))  # noqa: S311  # repeatable, no secret
        for fingerprint in stored:
            data = artifact_json.encode(_artifact(fingerprint, rng))
            (directory / f"{fingerprint.schema_hash}.json").write_bytes(data)
        before = os.environ.get(CACHE_VARIABLE)
        os.environ[CACHE_VARIABLE] = str(cache)
        try:
            yield directory
        finally:
            if before is None:
                del os.environ[CACHE_VARIABLE]
            else:
                os.environ[CACHE_VARIABLE] = before


def measure_registry(
    directory: Path,
    stored: Sequence[SchemaFingerprint],
    queries: Sequence[Query],
    truth: Truth,
    *,
    rounds: int,
    budget_s: float,
) -> RegistryTimes:
    """Time lookups of every outcome."""
    with SchemaRegistry.open(directory) as registry:
        assert len(registry) == len(stored)
        drift = _of(queries, Question.DRIFT)
        near = [one for one in drift if truth.expected(one, WARM_START_THRESHOLD)]
        settled = _settle(registry, _of(queries, Question.EXACT)[:_FEW])
        runs = {
            "warm_load_cached": (settled, rounds),
            # Once only, and artifacts that nobody has asked for.
            "warm_load_read": (_untouched(stored, queries, truth), 1),
            "warm_start": (near, 1),
            "cold_start": (_of(queries, Question.MISS), rounds),
        }
        times: dict[str, Latency | None] = {}
        checked = wrong = 0
        for name, (asked, repeats) in runs.items():
            timed = time_calls(
                lambda query: registry.lookup_startup_mode(query.fingerprint),
                asked,
                rounds=repeats,
                budget_s=budget_s,
            )
            times[name] = timed.latency
            checked += len(timed.answers)
            wrong += _wrong(timed, truth)
    return RegistryTimes(
        size=len(stored),
        checked=checked,
        wrong=wrong,
        **times,
    )


def _of(queries: Sequence[Query], question: Question) -> list[Query]:
    return [query for query in queries if query.question is question]


def _settle(registry: SchemaRegistry, queries: Sequence[Query]) -> list[Query]:
    """Ask until everything was read longer than a clock tick after it changed.

    Returns
    -------
    list of Query
        Those there was time for.
    """
    asked = list(queries)
    for _ in range(3):
        end = time.perf_counter() + _SETTLE_AT_MOST_S
        for number, query in enumerate(asked):
            registry.lookup_startup_mode(query.fingerprint)
            if time.perf_counter() > end:
                del asked[number + 1 :]
                break
        time.sleep(_SETTLE_S)
    return asked


def _untouched(
    stored: Sequence[SchemaFingerprint], queries: Sequence[Query], truth: Truth
) -> list[Query]:
    """Return exact queries for artifacts that no other query leads to."""
    led_to = {
        near.schema_hash for query in queries for near in truth.nearest[id(query)]
    }
    exact = _of(queries, Question.EXACT)
    free = [one for one in stored if one.schema_hash not in led_to][: len(exact)]
    return [
        replace(query, fingerprint=fingerprint)
        for query, fingerprint in zip(exact, free, strict=False)
    ]


def _wrong(timed: Timed[Query, StartupMode], truth: Truth) -> int:
    wrong = 0
    for query, mode in zip(timed.arguments, timed.answers, strict=True):
        if id(query) in truth.nearest:
            right = truth.expected(query, WARM_START_THRESHOLD)
            expected = [(one.schema_hash, one.distance) for one in right]
        else:
            expected = [(query.fingerprint.schema_hash, 0.0)]
        artifact = getattr(mode, "artifact", None)
        found = [] if artifact is None else [(artifact.schema_hash, mode.distance)]
        wrong += found != expected
    return wrong


def _artifact(fingerprint: SchemaFingerprint, rng: random.Random) -> ModelArtifact:
    rows = [_probabilities(rng) for _ in fingerprint.field_stats]
    if fingerprint.record_count:
        fingerprint = replace(
            fingerprint,
            field_stats=tuple(
                replace(stats, top_k=_examples(stats.cardinality, rng))
                for stats in fingerprint.field_stats
            ),
        )
    return ModelArtifact(
        fingerprint=fingerprint,
        params=ModelParams(
            m=rows,
            u=[row[::-1] for row in rows],
            log_prior_odds=-4.0,
            upper_threshold=0.9,
            lower_threshold=0.1,
        ),
        em_iterations=rng.randint(3, 30),
        trained_on=fingerprint.created_at,
    )


def _probabilities(rng: random.Random) -> list[float]:
    weights = sorted(rng.random() for _ in range(_LEVELS))
    return [weight / sum(weights) for weight in weights]


def _examples(cardinality: int, rng: random.Random) -> tuple[str, ...]:
    letters = "abcdefghijklmnopqrstuvwxyz"
    return tuple(
        "".join(rng.choices(letters, k=_TOP_K_LETTERS))
        for _ in range(min(cardinality, _EXAMPLES))
    )
