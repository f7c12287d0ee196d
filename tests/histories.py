"""Registries that keep versions, for tests: one artifact, numbered trainings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.examples import trained
from zsm_store import ModelArtifact, SchemaRegistry, Version
from zsm_store.codec import artifact_json

if TYPE_CHECKING:
    from pathlib import Path

KEY = trained().schema_hash


def version(number: int) -> ModelArtifact:
    return trained(em_iterations=number, tag="people")


def content(number: int) -> bytes:
    return artifact_json.encode(version(number))


def kept(path: Path, key: str = KEY) -> list[bytes]:
    """Return what was replaced, the last one first."""
    folder = path / "history" / key
    return [file.read_bytes() for file in sorted(folder.iterdir(), reverse=True)]


def numbers(found: list[Version]) -> list[int]:
    return [one.artifact.em_iterations for one in found if one.artifact is not None]


def saved(path: Path, count: int, **how: object) -> SchemaRegistry:
    """Save that many versions, from 0 on, one over the other."""
    registry = SchemaRegistry.init(path, **{"keep": 10, **how})
    for number in range(count):
        registry.save(version(number))
    return registry
