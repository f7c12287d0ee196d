"""Artifacts of a `.zsm` bundle, read-only."""

from __future__ import annotations

import errno
import threading
from typing import TYPE_CHECKING, NoReturn

from zsm_store.codec import artifact_json
from zsm_store.codec.artifact_json import IndexEntry
from zsm_store.codec.bundle import Bundle
from zsm_store.errors import (
    ArtifactNotFoundError,
    BundleFormatError,
    InvalidArtifactError,
    ReadOnlyRegistryError,
    StorageError,
    ZsmError,
)
from zsm_store.registry.checks import artifact_problems
from zsm_store.registry.problem import Problem
from zsm_store.registry.store import Listing
from zsm_store.storage.file_source import FileSource

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator
    from pathlib import Path

    from zsm_store.model.artifact import ModelArtifact
    from zsm_store.registry.version import Version


class BundleStore:
    """See `ArtifactStore`. Follows a bundle that is packed anew under its name."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._closed = False
        self._source, self._bundle = self._open()

    @property
    def location(self) -> str:
        """The bundle's path."""
        return str(self._path)

    granularity_s = 0.0

    def entries(self, known: Listing | None = None) -> Listing:  # noqa: ARG002  # nothing is cheaper
        """Return the keys; all have the version of the bundle."""
        source, bundle = self._current()
        version = str(source.identity)
        try:
            return Listing(dict.fromkeys(bundle.keys(), version), source)
        except BundleFormatError as error:
            self._damaged(error)

    def holds(self, listing: Listing) -> bool:
        """Whether the bundle is still the one that was listed."""
        return listing.state is self._current()[0]

    def unsettled(self, listing: Listing, schema_hashes: set[str]) -> set[str]:  # noqa: ARG002  # a bundle is replaced as a whole
        """Return nothing."""
        return set()

    def index_entries(
        self, schema_hashes: Iterable[str]
    ) -> Iterator[tuple[str, Hashable, IndexEntry | Exception]]:
        """Yield fingerprints and tags."""
        for key in schema_hashes:
            version = str(self._current()[0].identity)
            try:
                artifact = self.load(key)
            except ZsmError as error:
                yield key, version, error
            else:
                yield key, version, IndexEntry(artifact.fingerprint, artifact.tag)

    def load_version(
        self,
        schema_hash: str,
        version: Hashable,
        *,
        hurried: bool = False,  # noqa: ARG002  # nothing is slow here
    ) -> ModelArtifact | None:
        """Decode one entry, if the bundle has not been replaced."""
        try:
            artifact = self.load(schema_hash)
        except (ArtifactNotFoundError, BundleFormatError):
            return None
        # Afterwards: it must have been this bundle all the time.
        return artifact if version == str(self._current()[0].identity) else None

    def load(self, schema_hash: str, *, listed: bool = False) -> ModelArtifact:  # noqa: ARG002  # a bundle does not change while it is read
        """Decode one entry. What breaks a rule of the model is never served."""
        bundle = self._current()[1]
        try:
            artifact = bundle.read(schema_hash)
            artifact.params.validate()
        except KeyError:
            raise ArtifactNotFoundError(schema_hash) from None
        except InvalidArtifactError as error:
            offset = bundle.offset(schema_hash)
            self._damaged(
                BundleFormatError(offset, f"a valid artifact {schema_hash}", str(error))
            )
        except BundleFormatError as error:
            self._damaged(error)
        return artifact

    def digest(self, schema_hash: str) -> str:
        """Return the digest of one artifact."""
        return artifact_json.digest(self.load(schema_hash))

    def load_with_digest(self, schema_hash: str) -> tuple[ModelArtifact, str]:
        """Decode one artifact and derive its digest."""
        artifact = self.load(schema_hash)
        return artifact, artifact_json.digest(artifact)

    def replaced(self, schema_hash: str) -> list[Version]:  # noqa: ARG002  # a bundle is of one moment
        """Return nothing."""
        return []

    def replaced_hashes(self) -> list[str]:
        """Return nothing."""
        return []

    def save(self, *_: object, **__: object) -> NoReturn:
        """Refuse: a bundle is read-only."""
        raise self._read_only()

    def save_many(self, *_: object, **__: object) -> NoReturn:
        """Refuse: a bundle is read-only."""
        raise self._read_only()

    def delete(self, *_: object, **__: object) -> NoReturn:
        """Refuse: a bundle is read-only."""
        raise self._read_only()

    def locked(self) -> NoReturn:
        """Refuse: nothing keeps others from replacing a bundle."""
        raise self._read_only()

    def verify(self) -> Iterator[Problem]:
        """Decode everything and check hashes and digests."""
        path = str(self._path)
        bundle = self._current()[1]
        try:
            for artifact in bundle:
                try:
                    artifact.params.validate()
                except InvalidArtifactError as error:
                    offset = bundle.offset(artifact.schema_hash)
                    message = (
                        f"artifact {artifact.schema_hash} at byte {offset}: {error}"
                    )
                    yield Problem(path=path, code="ZSM016", message=message)
                else:
                    yield from artifact_problems(artifact, path)
        except BundleFormatError as error:
            yield Problem(path=path, code="ZSM060", message=error.reason)

    def close(self) -> None:
        """Close the file; every later call is an error."""
        self._closed = True
        self._source.close()

    def after_fork(self) -> None:
        """Make the child of a fork independent of the parent's threads."""
        self._lock = threading.Lock()

    def _current(self) -> tuple[FileSource, Bundle]:
        """Return the file that the path names now, and the bundle in it."""
        if self._closed:
            closed = OSError(errno.EBADF, "the registry was closed")
            raise StorageError.of("use", self._path, closed)
        with self._lock:
            if not self._source.is_current():
                # The old source is not closed: another thread may be reading from it.
                # It closes itself when the last one lets go.
                self._source, self._bundle = self._open()
            return self._source, self._bundle

    def _open(self) -> tuple[FileSource, Bundle]:
        source = FileSource(self._path)
        try:
            return source, Bundle(source)
        except BundleFormatError as error:
            self._damaged(error)

    def _damaged(self, error: BundleFormatError) -> NoReturn:
        error.source = self._path
        raise error

    def _read_only(self) -> ReadOnlyRegistryError:
        message = "a bundle is read-only; 'zsm unpack' it into a directory first"
        error = ReadOnlyRegistryError(errno.EROFS, message, str(self._path))
        error.action = "change"
        return error
