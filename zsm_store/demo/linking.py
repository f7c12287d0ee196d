"""Link one table: as the registry advises, and beside it as if there were none."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, assert_never

from zsm_store.demo.blocking import candidate_pairs
from zsm_store.demo.comparison import LEVELS, AgreementPatterns, compare
from zsm_store.demo.em import MAX_ITERATIONS, train
from zsm_store.demo.quality import linkage_quality
from zsm_store.demo.steps import Run, TableStep
from zsm_store.model.artifact import ModelArtifact
from zsm_store.model.fingerprint import SchemaFingerprint
from zsm_store.model.startup import ColdStart, WarmLoad, WarmStart

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from zsm_store.demo.blocking import BlockingKey
    from zsm_store.demo.table import DemoTable
    from zsm_store.model.params import ModelParams
    from zsm_store.model.startup import StartupMode
    from zsm_store.registry.schema_registry import SchemaRegistry

SAMPLE_RECORDS = 1_000
"""Records that go into a fingerprint, the first ones, as in the peer's pipeline."""
WARM_START_ITERATIONS = 3


def fingerprint_of(table: DemoTable) -> SchemaFingerprint:
    """Fingerprint of the table's first records."""
    return SchemaFingerprint.from_sample(
        table.schema, islice(table.records(), SAMPLE_RECORDS)
    )


def link_table(
    registry: SchemaRegistry,
    table: DemoTable,
    blocking: tuple[BlockingKey, ...],
    *,
    title: str,
    tag: str,
) -> TableStep:
    """Ask the registry how to begin, do so, save what was trained, and measure.

    After a warm load nothing is saved: the parameters are in the registry already.
    """
    fingerprint = fingerprint_of(table)
    compared = _compared(table, blocking)
    began = time.perf_counter()
    mode = registry.lookup_startup_mode(fingerprint, explain=True)
    start = _start_from(mode, table)
    lookup_seconds = time.perf_counter() - began

    run, params = compared.run(start)
    cold = run if start == _COLD else compared.run(_COLD)[0]
    trained = start.max_iterations > 0
    if trained:
        artifact = ModelArtifact(
            fingerprint=fingerprint,
            params=params,
            tag=tag,
            em_iterations=run.iterations,
            extra={"trainer": "zsm_store.demo", "blocking": blocking},
        )
        registry.save(artifact)
    return TableStep(
        title=title,
        table=table.name,
        records=len(table),
        fields=tuple(table.columns),
        candidate_pairs=len(compared.pairs),
        compare_seconds=compared.seconds,
        mode=mode.name,
        distance=mode.distance,
        reason=mode.reason,
        filled=start.filled,
        advised=replace(run, seconds=lookup_seconds + run.seconds),
        cold=cold,
        saved_as=fingerprint.schema_hash if trained else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Start:
    """Where parameters come from."""

    params: ModelParams | None
    """None: from the trainer's cold start."""
    max_iterations: int
    """0: `params` are used as they are."""
    filled: tuple[str, ...]


_COLD = _Start(params=None, max_iterations=MAX_ITERATIONS, filled=())


def _start_from(mode: StartupMode, table: DemoTable) -> _Start:
    match mode:
        case WarmLoad(artifact=artifact):
            iterations = 0
        case WarmStart(artifact=artifact):
            iterations = WARM_START_ITERATIONS
        case ColdStart():
            return _COLD
        case _:
            assert_never(mode)
    aligned = artifact.params_for(table.schema, levels=LEVELS)
    return _Start(
        params=aligned.params, max_iterations=iterations, filled=aligned.filled
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Compared:
    """The candidate pairs of a table, compared."""

    table: DemoTable
    pairs: NDArray[np.int64]
    levels: NDArray[np.int8]
    seconds: float

    def run(self, start: _Start) -> tuple[Run, ModelParams]:
        """Come by parameters, then measure how they link; only the first is timed."""
        began = time.perf_counter()
        if start.params is not None and start.max_iterations == 0:
            params, iterations, converged = start.params, 0, None
        else:
            training = train(
                AgreementPatterns.of(self.levels),
                start.params,
                max_iterations=start.max_iterations,
            )
            params, iterations = training.params, training.iterations
            converged = training.converged
        seconds = time.perf_counter() - began
        quality = linkage_quality(self.table, self.pairs, self.levels, params)
        run = Run(
            iterations=iterations,
            converged=converged,
            seconds=seconds,
            quality=quality,
        )
        return run, params


def _compared(table: DemoTable, blocking: tuple[BlockingKey, ...]) -> _Compared:
    began = time.perf_counter()
    pairs = candidate_pairs(table, blocking)
    levels = compare(table, pairs)
    seconds = time.perf_counter() - began
    return _Compared(table=table, pairs=pairs, levels=levels, seconds=seconds)
