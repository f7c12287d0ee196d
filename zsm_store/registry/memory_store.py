"""Artifacts in memory, for tests and short-lived pipelines."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from typing import TYPE_CHECKING

from zsm_store.codec import artifact_json
from zsm_store.errors import ArtifactNotFoundError
from zsm_store.registry.checks import artifact_problems
from zsm_store.registry.store import check_precondition

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from zsm_store.model.artifact import ModelArtifact
    from zsm_store.registry.problem import Problem


class MemoryStore:
    """See `ArtifactStore`. What a directory would refuse is refused here, too."""

    location = "memory"

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._artifacts: dict[str, tuple[ModelArtifact, str]] = {}
        self._entries: dict[str, str] | None = None

    def entries(
        self,
        known: Mapping[str, Hashable] | None = None,  # noqa: ARG002  # nothing is cheaper
    ) -> Mapping[str, str]:
        """Return the digests by hash; the same object until something changes."""
        with self._lock:
            if self._entries is None:
                self._entries = {
                    key: self._artifacts[key][1] for key in sorted(self._artifacts)
                }
            return self._entries

    def load(self, schema_hash: str, *, listed: bool = False) -> ModelArtifact:  # noqa: ARG002  # nothing hides a moment here
        """Return one artifact."""
        return self._get(schema_hash)[0]

    def digest(self, schema_hash: str) -> str:
        """Return the digest of one artifact."""
        return self._get(schema_hash)[1]

    def save(
        self, artifact: ModelArtifact, *, if_match: str | None, if_absent: bool
    ) -> str:
        """Keep an artifact."""
        digest = artifact_json.digest(artifact)
        with self._lock:
            self._check(artifact.schema_hash, if_match=if_match, if_absent=if_absent)
            self._artifacts[artifact.schema_hash] = artifact, digest
            self._entries = None
        return digest

    def delete(self, schema_hash: str, *, if_match: str | None) -> bool:
        """Forget an artifact."""
        with self._lock:
            self._check(schema_hash, if_match=if_match, if_absent=False)
            self._entries = None
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
