"""What an artifact was before: the versions that its registry keeps."""

from __future__ import annotations

import errno
import re
from typing import TYPE_CHECKING

from zsm_store.codec.artifact_json import DIGEST_PREFIX
from zsm_store.errors import (
    AmbiguousRefError,
    ArtifactNotFoundError,
    FormatError,
    StorageError,
)
from zsm_store.registry.refs import MIN_PREFIX
from zsm_store.registry.store import EXHAUSTED
from zsm_store.registry.version import Version

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zsm_store.registry.store import ArtifactStore

_DIGITS = re.compile(rf"(?:{DIGEST_PREFIX})?([0-9a-f]{{{MIN_PREFIX},64}})\Z")
_TRIES = 100


def versions(store: ArtifactStore, schema_hash: str) -> list[Version]:
    """Return the versions of one artifact, the served one first, then the last.

    Raises
    ------
    ArtifactNotFoundError
        There is none, and never was, as far as the registry remembers.
    StorageError
        The history cannot be read, or never comes to rest.
    """
    served = _served(store, schema_hash)
    for _ in range(_TRIES):
        replaced = store.replaced(schema_hash)
        before, served = served, _served(store, schema_hash)
        # Otherwise one that went from here to there meanwhile might be in neither.
        if served == before:
            break
    else:
        busy = OSError(errno.EBUSY, "it changes faster than it can be read; try again")
        raise StorageError.of("read", store.location, busy)
    if served is None:
        if not replaced:
            raise ArtifactNotFoundError(schema_hash)
        return replaced
    if replaced and served.digest is not None and replaced[0].digest == served.digest:
        # Kept by a save that came to nothing, or deleted and saved again.
        del replaced[0]
    return [served, *replaced]


def version_with(found: Iterable[Version], schema_hash: str, digest: str) -> Version:
    """Return the version with a digest, or the only one whose digest begins so.

    Parameters
    ----------
    found
        What `versions` returned.
    schema_hash
        Of which artifact.
    digest
        With or without ``sha256:``; 6 hex digits at least.

    Raises
    ------
    ArtifactNotFoundError, AmbiguousRefError
        No version has it, or several do.
    """
    match = _DIGITS.match(digest.lower())
    start = DIGEST_PREFIX + match[1] if match else None
    matching = {
        version.digest: version
        # The served one, which comes first, is the one to return.
        for version in reversed([*found])
        if version.digest and start and version.digest.startswith(start)
    }
    if len(matching) > 1:
        raise AmbiguousRefError(digest, sorted(matching))
    if not matching:
        ref = f"{schema_hash[:12]} with digest {digest}"
        hint = f"'zsm log {schema_hash[:12]}' lists the versions and their digests"
        raise ArtifactNotFoundError(ref, hint)
    return matching.popitem()[1]


def find_version(store: ArtifactStore, schema_hash: str, digest: str) -> Version:
    """Return one of the `versions` by its digest. Raises like `version_with`."""
    return version_with(versions(store, schema_hash), schema_hash, digest)


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


def _served(store: ArtifactStore, schema_hash: str) -> Version | None:
    artifact, digest, problem = None, None, ""
    try:
        artifact, digest = store.load_with_digest(schema_hash)
    except ArtifactNotFoundError:
        return None
    except FormatError as error:
        problem = str(error)
    except StorageError as error:
        if error.errno in EXHAUSTED:
            raise
        problem = str(error)
    return Version(
        schema_hash=schema_hash,
        replaced_at=None,
        digest=digest,
        artifact=artifact,
        problem=problem,
    )
