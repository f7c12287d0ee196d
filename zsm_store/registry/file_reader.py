"""Artifacts read from the files of a directory."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar, cast

from zsm_store.codec import artifact_json
from zsm_store.codec.strict_json import MAX_BYTES
from zsm_store.errors import (
    ArtifactFormatError,
    ArtifactNotFoundError,
    StorageError,
)
from zsm_store.registry.decoded_cache import Decoded, DecodedCache
from zsm_store.registry.store import EXHAUSTED
from zsm_store.storage.freshness import Reading
from zsm_store.storage.patience import PASSING, Patience
from zsm_store.storage.work_tree import GIT_S, WorkTree

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator

    from zsm_store.codec.artifact_json import IndexEntry
    from zsm_store.model.artifact import ModelArtifact
    from zsm_store.registry.site import RegistrySite
    from zsm_store.storage.listing import FileVersion

T = TypeVar("T")

_RETRY_S = (0.002, 0.01)
_READERS = 8
_MANY_FILES = 2 * _READERS
_AT_ONCE = 256
"""Files that are read ahead: decoded ones take memory."""


class FileReader:
    """Reads, decodes and checks; remembers what was decoded a moment ago."""

    def __init__(self, site: RegistrySite) -> None:
        self._site = site
        self._decoded = DecodedCache()

    def load(
        self, schema_hash: str, *, listed: bool = False, hurried: bool = False
    ) -> tuple[FileVersion, Decoded]:
        """Read and check one file.

        Raises
        ------
        ArtifactNotFoundError, FormatError, StorageError
            As in `ArtifactStore.load`.
        """
        reading, decoded = self._decoded.get(schema_hash) or (None, None)
        known = None
        if reading is not None and reading.is_believed(self._site.granularity_s):
            known = cast("FileVersion", reading.state)
        read_at = time.monotonic()
        version, changed = self._read_whole(
            schema_hash,
            artifact_json.decode_with_digest,
            known,
            listed=listed,
            hurried=hurried,
        )
        if isinstance(changed, ArtifactFormatError):
            raise changed
        if changed is not None:
            decoded = Decoded(*changed)
            reading = Reading.of(version, reading, read_at)
            self._decoded.put(schema_hash, reading, decoded)
        if decoded is None:
            raise AssertionError
        return version, decoded

    def load_version(
        self, schema_hash: str, version: Hashable, *, hurried: bool = False
    ) -> ModelArtifact | None:
        """Read and check one file; None if it is not in this version any more."""
        try:
            found, decoded = self.load(schema_hash, listed=True, hurried=hurried)
        except (ArtifactNotFoundError, ArtifactFormatError):
            return None
        except StorageError as error:
            if error.errno in PASSING:
                return None
            raise
        return decoded.artifact if found == version else None

    def digest_now(self, schema_hash: str) -> str | None:
        """Return the digest under which a decision is made; hold the lock.

        Nothing that a network drive or this process remembers counts. None where there
        is no artifact.
        """
        directory = self._site.open()
        directory.refresh(schema_hash)
        if directory.is_local:
            try:
                return self.load(schema_hash)[1].digest
            except ArtifactNotFoundError:
                return None
        try:
            _, found = self._read_whole(
                schema_hash, artifact_json.decode_with_digest, None, listed=False
            )
        except ArtifactNotFoundError:
            return None
        if isinstance(found, ArtifactFormatError):
            raise found
        return None if found is None else found[1]

    def index_entries(
        self, schema_hashes: Iterable[str]
    ) -> Iterator[tuple[str, Hashable, IndexEntry | Exception]]:
        """Read and check files; on a network drive several at a time."""
        keys = list(schema_hashes)
        if self._site.open().is_local or len(keys) < _MANY_FILES:
            yield from map(self._index_entry, keys)
            return
        # There, a file takes its time and no processor; here threads only get in each
        # other's way.
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

        with ThreadPoolExecutor(_READERS, "zsm-read") as readers:
            for start in range(0, len(keys), _AT_ONCE):
                yield from readers.map(
                    self._index_entry, keys[start : start + _AT_ONCE]
                )

    def clear(self) -> None:
        """Forget what was decoded."""
        self._decoded.clear()

    def after_fork(self) -> None:
        """Make the child of a fork independent of the parent's threads."""
        self._decoded.after_fork()

    def _index_entry(
        self, schema_hash: str
    ) -> tuple[str, Hashable, IndexEntry | Exception]:
        try:
            version, entry = self._read_whole(
                schema_hash,
                artifact_json.decode_index_entry,
                None,
                listed=True,
                hurried=True,
            )
        except ArtifactNotFoundError as error:
            return schema_hash, None, error
        except StorageError as error:
            if error.errno in EXHAUSTED:
                raise
            return schema_hash, None, error
        if entry is None:
            raise AssertionError
        return schema_hash, version, entry

    def _read_whole(
        self,
        schema_hash: str,
        decode: Callable[[bytes, str], T],
        known: FileVersion | None,
        *,
        listed: bool,
        hurried: bool = False,
    ) -> tuple[FileVersion, T | ArtifactFormatError | None]:
        """Read and decode one file, again where somebody may be writing it in place.

        Returns
        -------
        version, decoded
            None is decoded where the version is `known`; the error is returned where
            the file is damaged.
        """
        directory = self._site.open()
        short_waits = list(_RETRY_S)
        patience: Patience | None = None
        is_calm = False
        while True:
            found = directory.read_changed(
                schema_hash, known, limit=MAX_BYTES, listed=listed, hurried=hurried
            )
            error: ArtifactFormatError | None = None
            if found is not None:
                version, data = found
                if data is None:
                    return version, None
                try:
                    return version, decode(data, schema_hash)
                except ArtifactFormatError as damage:
                    damage.source = directory.locate(schema_hash)
                    error = damage
            # What was read while git may have been at it counts for nothing.
            if is_calm and error is None:
                raise ArtifactNotFoundError(schema_hash)
            if is_calm and not short_waits and found is not None and error is not None:
                return found[0], error
            tree = WorkTree.around(self._site.path)
            if tree is not None and tree.is_busy:
                patience = patience or Patience(GIT_S)
                is_calm = not patience.wait()
            else:
                is_calm = True
                # Whoever writes in place shows half a file for a moment.
                if error is not None and short_waits:
                    time.sleep(short_waits.pop(0))
