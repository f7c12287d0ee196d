"""Artifacts in memory, for tests and short-lived pipelines."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from typing import TYPE_CHECKING

from zsm_store.codec import artifact_json
from zsm_store.codec.artifact_json import IndexEntry
from zsm_store.errors import ArtifactNotFoundError, ZsmError
from zsm_store.registry.checks import artifact_problems
from zsm_store.registry.store import (
    Listing,
    Saved,
    check_precondition,
)

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from zsm_store.model.artifact import ModelArtifact
    from zsm_store.registry.problem import Problem
    from zsm_store.registry.version import Version


class MemoryStore:
    """See `ArtifactStore`. What a directory would refuse is refused here, too."""

    location = "memory"

    granularity_s = 0.0

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._artifacts: dict[str, tuple[ModelArtifact, str]] = {}
        self._changes = 0

    def entries(self, known: Listing | None = None) -> Listing:  # noqa: ARG002  # nothing is cheaper
        """Return the digests by hash."""
        with self._lock:
            digests = {key: digest for key, (_, digest) in self._artifacts.items()}
            return Listing(digests, self._changes)

    def holds(self, listing: Listing) -> bool:
        """Whether nothing has changed since."""
        return listing.state == self._changes

    def unsettled(self, listing: Listing, schema_hashes: set[str]) -> set[str]:  # noqa: ARG002  # a digest tells every change
        """Return nothing."""
        return set()

    def index_entries(
        self, schema_hashes: Iterable[str]
    ) -> Iterator[tuple[str, Hashable, IndexEntry | Exception]]:
        """Yield fingerprints and tags."""
        for key in schema_hashes:
            try:
                artifact, digest = self._get(key)
            except ArtifactNotFoundError as error:
                yield key, None, error
            else:
                yield key, digest, IndexEntry(artifact.fingerprint, artifact.tag)

    def load_version(
        self,
        schema_hash: str,
        version: Hashable,
        *,
        hurried: bool = False,  # noqa: ARG002  # nothing is slow here
    ) -> ModelArtifact | None:
        """Return one artifact if it still has this digest."""
        with self._lock:
            artifact, digest = self._artifacts.get(schema_hash, (None, None))
        return artifact if digest == version else None

    def load(self, schema_hash: str, *, listed: bool = False) -> ModelArtifact:  # noqa: ARG002  # nothing hides a moment here
        """Return one artifact."""
        return self._get(schema_hash)[0]

    def load_with_digest(self, schema_hash: str) -> tuple[ModelArtifact, str]:
        """Return one artifact and its digest."""
        return self._get(schema_hash)

    def digest(self, schema_hash: str) -> str:
        """Return the digest of one artifact."""
        return self._get(schema_hash)[1]

    def replaced(self, schema_hash: str) -> list[Version]:  # noqa: ARG002  # nothing is kept
        """Return nothing."""
        return []

    def replaced_hashes(self) -> list[str]:
        """Return nothing."""
        return []

    def save(
        self, artifact: ModelArtifact, *, if_match: str | None, if_absent: bool
    ) -> Saved:
        """Keep an artifact."""
        digest = artifact_json.digest(artifact)
        with self._lock:
            self._check(artifact.schema_hash, if_match=if_match, if_absent=if_absent)
            self._artifacts[artifact.schema_hash] = artifact, digest
            self._changes += 1
        return Saved(digest, digest)

    def save_many(
        self, artifacts: Sequence[ModelArtifact], *, if_absent: bool
    ) -> Iterator[Saved | ZsmError]:
        """Keep artifacts."""
        for artifact in artifacts:
            try:
                yield self.save(artifact, if_match=None, if_absent=if_absent)
            except ZsmError as error:
                yield error

    def delete(self, schema_hash: str, *, if_match: str | None) -> bool:
        """Forget an artifact."""
        with self._lock:
            self._check(schema_hash, if_match=if_match, if_absent=False)
            self._changes += 1
            return self._artifacts.pop(schema_hash, None) is not None

    def locked(self) -> AbstractContextManager[None]:
        """Nothing to do: `entries` is one moment, and artifacts are immutable."""
        return nullcontext()

    def verify(self) -> Iterator[Problem]:
        """Check the model's soft rules; the hard ones hold."""
        with self._lock:
            artifacts = [artifact for artifact, _ in self._artifacts.values()]
        for artifact in artifacts:
            yield from artifact_problems(artifact, artifact.schema_hash)

    def close(self) -> None:
        """Nothing is open."""

    def after_fork(self) -> None:
        """Make the child of a fork independent of the parent's threads."""
        self._lock = threading.Lock()

    def _check(
        self, schema_hash: str, *, if_match: str | None, if_absent: bool
    ) -> None:
        stored = self._artifacts.get(schema_hash)
        found = None if stored is None else stored[1]
        check_precondition(schema_hash, found, if_match=if_match, if_absent=if_absent)

    def _get(self, schema_hash: str) -> tuple[ModelArtifact, str]:
        with self._lock:
            stored = self._artifacts.get(schema_hash)
        if stored is None:
            raise ArtifactNotFoundError(schema_hash)
        return stored
