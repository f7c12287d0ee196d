"""Artifacts as JSON files of a directory."""

from __future__ import annotations

import errno
import logging
import threading
import time
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar, cast

from zsm_store.codec import artifact_json
from zsm_store.codec.strict_json import MAX_BYTES
from zsm_store.errors import (
    ArtifactFormatError,
    ArtifactNotFoundError,
    FormatError,
    SettingsFormatError,
    StorageError,
)
from zsm_store.registry.decoded_cache import Decoded, DecodedCache
from zsm_store.registry.settings import Layout, RegistrySettings
from zsm_store.registry.store import MAY_NOT_WRITE, Listing, Saved, check_precondition
from zsm_store.storage.directory import PASSING, ArtifactDirectory
from zsm_store.storage.file_system import clock_granularity_s, is_local
from zsm_store.storage.freshness import Reading, directory_state

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator
    from pathlib import Path

    from zsm_store.codec.artifact_json import IndexEntry
    from zsm_store.model.artifact import ModelArtifact
    from zsm_store.registry.problem import Problem
    from zsm_store.storage.listing import FileVersion

T = TypeVar("T")

logger = logging.getLogger(__name__)

SETTINGS_NAME = "registry.json"
ATTRIBUTES_NAME = ".gitattributes"

_ATTRIBUTES = b"""\
# written by `zsm init`; safe without any tool in the clone
*.json -text -filter -ident !working-tree-encoding -merge diff=zsm
*.zsm  binary diff=zsm
"""
"""Keeps git from blending two trainings, and rules of its parents from these files."""

_RETRY_S = (0.002, 0.01)
_FREE_TRIES = 3
_PATIENT_TRIES = 100
_READERS = 8
_MANY_FILES = 2 * _READERS
_AT_ONCE = 256
"""Files that are read ahead: decoded ones take memory."""


class DirectoryStore:
    """See `ArtifactStore`. Touches nothing before the first call."""

    def __init__(self, path: Path, lock_timeout_s: float) -> None:
        self._path = path
        self._lock_timeout_s = lock_timeout_s
        self._directory: ArtifactDirectory | None = None
        self._holding = _Holding()
        self._decoded = DecodedCache()

    @property
    def location(self) -> str:
        """The directory's path."""
        return str(self._path)

    # Both when first needed: that asks the kernel for all that is mounted.

    @cached_property
    def granularity_s(self) -> float:
        """As in `ArtifactStore`."""
        return clock_granularity_s(self._path)

    @cached_property
    def _is_local(self) -> bool:
        return is_local(self._path)

    def initialize(self, settings: RegistrySettings) -> None:
        """Write `registry.json`.

        Raises
        ------
        StorageError
            There is one that says something else.
        """
        directory = ArtifactDirectory(self._path, lock_timeout_s=self._lock_timeout_s)
        with directory.locked():
            stored = self._stored_settings(directory)
            if stored is None:
                if directory.read_file(ATTRIBUTES_NAME) is None:
                    directory.write_file(ATTRIBUTES_NAME, _ATTRIBUTES)
                self._write_settings(directory, settings)
            elif stored != settings:
                message = f"it exists with layout {stored.layout.value!r}"
                exists = OSError(errno.EEXIST, message)
                raise StorageError.of("create registry", self._path, exists)
        self._directory = None

    def entries(self, known: Listing | None = None) -> Listing:
        """Return the identity of each file by hash, all of one moment.

        A directory is listed piece by piece, so what others do meanwhile can show by
        half: what is new not yet, what it replaces not any more. Such a listing is
        thrown away. If there are only such listings, writers have to wait for one.
        """
        before = None if known is None else known.state
        listing = self._try_to_list(before, _FREE_TRIES)
        if listing is None and not self._holding.depth:
            try:
                with self.locked():
                    listing = self._try_to_list(before, _FREE_TRIES)
            except StorageError as error:
                if error.errno not in MAY_NOT_WRITE:
                    raise
        if listing is None:
            # Who may not lock, and who is disturbed by others than our writers.
            listing = self._try_to_list(before, _PATIENT_TRIES)
        if listing is None:
            busy = OSError(errno.EBUSY, "it changes faster than it can be listed")
            raise StorageError.of("list", self._path, busy)
        return listing

    def holds(self, listing: Listing) -> bool:
        """Whether the state of the directory says that nothing has changed."""
        reading = listing.state
        return isinstance(reading, Reading) and reading.holds(
            directory_state(self._path), self.granularity_s
        )

    def unsettled(self, listing: Listing, schema_hashes: set[str]) -> set[str]:
        """Return files whose stamps are as new as any in the listing, or nearly."""
        if not self.granularity_s or not schema_hashes:
            return set()
        # The file system's own clock, as far as it shows: those of hosts differ.
        newest = max(map(_stamp_ns, listing.values()))
        limit = newest - self.granularity_s * 1e9
        return {key for key in schema_hashes if _stamp_ns(listing[key]) >= limit}

    def index_entries(
        self, schema_hashes: Iterable[str]
    ) -> Iterator[tuple[str, Hashable, IndexEntry | Exception]]:
        """Read and check files; on a network drive several at a time."""
        keys = list(schema_hashes)
        if self._is_local or len(keys) < _MANY_FILES:
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

    def load(self, schema_hash: str, *, listed: bool = False) -> ModelArtifact:
        """Read and check one file."""
        return self._load(schema_hash, listed=listed)[1].artifact

    def load_version(self, schema_hash: str, version: Hashable) -> ModelArtifact | None:
        """Read and check one file; None if it is not in this version any more."""
        try:
            found, decoded = self._load(schema_hash, listed=True)
        except (ArtifactNotFoundError, ArtifactFormatError):
            return None
        except StorageError as error:
            if error.errno in PASSING:
                return None
            raise
        return decoded.artifact if found == version else None

    def digest(self, schema_hash: str) -> str:
        """Return the digest of one file, checked."""
        return self._load(schema_hash)[1].digest

    def save(
        self, artifact: ModelArtifact, *, if_match: str | None, if_absent: bool
    ) -> Saved:
        """Publish a file; it survives a power cut once this returns."""
        key = artifact.schema_hash
        data, digest = artifact_json.encode_with_digest(artifact)
        directory = self._open_for_writing()
        # Before anything is created; and once more under the lock, where it counts.
        self._check(key, if_match=if_match, if_absent=if_absent)
        with directory.staged(key, data) as staging:
            with directory.locked():
                if self._stored_settings(directory) is None:
                    self._write_settings(directory, RegistrySettings())
                self._check(key, if_match=if_match, if_absent=if_absent)
                directory.publish(staging, key, data)
                # Before the next writer may replace it.
                version = directory.version(key)
            directory.sync(key)
        return Saved(digest, version)

    def delete(self, schema_hash: str, *, if_match: str | None) -> bool:
        """Delete a file."""
        directory = self._open_for_writing()
        # Before anything is created: there may be nothing to delete.
        self._check(schema_hash, if_match=if_match, if_absent=False)
        if directory.read(schema_hash, limit=0) is None:
            return False
        with directory.locked():
            self._stored_settings(directory)  # a newer version may have taken over
            self._check(schema_hash, if_match=if_match, if_absent=False)
            return directory.delete(schema_hash)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every writer of this package out."""
        with self._open_for_writing().locked():
            self._holding.depth += 1
            try:
                yield
            finally:
                self._holding.depth -= 1

    def verify(self) -> Iterator[Problem]:
        """Check every file, and what only looks like one."""
        from zsm_store.registry.file_checks import directory_problems  # noqa: PLC0415
        from zsm_store.registry.problem import Problem  # noqa: PLC0415

        directory = ArtifactDirectory(self._path)
        try:
            settings = self._stored_settings(directory)
            directory.fan_out = (
                settings is not None and settings.layout is Layout.FAN_OUT
            )
        except FormatError as error:
            path = str(self._path / SETTINGS_NAME)
            yield Problem(path=path, code="ZSM050", message=error.reason)
        yield from directory_problems(directory)

    def close(self) -> None:
        """Let go of what was decoded; nothing stays open between calls."""
        self._decoded.clear()

    def after_fork(self) -> None:
        """Make the child of a fork independent of the parent's threads."""
        self._decoded.after_fork()
        self._holding = _Holding()

    def _open(self) -> ArtifactDirectory:
        """Return the directory for reading, which needs no settings but a version."""
        if self._directory is None:
            directory = ArtifactDirectory(
                self._path, lock_timeout_s=self._lock_timeout_s
            )
            try:
                settings = self._stored_settings(directory)
            except SettingsFormatError as error:
                if error.is_newer:
                    raise
                # One bad file never takes the registry down.
                logger.warning("%s; reading on without it", error)
            else:
                if settings is not None:
                    directory.fan_out = settings.layout is Layout.FAN_OUT
                    self._directory = directory
            return directory
        return self._directory

    def _open_for_writing(self) -> ArtifactDirectory:
        directory = self._open()
        if self._directory is None:
            self._stored_settings(directory)
        return directory

    def _write_settings(
        self, directory: ArtifactDirectory, settings: RegistrySettings
    ) -> None:
        # First: whoever finds the settings relies on the directory being there to stay.
        directory.anchor()
        directory.write_file(SETTINGS_NAME, settings.encode())

    def _stored_settings(self, directory: ArtifactDirectory) -> RegistrySettings | None:
        data = directory.read_file(SETTINGS_NAME)
        if data is None:
            return None
        try:
            return RegistrySettings.decode(data)
        except SettingsFormatError as error:
            error.source = self._path / SETTINGS_NAME
            raise

    def _check(
        self, schema_hash: str, *, if_match: str | None, if_absent: bool
    ) -> None:
        if if_match is None and not if_absent:
            return
        try:
            found = self.digest(schema_hash)
        except ArtifactNotFoundError:
            found = None
        check_precondition(schema_hash, found, if_match=if_match, if_absent=if_absent)

    def _try_to_list(self, before: object, tries: int) -> Listing | None:
        """List until nobody disturbs it, `tries` times at most."""
        directory = self._open()
        for _ in range(tries):
            state = directory_state(self._path)
            seen = before if isinstance(before, Reading) else None
            reading = Reading.of(state, seen)
            versions = directory.entries()
            # Within a tick of the clock the same state proves nothing. To find the same
            # once more proves it, but for what was undone in time, twice.
            is_settled = reading.is_settled(self.granularity_s)
            if not is_settled and directory.entries() != versions:
                continue
            if directory_state(self._path) == state:
                return Listing(versions, reading)
        return None

    def _load(
        self, schema_hash: str, *, listed: bool = False
    ) -> tuple[FileVersion, Decoded]:
        reading, decoded = self._decoded.get(schema_hash) or (None, None)
        known = None
        if reading is not None and reading.is_believed(self.granularity_s):
            known = cast("FileVersion", reading.state)
        read_at = time.monotonic()
        version, changed = self._read_whole(
            schema_hash, artifact_json.decode_with_digest, known, listed=listed
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

    def _index_entry(
        self, schema_hash: str
    ) -> tuple[str, Hashable, IndexEntry | Exception]:
        try:
            version, entry = self._read_whole(
                schema_hash, artifact_json.decode_index_entry, None, listed=True
            )
        except (ArtifactNotFoundError, StorageError) as error:
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
    ) -> tuple[FileVersion, T | ArtifactFormatError | None]:
        """Read and decode one file, again where somebody may be writing it in place.

        Returns
        -------
        version, decoded
            None is decoded where the version is `known`; the error is returned where
            the file is damaged.
        """
        directory = self._open()
        for wait_s in (*_RETRY_S, None):
            found = directory.read_changed(
                schema_hash, known, limit=MAX_BYTES, listed=listed
            )
            if found is None:
                raise ArtifactNotFoundError(schema_hash)
            version, data = found
            if data is None:
                return version, None
            try:
                return version, decode(data, schema_hash)
            except ArtifactFormatError as error:
                error.source = directory.locate(schema_hash)
                # Whoever writes in place, like git, shows half a file for a moment.
                if wait_s is None:
                    return version, error
            time.sleep(wait_s)
        raise AssertionError


def _stamp_ns(version: Hashable) -> int:
    """Return when a file was changed, by the clock of its file system."""
    modified, changed, *_ = cast("FileVersion", version)
    return max(modified, changed)


class _Holding(threading.local):
    """Whether the current thread holds the write lock: it must not take it twice."""

    depth = 0
