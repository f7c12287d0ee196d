"""Whether all that was acknowledged is there, and nothing that nobody wrote."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.examples import trained
from tests.powercut.steps import STEPS, registry_name
from zsm_store import ModelArtifact, SchemaRegistry, Severity, ZsmError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.powercut.steps import Plan

LATER = trained()
"""Saved by nobody but the judge, who takes it away again."""
_LONG_AGO_S = 86_400.0
"""Age at which a staging file is nobody's any more, and more than that."""
_SOON_S = 1.0
"""For as long as a dead writer may stand in the way of the next."""
_SILENCE_S = 25.0
"""The same, where the file that is the lock is empty and so does not name its holder:
that one, or the power, was gone before it was written to."""


class Progress(NamedTuple):
    """How far a writer had come."""

    acknowledged: int
    begun: int
    """Steps of which something may be there."""


class Verdict(NamedTuple):
    """What is wrong, a line each, and what was found on the way."""

    faults: list[str]
    left_behind: int
    """Staging files of writers that did not come to the end, all swept by now."""


@dataclass(kw_only=True)
class _Expected:
    """What a registry has to hold."""

    served: dict[str, list[ModelArtifact | None]] = field(default_factory=dict)
    """One of these, by schema hash; None stands for nothing."""
    saved: dict[str, list[ModelArtifact]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """All that were acknowledged."""


def judge(
    root: Path, writers: list[Progress], plan: Plan, *, since: int = 0
) -> Verdict:
    """Look at every registry that was written to since a step, while nobody writes.

    In those that were written to last, the next writer has to find its way, too.
    """
    last = {max(0, writer.begun - 1) // STEPS for writer in writers}
    faults: list[str] = []
    left_behind = 0
    for place, expected in _expected(writers, plan, since // STEPS * STEPS).items():
        number = place * STEPS
        path = root / registry_name(number)
        try:
            faults += _faults(path, expected, plan.settings_of(number))
            if place in last:
                left = _age_what_was_left(path)
                left_behind += len(left)
                faults += _faults_of_recovery(root, plan, number)
                faults += [f"not swept: {file}" for file in left if file.exists()]
        except (ZsmError, OSError) as error:
            faults.append(f"{path.name}: {error}")
    return Verdict(faults, left_behind)


def _expected(writers: list[Progress], plan: Plan, since: int) -> dict[int, _Expected]:
    found: dict[int, _Expected] = defaultdict(_Expected)
    for writer, progress in enumerate(writers):
        for number in range(since, progress.begun):
            expected = found[number // STEPS]
            for schema_hash, artifact in plan.step(writer, number).changes.items():
                if number >= progress.acknowledged:
                    expected.served.setdefault(schema_hash, [None]).append(artifact)
                    continue
                expected.served[schema_hash] = [artifact]
                if artifact is not None:
                    expected.saved[schema_hash].append(artifact)
    return found


def _faults(path: Path, expected: _Expected, settings: dict[str, Any]) -> Iterator[str]:
    registry = SchemaRegistry.open(path, watch=False, cache=False)
    found = {artifact.schema_hash: artifact for artifact in registry.list_all()}
    for schema_hash, possible in expected.served.items():
        artifact = found.pop(schema_hash, None)
        if artifact not in possible:
            steps = ", ".join(map(_step, possible))
            yield f"{path.name}: found {_step(artifact)} where {steps} must be"
    yield from (f"{path.name}: nobody wrote {_step(one)}" for one in found.values())
    for problem in registry.verify():
        if problem.severity is Severity.ERROR:
            yield f"{path.name}: {problem}"
    if not expected.saved:
        return  # not even that there is a registry was acknowledged
    text = (path / "registry.json").read_text()
    if not all(f'"{key}": {json.dumps(settings[key])}' in text for key in settings):
        yield f"{path.name}: its settings are {text!r}"
    if "keep" in settings:
        yield from _faults_of_memory(registry, expected)


def _faults_of_memory(registry: SchemaRegistry, expected: _Expected) -> Iterator[str]:
    """What was replaced or deleted is kept."""
    for schema_hash, saved in expected.saved.items():
        kept = [version.artifact for version in registry.history(schema_hash)]
        for artifact in saved:
            if artifact not in kept:
                yield f"{registry.location}: {_step(artifact)} is not kept"


def _faults_of_recovery(root: Path, plan: Plan, number: int) -> Iterator[str]:
    path = root / registry_name(number)
    lock_timeout_s = _SILENCE_S if _is_silent(path / ".zsm" / "lock") else _SOON_S
    with plan.enter(root, number, lock_timeout_s=lock_timeout_s) as registry:
        registry.save(LATER)
        if registry.get(LATER.schema_hash) != LATER:
            yield f"{path.name}: the next save has no effect"
        registry.delete(LATER.schema_hash)


def _is_silent(lock: Path) -> bool:
    return lock.is_file() and not lock.read_bytes()


def _age_what_was_left(path: Path) -> list[Path]:
    folder = path / ".zsm" / "tmp"
    left = list(folder.iterdir()) if folder.is_dir() else []
    for file in left:
        old = file.stat().st_mtime - _LONG_AGO_S
        os.utime(file, (old, old))
    return left


def _step(artifact: ModelArtifact | None) -> str:
    return "nothing" if artifact is None else f"step {artifact.em_iterations}"
