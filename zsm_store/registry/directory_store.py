"""Artifacts as JSON files of a directory."""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING

from zsm_store.codec import artifact_json
from zsm_store.codec.strict_json import MAX_BYTES
from zsm_store.errors import (
    ArtifactFormatError,
    FormatError,
    StorageError,
    ZsmError,
)
from zsm_store.registry.directory_listing import DirectoryListing
from zsm_store.registry.file_reader import FileReader
from zsm_store.registry.file_writer import Durability, FileWriter
from zsm_store.registry.settings import Layout
from zsm_store.registry.site import SETTINGS_NAME, RegistrySite
from zsm_store.registry.store import EXHAUSTED
from zsm_store.storage.directory import ArtifactDirectory
from zsm_store.storage.history import History

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Sequence
    from pathlib import Path

    from zsm_store.codec.artifact_json import IndexEntry
    from zsm_store.model.artifact import ModelArtifact
    from zsm_store.registry.problem import Problem
    from zsm_store.registry.store import Listing, Saved
    from zsm_store.registry.version import Version


class DirectoryStore:
    """See `ArtifactStore`. Touches nothing before the first call."""

    def __init__(
        self,
        path: Path,
        lock_timeout_s: float,
        durability: Durability = Durability.FULL,
    ) -> None:
        self.site = RegistrySite(path, lock_timeout_s)
        self.reader = FileReader(self.site)
        self.writer = FileWriter(self.site, self.reader, durability)
        self._listing = DirectoryListing(self.site)

    @property
    def location(self) -> str:
        """The directory's path."""
        return str(self.site.path)

    @property
    def granularity_s(self) -> float:
        """As in `ArtifactStore`."""
        return self.site.granularity_s

    def entries(self, known: Listing | None = None) -> Listing:
        """Return the identity of each file by hash, all of one moment."""
        return self._listing.entries(known)

    def holds(self, listing: Listing) -> bool:
        """Whether the state of the directory says that nothing has changed."""
        return self._listing.holds(listing)

    def unsettled(self, listing: Listing, schema_hashes: set[str]) -> set[str]:
        """Return files whose stamps are as new as any in the listing, or nearly."""
        return self._listing.unsettled(listing, schema_hashes)

    def index_entries(
        self, schema_hashes: Iterable[str]
    ) -> Iterator[tuple[str, Hashable, IndexEntry | Exception]]:
        """Read and check files; on a network drive several at a time."""
        return self.reader.index_entries(schema_hashes)

    def load(self, schema_hash: str, *, listed: bool = False) -> ModelArtifact:
        """Read and check one file."""
        return self.reader.load(schema_hash, listed=listed)[1].artifact

    def load_version(
        self, schema_hash: str, version: Hashable, *, hurried: bool = False
    ) -> ModelArtifact | None:
        """Read and check one file; None if it is not in this version any more."""
        return self.reader.load_version(schema_hash, version, hurried=hurried)

    def load_with_digest(self, schema_hash: str) -> tuple[ModelArtifact, str]:
        """Read and check one file."""
        return self.reader.load(schema_hash)[1]

    def digest(self, schema_hash: str) -> str:
        """Return the digest of one file, checked."""
        return self.reader.load(schema_hash)[1].digest

    def replaced(self, schema_hash: str) -> list[Version]:
        """Read and check the files that the history has of one artifact."""
        from zsm_store.registry.version import Version  # noqa: PLC0415

        history, found = History(self.site.path), []
        for kept in history.versions(schema_hash):
            artifact, digest, problem = None, None, ""
            try:
                data = history.read(kept, MAX_BYTES)
                artifact, digest = artifact_json.decode_with_digest(data, schema_hash)
            except StorageError as error:
                if error.errno == errno.ENOENT:  # there are enough newer ones by now
                    continue
                if error.errno in EXHAUSTED:
                    raise
                problem = str(error)
            except ArtifactFormatError as error:
                error.source = kept.path
                problem = str(error)
            found.append(
                Version(
                    schema_hash=schema_hash,
                    replaced_at=kept.replaced_at,
                    digest=digest,
                    artifact=artifact,
                    problem=problem,
                )
            )
        return found

    def replaced_hashes(self) -> list[str]:
        """List the folders of the history."""
        return History(self.site.path).schema_hashes()

    def save(
        self, artifact: ModelArtifact, *, if_match: str | None, if_absent: bool
    ) -> Saved:
        """Publish a file."""
        (outcome,) = self.writer.save_all(
            [artifact], if_match=if_match, if_absent=if_absent
        )
        if isinstance(outcome, ZsmError):
            raise outcome
        return outcome

    def save_many(
        self, artifacts: Sequence[ModelArtifact], *, if_absent: bool
    ) -> Iterator[Saved | ZsmError]:
        """Publish files, many with one sync of the directory."""
        return self.writer.save_all(artifacts, if_match=None, if_absent=if_absent)

    def delete(self, schema_hash: str, *, if_match: str | None) -> bool:
        """Delete a file."""
        return self.writer.delete(schema_hash, if_match=if_match)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every writer of this package out."""
        with self.site.locked():
            yield

    def verify(self) -> Iterator[Problem]:
        """Check every file, and what only looks like one."""
        from zsm_store.registry.file_checks import directory_problems  # noqa: PLC0415
        from zsm_store.registry.problem import Problem  # noqa: PLC0415

        directory = ArtifactDirectory(self.site.path)
        try:
            settings = self.site.stored(directory)
            directory.fan_out = (
                settings is not None and settings.layout is Layout.FAN_OUT
            )
        except FormatError as error:
            path = str(self.site.path / SETTINGS_NAME)
            yield Problem(path=path, code="ZSM050", message=error.reason)
        yield from directory_problems(directory, self)

    def close(self) -> None:
        """Let go of what was decoded; nothing stays open between calls."""
        self.reader.clear()

    def after_fork(self) -> None:
        """Make the child of a fork independent of the parent's threads."""
        self.site.after_fork()
        self.reader.after_fork()
        self.writer.after_fork()
