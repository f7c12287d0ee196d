"""Artifacts by schema hash, wherever they are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from zsm_store.errors import ConflictError

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from zsm_store.model.artifact import ModelArtifact
    from zsm_store.registry.problem import Problem


class ArtifactStore(Protocol):
    """What the registry needs of a directory, a bundle or memory."""

    @property
    def location(self) -> str:
        """Where it is, for messages."""

    def entries(
        self, known: Mapping[str, Hashable] | None = None
    ) -> Mapping[str, Hashable]:
        """Return the version of each artifact by hash, sorted.

        A version changes whenever the content does.

        Parameters
        ----------
        known
            What an earlier call returned. It is returned again where a cheap look says
            that nothing changed since.
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

    def digest(self, schema_hash: str) -> str:
        """Return the digest of one artifact; raises like `load`."""

    def save(
        self, artifact: ModelArtifact, *, if_match: str | None, if_absent: bool
    ) -> str:
        """Save and return the digest; ConflictError if the precondition fails."""

    def delete(self, schema_hash: str, *, if_match: str | None) -> bool:
        """Delete; ConflictError if the precondition fails."""

    def locked(self) -> AbstractContextManager[None]:
        """Keep writers out."""

    def verify(self) -> Iterator[Problem]:
        """Check everything."""

    def close(self) -> None:
        """Release what is open."""


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
