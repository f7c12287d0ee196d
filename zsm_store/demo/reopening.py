"""Pack a registry, open the bundle, and ask both the same questions."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from zsm_store.demo.steps import Answer, BundleStep, Question
from zsm_store.model.startup import ColdStart
from zsm_store.registry.schema_registry import SchemaRegistry

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from zsm_store.model.artifact import ModelArtifact
    from zsm_store.model.fingerprint import SchemaFingerprint
    from zsm_store.model.startup import StartupMode


def pack_and_ask(
    registry: SchemaRegistry,
    bundle: Path,
    wanted: Mapping[str, SchemaFingerprint],
    *,
    title: str,
) -> BundleStep:
    """Compare the bundle's answers with the directory's.

    Parameters
    ----------
    wanted
        What to look up, by the name of the table.
    """
    began = time.perf_counter()
    packed_up = registry.pack(bundle).packed
    with SchemaRegistry.open(bundle) as packed:
        questions = tuple(
            _ask(registry, packed, name, fingerprint)
            for name, fingerprint in wanted.items()
        )
    return BundleStep(
        title=title,
        bundle=bundle,
        size=bundle.stat().st_size,
        artifacts=len(packed_up),
        questions=questions,
        seconds=time.perf_counter() - began,
    )


def _ask(
    registry: SchemaRegistry,
    packed: SchemaRegistry,
    name: str,
    fingerprint: SchemaFingerprint,
) -> Question:
    one = registry.lookup_startup_mode(fingerprint, explain=True)
    other = packed.lookup_startup_mode(fingerprint, explain=True)
    return Question(
        table=name,
        directory=_answer(one),
        bundle=_answer(other),
        # Startup modes compare by value, the artifacts in them with every parameter.
        identical=one == other,
    )


def _answer(mode: StartupMode) -> Answer:
    artifact = _artifact(mode)
    return Answer(
        mode=mode.name,
        distance=mode.distance,
        schema_hash=None if artifact is None else artifact.schema_hash,
        tag=None if artifact is None else artifact.tag,
    )


def _artifact(mode: StartupMode) -> ModelArtifact | None:
    if isinstance(mode, ColdStart):
        return None if mode.nearest is None else mode.nearest.artifact
    return mode.artifact
