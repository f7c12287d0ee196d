"""Resolve the conflicts of a registry: one whole side each, or a person has to say."""

from __future__ import annotations

import os
import shlex
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zsm_store.codec.strict_json import MAX_BYTES
from zsm_store.errors import AmbiguousRefError, ArtifactNotFoundError
from zsm_store.git.advice import advice
from zsm_store.git.choice import Choice, Policy, Side, Version, choose
from zsm_store.git.conflicts import find_conflicts
from zsm_store.git.operation import current_operation
from zsm_store.git.repository import Repository
from zsm_store.registry.refs import MIN_PREFIX
from zsm_store.registry.site import RegistrySite
from zsm_store.storage.directory import ArtifactDirectory
from zsm_store.storage.listing import FAN_DIGITS
from zsm_store.storage.regular_file import read_regular

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from zsm_store.git.conflicts import Conflict
    from zsm_store.git.operation import Operation

_SYNCING = 8
"""Threads that sync files: a disk writes many at once in about the time of one."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one conflict."""

    conflict: Conflict
    choice: Choice
    """Without a side: it is still there."""
    advice: str = ""
    """What a person may type."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """What became of all that was asked for."""

    operation: Operation
    outcomes: list[Outcome]
    others: list[str]
    """Files in conflict that are no artifacts; they are never touched."""

    @property
    def left(self) -> list[Outcome]:
        """What stays for a person."""
        return [outcome for outcome in self.outcomes if outcome.choice.side is None]


def resolve(
    registry: Path,
    refs: Sequence[str] = (),
    *,
    policy: Policy = Policy.MANUAL,
    side: Side | None = None,
    lock_timeout_s: float,
) -> Resolution:
    """Choose a whole side of each conflict, write it, and tell git.

    Parameters
    ----------
    registry
        The directory.
    refs
        Hashes, starts of hashes or tags of what to resolve; none means all.
    policy
        Decides between two trainings of one schema.
    side
        Take this side, whatever the policy; even where it deleted the artifact.
    lock_timeout_s
        How long to wait for other writers.

    Raises
    ------
    GitError
        git refuses something; what was written until then is a whole side.
    ArtifactNotFoundError, AmbiguousRefError
        A reference means no conflict, or several.
    RegistryLockedError, StorageError
        A writer does not finish, or the file system refuses something.
    """
    repository = Repository.around(registry)
    operation = current_operation(repository)
    found = find_conflicts(repository, registry)
    if not _wanted(found.artifacts, refs):
        return Resolution(operation, [], found.others)
    # Nobody must save between our look at a file and the rename, or resolve the same
    # conflict in another way.
    with RegistrySite(registry, lock_timeout_s).locked():
        found = find_conflicts(repository, registry)
        wanted = _wanted(found.artifacts, refs)
        outcomes = [_decided(conflict, policy, side) for conflict in wanted]
        taken = [outcome for outcome in outcomes if outcome.choice.side]
        _write(registry, taken)
        _stage(repository, taken)
    return Resolution(operation, outcomes, found.others)


def _wanted(conflicts: list[Conflict], refs: Sequence[str]) -> list[Conflict]:
    if not refs:
        return conflicts
    chosen: dict[str, Conflict] = {}
    for ref in refs:
        found = [conflict for conflict in conflicts if _answers(conflict, ref)]
        hashes = {conflict.schema_hash for conflict in found}
        if len(hashes) > 1:
            raise AmbiguousRefError(ref, sorted(hashes))
        if not found:
            raise ArtifactNotFoundError(
                ref, "it is not in conflict; 'git status' lists what is"
            )
        chosen.update({conflict.name: conflict for conflict in found})
    return list(chosen.values())


def _answers(conflict: Conflict, ref: str) -> bool:
    digits = ref.lower()
    if len(digits) >= MIN_PREFIX and conflict.schema_hash.startswith(digits):
        return True
    artifacts = [version.artifact for version in conflict.versions.values()]
    return any(it is not None and it.tag == ref for it in artifacts)


def _decided(conflict: Conflict, policy: Policy, side: Side | None) -> Outcome:
    if side is None:
        choice = choose(conflict.base, conflict.ours, conflict.theirs, policy)
    else:
        choice = _asked_for(conflict, side)
    if choice.side is None:
        versions = conflict.base, conflict.ours, conflict.theirs
        return Outcome(conflict, choice, advice(conflict.schema_hash, *versions))
    if os.path.lexists(_other_place(conflict)):
        both = Choice(None, "it lies in both layouts")
        return Outcome(conflict, both, "'zsm verify' names them; 'git rm' one of them")
    obstacle = _obstacle(conflict)
    if obstacle is None:
        return Outcome(conflict, choice)
    name = shlex.quote(os.path.relpath(conflict.path))
    keep = f"'git add {name}' keeps it, 'git checkout --{choice.side} {name}' drops it"
    return Outcome(conflict, Choice(None, obstacle), keep)


def _asked_for(conflict: Conflict, side: Side) -> Choice:
    version = conflict.version(side)
    if version is None and conflict.base is None:
        # This side has not deleted it: it never had it.
        return choose(None, conflict.ours, conflict.theirs, Policy.MANUAL)
    if version is None:
        return Choice(side, "as asked: it is deleted")
    if version.artifact is None:
        return Choice(None, f"{side} cannot be trusted: {version.problem}")
    return Choice(side, "as asked")


def _obstacle(conflict: Conflict) -> str | None:
    """Return why the file in the work tree may not be replaced."""
    try:
        data = read_regular(conflict.path, MAX_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"the file in the work tree cannot be read: {error.strerror}"
    found = Version.of(data, conflict.schema_hash)
    if found.artifact is None and found.other_schema is None:
        return None  # git's own mixture, or with its markers: nobody's training
    for known in conflict.versions.values():
        # Line ends may have been rewritten.
        if found.data == known.data or (found.digest and found.digest == known.digest):
            return None
    return "the work tree has a training that is on neither side"


def _other_place(conflict: Conflict) -> Path:
    """Return where the artifact would lie in the other layout."""
    path, folder = conflict.path, conflict.schema_hash[:FAN_DIGITS]
    if conflict.in_folder:
        return path.parents[1] / path.name
    return path.parent / folder / path.name


def _write(registry: Path, taken: Sequence[Outcome]) -> None:
    for in_folder in (False, True):
        directory = ArtifactDirectory(registry.resolve(), fan_out=in_folder)
        written = {}
        for outcome in taken:
            conflict, side = outcome.conflict, outcome.choice.side
            if side is None or conflict.in_folder is not in_folder:
                continue
            version = conflict.version(side)
            if version is None:
                directory.delete(conflict.schema_hash)
            else:
                written[conflict.schema_hash] = version.data
        if written:
            _publish(directory, written)


def _publish(directory: ArtifactDirectory, contents: dict[str, bytes]) -> None:
    with ExitStack() as cleanup, ThreadPoolExecutor(_SYNCING, "zsm-write") as threads:

        def stage(item: tuple[str, bytes]) -> Path:
            return cleanup.enter_context(directory.staged(*item))

        staged = list(threads.map(stage, contents.items()))
        for staging, (schema_hash, data) in zip(staged, contents.items(), strict=True):
            directory.publish(staging, schema_hash, data)
        directory.sync(contents)


def _stage(repository: Repository, taken: Sequence[Outcome]) -> None:
    lines = []
    for outcome in taken:
        conflict, side = outcome.conflict, outcome.choice.side
        if side is None:
            continue
        blob = conflict.blob(side)
        nothing = "0" * len(next(iter(conflict.blobs.values())).id)
        lines.append(f"0 {nothing}\t{conflict.name}\0")
        if blob is not None:
            lines.append(f"100644 {blob.id} 0\t{conflict.name}\0")
    if lines:
        entries = os.fsencode("".join(lines))
        repository.run("update-index", "-z", "--index-info", input=entries)
        # Scripts that ask the index alone would find every file changed.
        repository.run("update-index", "-q", "--refresh", expect=(0, 1))
