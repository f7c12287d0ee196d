"""Artifacts by schema hash, wherever they are kept."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, NamedTuple, Protocol

from zsm_store.errors import ConflictError

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from zsm_store.codec.artifact_json import IndexEntry
    from zsm_store.errors import ZsmError
    from zsm_store.model.artifact import ModelArtifact
    from zsm_store.registry.problem import Problem
    from zsm_store.registry.version import Version


MAY_NOT_WRITE = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
"""Why somebody may not lock a registry: who only reads need not."""

EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""What this process or host has run out of: no fault of the file that met it, so no
reason to answer without it."""


class Listing(dict[str, "Hashable"]):
    """Version of each artifact by hash, in no order."""

    __slots__ = ("state",)

    def __init__(self, versions: Mapping[str, Hashable], state: object) -> None:
        super().__init__(versions)
        self.state = state
        """By which the store tells whether it still holds."""


class Saved(NamedTuple):
    """What a save did."""

    digest: str
    version: Hashable
    """As in a `Listing`; None where it is not known."""


class ArtifactStore(Protocol):
    """What the registry needs of a directory, a bundle or memory."""

    @property
    def location(self) -> str:
        """Where it is, for messages."""

    def entries(self, known: Listing | None = None) -> Listing:
        """Return the version of each artifact by hash, all of one moment.

        A version changes whenever the content does.

        Parameters
        ----------
        known
            What an earlier call returned: helps to tell when it can be believed.

        Raises
        ------
        StorageError
            It cannot be listed.
        """

    def holds(self, listing: Listing) -> bool:
        """Whether a cheap look says that nothing has changed since a listing.

        Raises
        ------
        StorageError
            The store cannot be looked at.
        """

    @property
    def granularity_s(self) -> float:
        """Seconds within which two changes may have the same version."""

    def unsettled(self, listing: Listing, schema_hashes: set[str]) -> set[str]:
        """Return those that were changed less than `granularity_s` ago, or may be."""

    def index_entries(
        self, schema_hashes: Iterable[str]
    ) -> Iterator[tuple[str, Hashable, IndexEntry | Exception]]:
        """Load what the index needs of artifacts that were listed a moment ago.

        Yields
        ------
        schema_hash, version, entry
            In some order; instead of an entry the error that `load` would raise. The
            version is that of what was read.
        """

    def load(self, schema_hash: str, *, listed: bool = False) -> ModelArtifact:
        """Load and check one artifact; `listed` if it was there a moment ago.

        Raises
        ------
        ArtifactNotFoundError
            There is none.
        FormatError
            It is damaged; its source is named.
        """

    def load_version(
        self, schema_hash: str, version: Hashable, *, hurried: bool = False
    ) -> ModelArtifact | None:
        """Load an artifact; None if it is not any more what was listed.

        Parameters
        ----------
        schema_hash, version
            As in a listing.
        hurried
            Rather list anew than wait for a drive that hides the file for a moment.

        Raises
        ------
        StorageError
            It is there and cannot be read.
        """

    def load_with_digest(self, schema_hash: str) -> tuple[ModelArtifact, str]:
        """Load one artifact and its digest; raises like `load`."""

    def digest(self, schema_hash: str) -> str:
        """Return the digest of one artifact; raises like `load`."""

    def replaced(self, schema_hash: str) -> list[Version]:
        """Return the versions of an artifact that were replaced, the last one first."""

    def replaced_hashes(self) -> list[str]:
        """Return the artifacts of which there are such versions, sorted."""

    def save(
        self, artifact: ModelArtifact, *, if_match: str | None, if_absent: bool
    ) -> Saved:
        """Save; ConflictError if the precondition fails."""

    def save_many(
        self, artifacts: Sequence[ModelArtifact], *, if_absent: bool
    ) -> Iterator[Saved | ZsmError]:
        """Save each of them wholly or not at all; yields what became of each."""

    def delete(self, schema_hash: str, *, if_match: str | None) -> bool:
        """Delete; ConflictError if the precondition fails."""

    def locked(self) -> AbstractContextManager[None]:
        """Keep writers out."""

    def verify(self) -> Iterator[Problem]:
        """Check everything."""

    def close(self) -> None:
        """Release what is open."""

    def after_fork(self) -> None:
        """Make the child of a fork independent of the parent's threads."""


def check_precondition(
    schema_hash: str, found: str | None, *, if_match: str | None, if_absent: bool
) -> None:
    """Compare the digest that is stored (None: no artifact) with what a caller expects.

    Raises
    ------
    ConflictError
        They differ.
    """
    if if_absent and found is not None:
        raise ConflictError(schema_hash, None, found)
    if if_match is not None and found != if_match:
        raise ConflictError(schema_hash, if_match, found)
