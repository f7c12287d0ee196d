"""Artifacts of a `.zsm` bundle, read-only."""

from __future__ import annotations

import errno
import threading
from contextlib import nullcontext
from typing import TYPE_CHECKING, NoReturn

from zsm_store.codec import artifact_json
from zsm_store.codec.bundle import Bundle
from zsm_store.errors import (
    ArtifactNotFoundError,
    BundleFormatError,
    InvalidArtifactError,
    ReadOnlyRegistryError,
    StorageError,
)
from zsm_store.registry.checks import artifact_problems
from zsm_store.registry.problem import Problem
from zsm_store.storage.file_source import FileSource

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from zsm_store.model.artifact import ModelArtifact


class BundleStore:
    """See `ArtifactStore`. Follows a bundle that is packed anew under its name."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._closed = False
        self._source, self._bundle, self._entries = self._open()

    @property
    def location(self) -> str:
        """The bundle's path."""
        return str(self._path)

    def entries(
        self,
        known: Mapping[str, Hashable] | None = None,  # noqa: ARG002  # nothing is cheaper
    ) -> Mapping[str, str]:
        """Return the keys; the same object until the file is replaced."""
        return self._current()[1]

    def load(self, schema_hash: str, *, listed: bool = False) -> ModelArtifact:  # noqa: ARG002  # a bundle does not change while it is read
        """Decode one entry. What breaks a rule of the model is never served."""
        bundle = self._current()[0]
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

    def save(self, *_: object, **__: object) -> NoReturn:
        """Refuse: a bundle is read-only."""
        raise self._read_only()

    def delete(self, *_: object, **__: object) -> NoReturn:
        """Refuse: a bundle is read-only."""
        raise self._read_only()

    def locked(self) -> AbstractContextManager[None]:
        """Nothing to do: a bundle is replaced as a whole."""
        return nullcontext()

    def verify(self) -> Iterator[Problem]:
        """Decode everything and check hashes and digests."""
        path = str(self._path)
        bundle = self._current()[0]
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

    def _current(self) -> tuple[Bundle, Mapping[str, str]]:
        """Return the bundle that the path names now."""
        if self._closed:
            closed = OSError(errno.EBADF, "the registry was closed")
            raise StorageError.of("use", self._path, closed)
        with self._lock:
            if not self._source.is_current():
                # The old source is not closed: another thread may be reading from it.
                # It closes itself when the last one lets go.
                self._source, self._bundle, self._entries = self._open()
            return self._bundle, self._entries

    def _open(self) -> tuple[FileSource, Bundle, Mapping[str, str]]:
        source = FileSource(self._path)
        try:
            bundle = Bundle(source)
            entries = dict.fromkeys(bundle.keys(), str(source.identity))
        except BundleFormatError as error:
            self._damaged(error)
        return source, bundle, entries

    def _damaged(self, error: BundleFormatError) -> NoReturn:
        error.source = self._path
        raise error

    def _read_only(self) -> ReadOnlyRegistryError:
        message = "a bundle is read-only; 'zsm unpack' it into a directory first"
        error = ReadOnlyRegistryError(errno.EROFS, message, str(self._path))
        error.action = "change"
        return error
