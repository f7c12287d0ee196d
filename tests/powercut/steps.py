"""What writers do, step by step, and do again after they were stopped.

The steps of a writer follow from its number and theirs. So how many of them were
acknowledged says all that must be there afterwards, and no record of it can be lost.
"""

from __future__ import annotations

import functools
import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.examples import trained
from tests.processes import DEADLINE_S
from zsm_store import (
    ArtifactNotFoundError,
    Field,
    FieldKind,
    Layout,
    LockStrategy,
    ModelArtifact,
    Schema,
    SchemaRegistry,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

STEPS = 24
"""In one registry; then its writers go on to the next, which the first one creates."""
_PADDING = "padding " * 800
"""More than one block of a disk, so that a file can be there by half."""


class Step(NamedTuple):
    """What is acknowledged as one."""

    changes: dict[str, ModelArtifact | None]
    """By schema hash; None deletes. Several are saved together."""
    guarded: bool = False
    """Done only to what the writer itself has left there: `if_match`, `if_absent`."""


class Plan(NamedTuple):
    """What is done, and to what registries."""

    step: Callable[[int, int], Step]
    """Takes the number of the writer, and its own."""
    settings: tuple[dict[str, Any], ...] = (
        {},
        {"layout": Layout.FAN_OUT, "keep": STEPS},
    )
    """Of the registries, in turn; those without are created by the first save."""

    def settings_of(self, number: int) -> dict[str, Any]:
        """Return with what the registry of a step is initialized, if it is."""
        return self.settings[number // STEPS % len(self.settings)]

    def enter(
        self, root: Path, number: int, *, lock_timeout_s: float = DEADLINE_S
    ) -> SchemaRegistry:
        """Open the registry of a step, as each of its writers does."""
        path = root / registry_name(number)
        if settings := self.settings_of(number):
            SchemaRegistry.init(path, **settings, lock_timeout_s=lock_timeout_s).close()
        return SchemaRegistry.open(
            path, lock_timeout_s=lock_timeout_s, watch=False, cache=False
        )

    def work(
        self, enter: Callable[[int], SchemaRegistry], writer: int, first: int
    ) -> Iterator[int]:
        """Do steps, beginning with the `first`; yields the number of each when done.

        Whatever is done of the first one already is done again.
        """
        registry = None
        for number in itertools.count(first):
            if registry is None or number % STEPS == 0:
                registry = enter(number)
            _do(registry, self.step(writer, number))
            yield number


@functools.cache
def _single_changes(writer: int, number: int) -> Step:
    """Save new artifacts, replace two over and over, and delete one of these."""
    within = number % STEPS
    deletes = within % 8 == 7
    name = 1 if deletes else (0, 1, within)[within % 3]
    artifact = _artifact(writer, number, name)
    return Step(
        {artifact.schema_hash: None if deletes else artifact}, guarded=number % 4 < 2
    )


@functools.cache
def _batches(writer: int, number: int) -> Step:
    """Save new artifacts together with others that they replace."""
    names = (0, STEPS + number, 1, 2 * STEPS + number)
    artifacts = [_artifact(writer, number, name) for name in names]
    return Step({artifact.schema_hash: artifact for artifact in artifacts})


def registry_name(number: int) -> str:
    """Return the name of the directory that a step is done in."""
    return f"registry {number // STEPS:03}"


PLANS = {
    "single changes": Plan(_single_changes),
    "batches": Plan(_batches),
    "marker": Plan(_single_changes, ({"lock": LockStrategy.MARKER},)),
}


def _artifact(writer: int, number: int, name: int) -> ModelArtifact:
    field = Field(f"writer {writer} {registry_name(number)} {name}", FieldKind.NAME)
    return trained(Schema([field]), em_iterations=number, extra={"padding": _PADDING})


def _do(registry: SchemaRegistry, step: Step) -> None:
    saved = [artifact for artifact in step.changes.values() if artifact is not None]
    if len(saved) > 1:
        report = registry.save_many(saved)
        assert not report.failed
        return
    for schema_hash, artifact in step.changes.items():
        before = _digest(registry, schema_hash) if step.guarded else None
        if artifact is None:
            registry.delete(schema_hash, if_match=before)
        else:
            first = step.guarded and before is None
            registry.save(artifact, if_match=before, if_absent=first)


def _digest(registry: SchemaRegistry, schema_hash: str) -> str | None:
    try:
        return registry.digest(schema_hash)
    except ArtifactNotFoundError:
        return None
