"""What git could not merge in a registry, as its index has it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from zsm_store.git.choice import Side, Version

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from zsm_store.git.repository import Repository

_ARTIFACT = re.compile(r"(?:([0-9a-f]{2})/)?(([0-9a-f]{2})[0-9a-f]{62})\.json\Z")
_BASE = 1
_STAGES = {Side.OURS: 2, Side.THEIRS: 3}
_REGULAR = {"100644", "100755"}


@dataclass(frozen=True, slots=True)
class Blob:
    """A file as the index names it."""

    mode: str
    id: str

    @property
    def is_regular(self) -> bool:
        """Whether it is a file, and no link or other repository."""
        return self.mode in _REGULAR


@dataclass(frozen=True, slots=True)
class Conflict:
    """An artifact of which git has more than one version."""

    name: str
    """From the top of the work tree."""
    path: Path
    schema_hash: str
    in_folder: bool
    """Whether it lies in a fan-out folder."""
    blobs: Mapping[int, Blob]
    """By stage: 1 is what both sides come from, 2 is ours, 3 is theirs."""
    versions: Mapping[int, Version]
    """Of the same stages."""

    @property
    def base(self) -> Version | None:
        """What both sides come from; None where each made one."""
        return self.versions.get(_BASE)

    @property
    def ours(self) -> Version | None:
        """What our side has."""
        return self.version(Side.OURS)

    @property
    def theirs(self) -> Version | None:
        """What their side has."""
        return self.version(Side.THEIRS)

    def version(self, side: Side) -> Version | None:
        """Return what a side has; None where it has none."""
        return self.versions.get(_STAGES[side])

    def blob(self, side: Side) -> Blob | None:
        """Return what the index says of that."""
        return self.blobs.get(_STAGES[side])


@dataclass(frozen=True, slots=True)
class Conflicts:
    """All there are in a registry."""

    artifacts: list[Conflict] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    """Names of files that are no artifacts."""


def find_conflicts(repository: Repository, registry: Path) -> Conflicts:
    """Read the unmerged entries of a registry's directory, all of them at once.

    Raises
    ------
    GitError
        git refuses something, or the registry is outside of the repository.
    """
    folder = repository.relative(registry)
    listed = repository.run("ls-files", "--unmerged", "-z", "--", folder)
    entries: dict[str, dict[int, Blob]] = {}
    for entry in filter(None, listed.split(b"\0")):
        facts, _, name = os.fsdecode(entry).partition("\t")
        mode, blob_id, stage = facts.split(" ")
        entries.setdefault(name, {})[int(stage)] = Blob(mode, blob_id)
    prefix = "" if folder == "." else f"{folder}/"
    places = {name: _place(name.removeprefix(prefix)) for name in entries}
    contents = repository.blobs(
        blob.id
        for name, blobs in entries.items()
        for blob in blobs.values()
        if places[name] and blob.is_regular
    )
    found = Conflicts()
    for name, blobs in entries.items():
        place = places[name]
        if place is None:
            found.others.append(name)
            continue
        versions = {
            stage: Version.of(contents[blob.id], place[0])
            if blob.is_regular
            else Version(b"", None, None, "it is a link")
            for stage, blob in blobs.items()
        }
        path = repository.top / name
        found.artifacts.append(Conflict(name, path, *place, blobs, versions))
    return found


def _place(name: str) -> tuple[str, bool] | None:
    """Return whose file a name in a registry is, and whether it is in a folder."""
    match = _ARTIFACT.match(name)
    if match is None:
        return None
    folder, schema_hash, digits = match.groups()
    return None if folder not in {None, digits} else (schema_hash, folder is not None)
