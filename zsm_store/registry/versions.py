"""What an artifact was before: the versions that its registry keeps."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zsm_store.codec.artifact_json import DIGEST_PREFIX
from zsm_store.errors import (
    AmbiguousRefError,
    ArtifactNotFoundError,
    FormatError,
    StorageError,
)
from zsm_store.registry.refs import MIN_PREFIX

if TYPE_CHECKING:
    from datetime import datetime

    from zsm_store.model.artifact import ModelArtifact
    from zsm_store.registry.store import ArtifactStore

_DIGITS = re.compile(rf"(?:{DIGEST_PREFIX})?([0-9a-f]{{{MIN_PREFIX},64}})\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One training of a schema."""

    schema_hash: str
    replaced_at: datetime | None
    """UTC; None for the version that is served."""
    digest: str | None
    """None where it cannot be read."""
    artifact: ModelArtifact | None
    problem: str = ""
    """Why it cannot be read."""


def versions(store: ArtifactStore, schema_hash: str) -> list[Version]:
    """Return the versions of one artifact, the served one first, then the last.

    Raises
    ------
    ArtifactNotFoundError
        There is none, and never was, as far as the registry remembers.
    """
    found = store.replaced(schema_hash)
    try:
        artifact, digest, problem = *store.load_with_digest(schema_hash), ""
    except ArtifactNotFoundError:
        if not found:
            raise
        return found
    except (FormatError, StorageError) as error:
        artifact, digest, problem = None, None, str(error)
    served = Version(
        schema_hash=schema_hash,
        replaced_at=None,
        digest=digest,
        artifact=artifact,
        problem=problem,
    )
    return [served, *found]


def find_version(store: ArtifactStore, schema_hash: str, digest: str) -> Version:
    """Return the version with a digest, or the only one whose digest begins so.

    Parameters
    ----------
    store, schema_hash
        Where, and of which artifact.
    digest
        With or without ``sha256:``; 6 hex digits at least.

    Raises
    ------
    ArtifactNotFoundError, AmbiguousRefError
        No version has it, or several do.
    """
    match = _DIGITS.match(digest.lower())
    hint = f"'zsm log {schema_hash[:12]}' lists the versions and their digests"
    if match is None:
        raise ArtifactNotFoundError(f"{schema_hash[:12]} with digest {digest}", hint)
    start = DIGEST_PREFIX + match[1]
    found: dict[str, Version] = {}
    for version in versions(store, schema_hash):
        if version.digest is not None and version.digest.startswith(start):
            found.setdefault(version.digest, version)
    if len(found) > 1:
        raise AmbiguousRefError(digest, sorted(found))
    if not found:
        raise ArtifactNotFoundError(f"{schema_hash[:12]} with digest {digest}", hint)
    return found.popitem()[1]


def resolve_replaced(store: ArtifactStore, ref: str) -> str:
    """Return the schema hash of an artifact that was deleted.

    Raises
    ------
    ArtifactNotFoundError, AmbiguousRefError
        No kept versions answer to the start of a hash, or those of several artifacts.
    """
    digits = ref.lower()
    found = []
    if len(digits) >= MIN_PREFIX:
        found = [key for key in store.replaced_hashes() if key.startswith(digits)]
    if len(found) > 1:
        raise AmbiguousRefError(ref, found)
    if not found:
        hint = f"neither stored nor kept in '{store.location}'"
        raise ArtifactNotFoundError(ref, hint)
    return found[0]
