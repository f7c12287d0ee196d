"""An artifact of the command line: of the registry, of a revision, or in a file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from zsm_store.cli.option_types import read_file
from zsm_store.codec.artifact_json import decode_with_digest, digest
from zsm_store.errors import ArtifactNotFoundError, FormatError, NotInGitError

if TYPE_CHECKING:
    from zsm_store.cli.session import Session
    from zsm_store.model.artifact import ModelArtifact
    from zsm_store.registry.schema_registry import SchemaRegistry


class NamedArtifact(NamedTuple):
    """An artifact, and what somebody calls it."""

    name: str
    artifact: ModelArtifact
    digest: str


def artifact_of_file_or_ref(session: Session, text: str) -> NamedArtifact:
    """Return the artifact in a file, or else the one that a REF or ``REV:REF`` means.

    A file is meant where there is one, and the text has a slash or ends in ``.json``:
    a tag is never taken for a file beside it.

    Raises
    ------
    ZsmError
        It cannot be read, or no artifact answers.
    """
    path = Path(text)
    if (os.sep in text or path.suffix == ".json") and path.is_file():
        try:
            return NamedArtifact(text, *decode_with_digest(read_file(path)))
        except FormatError as error:
            error.source = path
            raise
    with session.open_registry() as registry:
        return artifact_of_ref(registry, text)


def artifact_of_ref(registry: SchemaRegistry, text: str) -> NamedArtifact:
    """Return the artifact that a REF means, or ``REV:REF`` in a revision of git.

    Raises
    ------
    ArtifactNotFoundError, AmbiguousRefError, GitError
        No artifact answers, or several do; there is no such revision.
    FormatError
        It is damaged.
    """
    try:
        artifact = registry.get(text)
    except ArtifactNotFoundError as error:
        # A tag may have a colon in it, and then means what it always did.
        found = _artifact_of_revision(registry, text)
        if found is None:
            raise
        if isinstance(found, NotInGitError):
            raise ArtifactNotFoundError(
                error.ref, f"{error.args[1]}; {found}"
            ) from None
        return found
    return NamedArtifact(text, artifact, digest(artifact))


def _artifact_of_revision(
    registry: SchemaRegistry, text: str
) -> NamedArtifact | NotInGitError | None:
    """Look for ``REV:REF``; None if it is not of that form."""
    if ":" not in text:
        return None
    from zsm_store.git.revisions import RevisionRef, artifact_at  # noqa: PLC0415  # runs git

    wanted = RevisionRef.parse(text)
    if wanted is None or not Path(registry.location).is_dir():
        return None
    try:
        found = artifact_at(registry.location, wanted)
    except NotInGitError as error:
        return error
    return NamedArtifact(text, found.artifact, found.digest)
