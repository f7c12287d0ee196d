"""Artifacts as a revision of git has them: what ``REV:REF`` means."""

from __future__ import annotations

import logging
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from zsm_store.codec.artifact_json import decode_index_entry, decode_with_digest
from zsm_store.errors import (
    AmbiguousRefError,
    ArtifactNotFoundError,
    FormatError,
)
from zsm_store.git.repository import Repository
from zsm_store.model.fingerprint import is_schema_hash
from zsm_store.registry.refs import MIN_PREFIX
from zsm_store.registry.settings import Layout, RegistrySettings
from zsm_store.registry.site import SETTINGS_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from zsm_store.model.artifact import ModelArtifact

logger = logging.getLogger(__name__)

_ARTIFACT = re.compile(r"(?:([0-9a-f]{2})/)?(([0-9a-f]{64})\.json)\Z")
_STAGE = re.compile(r"([0-3]):(.*)\Z", re.DOTALL)
_OBJECT = re.compile(r"[0-9a-f]{40,64}\Z")
_REGULAR = {"100644", "100755"}


class RevisionRef(NamedTuple):
    """An artifact of a revision, as people name it."""

    revision: str
    """What git understands; empty for the index."""
    ref: str
    """A schema hash, the start of one, or a tag that it had there."""
    stage: int = 0
    """In the index of a merge: 1 is the common ancestor, 2 ours, 3 theirs."""

    @classmethod
    def parse(cls, text: str) -> RevisionRef | None:
        """Split ``REV:REF``, ``:REF`` or ``:STAGE:REF``; None if there is no colon.

        As in git, a colon in braces belongs to the revision, as in
        ``HEAD^{/fix: typo}:people``.
        """
        depth = 0
        for place, letter in enumerate(text):
            depth += {"{": 1, "}": -1}.get(letter, 0)
            if letter == ":" and depth == 0:
                revision, ref = text[:place], text[place + 1 :]
                break
        else:
            return None
        stage = _STAGE.match(ref) if not revision else None
        return cls("", stage[2], int(stage[1])) if stage else cls(revision, ref)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommittedArtifact:
    """An artifact as git has it."""

    artifact: ModelArtifact
    digest: str


def artifact_at(directory: Path | str, wanted: RevisionRef) -> CommittedArtifact:
    """Return an artifact as it was in a revision.

    Parameters
    ----------
    directory
        Of the registry, which lay there in that revision, too.
    wanted
        Which artifact, and of which revision.

    Raises
    ------
    NotInGitError, GitError
        There is no repository, or git refuses it.
    ArtifactNotFoundError, AmbiguousRefError
        No artifact of that revision answers, or several do; or no such revision.
    FormatError
        It is damaged there.
    """
    repository = Repository.around(directory)
    found = _Tree(repository, directory, wanted)
    schema_hash = found.resolve(wanted.ref)
    file = found.files[schema_hash]
    data = repository.blobs([file.blob])[file.blob]
    try:
        artifact, digest = decode_with_digest(data, schema_hash)
    except FormatError as error:
        error.source = found.told(file)
        raise
    return CommittedArtifact(artifact=artifact, digest=digest)


def resolve_at(directory: Path | str, wanted: RevisionRef) -> str:
    """Return the schema hash that `artifact_at` would. Raises like it."""
    return _Tree(Repository.around(directory), directory, wanted).resolve(wanted.ref)


class _File(NamedTuple):
    name: str
    """Within the registry."""
    blob: str


class _Tree:
    """The artifacts of a registry in one revision, or in the index."""

    def __init__(
        self, repository: Repository, directory: Path | str, wanted: RevisionRef
    ) -> None:
        folder = repository.relative(directory)
        self._repository = repository
        self._where = _where(wanted)
        self._hint = ""
        if wanted.revision:
            listed = _tree_entries(repository, folder, wanted.revision, wanted.ref)
        else:
            listed = _index_entries(repository, folder, wanted.stage)
            if not wanted.stage:
                sides = f"':2:{wanted.ref}' is ours, ':3:{wanted.ref}' theirs"
                self._hint = f"; of a conflict, {sides}"
        flat: dict[str, _File] = {}
        folded: dict[str, _File] = {}
        settings = None
        for file in listed:
            match = _ARTIFACT.match(file.name)
            if match and match[3].startswith(match[1] or ""):
                (folded if match[1] else flat)[match[3]] = file
            elif file.name == SETTINGS_NAME:
                settings = file
        self.files = {**flat, **folded}
        """By schema hash."""
        # Of two copies the one counts that a reader of that revision would serve.
        if flat.keys() & folded.keys() and not self._is_fan_out(settings):
            self.files.update(flat)

    def resolve(self, ref: str) -> str:
        """Return the schema hash of the artifact that answers to a reference."""
        digits = ref.lower()
        if is_schema_hash(digits):
            found = self.files.keys() & {digits}
        else:
            found = set(self._tagged(ref))
            if len(digits) >= MIN_PREFIX:
                found.update(key for key in self.files if key.startswith(digits))
        if len(found) > 1:
            raise AmbiguousRefError(ref, sorted(found))
        if not found:
            raise ArtifactNotFoundError(ref, f"not in {self._where}{self._hint}")
        return found.pop()

    def told(self, file: _File) -> str:
        """Return what a file is called in messages."""
        return f"{file.name} in {self._where}"

    def _tagged(self, tag: str) -> Iterator[str]:
        contents = self._repository.blobs(file.blob for file in self.files.values())
        for schema_hash, file in self.files.items():
            try:
                entry = decode_index_entry(contents[file.blob], schema_hash)
            except FormatError as error:
                error.source = self.told(file)
                logger.warning("skipped: %s", error)
            else:
                if entry.tag == tag:
                    yield schema_hash

    def _is_fan_out(self, settings: _File | None) -> bool:
        if settings is None:
            return False
        data = self._repository.blobs([settings.blob])[settings.blob]
        try:
            return RegistrySettings.decode(data).layout is Layout.FAN_OUT
        except FormatError:
            return False


def _where(wanted: RevisionRef) -> str:
    if wanted.revision:
        return f"revision '{wanted.revision}'"
    return f"stage {wanted.stage} of the index" if wanted.stage else "the index"


def _tree_entries(
    repository: Repository, folder: str, revision: str, ref: str
) -> Iterator[_File]:
    """Yield the files within the registry."""
    inside = _tree_of(repository, revision, ref)
    if folder != ".":
        inside += f":{folder}"
        # It may not have been there yet.
        if repository.run("cat-file", "-t", inside, expect=(0, 128)).strip() != b"tree":
            return
    listed = repository.run("ls-tree", "-r", "-z", inside)
    for line in listed.split(b"\0")[:-1]:
        facts, _, name = line.partition(b"\t")
        mode, _, blob = facts.decode().split(" ")
        if mode in _REGULAR:
            yield _File(os.fsdecode(name), blob)


def _tree_of(repository: Repository, revision: str, ref: str) -> str:
    tree = ""
    # Git would take the first of these for an option, and cannot be given the second.
    if not revision.startswith("-") and "\0" not in revision:
        found = repository.run(
            *("rev-parse", "--verify", "--quiet", f"{revision}^{{tree}}"),
            expect=(0, 1, 128),
        )
        tree = found.decode().strip()
    if not _OBJECT.match(tree):  # ^main is understood, but no revision
        shallow = ", which is a shallow clone" if repository.is_shallow else ""
        hint = f"no revision '{revision}' in '{repository.top}'{shallow}"
        raise ArtifactNotFoundError(f"{revision}:{ref}", hint)
    return tree


def _index_entries(repository: Repository, folder: str, stage: int) -> Iterator[_File]:
    """Yield the files within the registry, of one stage."""
    start = "" if folder == "." else f"{folder}/"
    listed = repository.run("ls-files", "--stage", "-z", "--", folder)
    for line in listed.split(b"\0")[:-1]:
        facts, _, name = line.partition(b"\t")
        mode, blob, found = facts.decode().split(" ")
        if mode in _REGULAR and int(found) == stage:
            yield _File(os.fsdecode(name).removeprefix(start), blob)
