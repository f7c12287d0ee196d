"""Artifacts as JSON files of a directory."""

from __future__ import annotations

import errno
import logging
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from zsm_store.codec import artifact_json
from zsm_store.codec.strict_json import MAX_BYTES
from zsm_store.errors import (
    ArtifactFormatError,
    ArtifactNotFoundError,
    FormatError,
    SettingsFormatError,
    StorageError,
)
from zsm_store.registry.checks import artifact_problems
from zsm_store.registry.decoded_cache import Decoded, DecodedCache
from zsm_store.registry.problem import Problem, Severity
from zsm_store.registry.settings import Layout, RegistrySettings
from zsm_store.registry.store import check_precondition
from zsm_store.storage.directory import ArtifactDirectory, FileVersion
from zsm_store.storage.file_system import clock_granularity_s
from zsm_store.storage.freshness import Reading, directory_state

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping
    from pathlib import Path

    from zsm_store.model.artifact import ModelArtifact

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


class DirectoryStore:
    """See `ArtifactStore`. Touches nothing before the first call."""

    def __init__(self, path: Path, lock_timeout_s: float) -> None:
        self._path = path
        self._lock_timeout_s = lock_timeout_s
        self._directory: ArtifactDirectory | None = None
        self._granularity_s = clock_granularity_s(path)
        self._decoded = DecodedCache(self._granularity_s)

    @property
    def location(self) -> str:
        """The directory's path."""
        return str(self._path)

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

    def entries(
        self, known: Mapping[str, Hashable] | None = None
    ) -> Mapping[str, FileVersion]:
        """Return the identity of each file by hash; `known` itself if that holds."""
        directory = self._open()
        state = directory_state(self._path)
        before = None
        if isinstance(known, _Listing):
            before = known.reading
            if before.holds(state, self._granularity_s):
                return known
        reading = Reading.of(state, before)
        listing = _Listing(directory.entries())
        listing.reading = reading
        return listing

    def load(self, schema_hash: str, *, listed: bool = False) -> ModelArtifact:
        """Read and check one file."""
        return self._load(schema_hash, listed=listed).artifact

    def digest(self, schema_hash: str) -> str:
        """Return the digest of one file, checked."""
        return self._load(schema_hash).digest

    def save(
        self, artifact: ModelArtifact, *, if_match: str | None, if_absent: bool
    ) -> str:
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
            directory.sync(key)
        return digest

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
            yield

    def verify(self) -> Iterator[Problem]:
        """Check every file, and what only looks like one."""
        directory = ArtifactDirectory(self._path)
        try:
            settings = self._stored_settings(directory)
            directory.fan_out = (
                settings is not None and settings.layout is Layout.FAN_OUT
            )
        except FormatError as error:
            path = str(self._path / SETTINGS_NAME)
            yield Problem(path=path, code="ZSM050", message=error.reason)
        for path, code, message in directory.oddities():
            yield Problem(path=path, code=code, message=message)
        for schema_hash, version in directory.entries().items():
            yield from _verify_file(directory, schema_hash, version.path)

    def close(self) -> None:
        """Nothing stays open between calls."""

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

    def _load(self, schema_hash: str, *, listed: bool = False) -> Decoded:
        directory = self._open()
        state = directory.identity(schema_hash)
        decoded = self._decoded.get(schema_hash, state)
        if decoded is None:
            reading = self._decoded.note(schema_hash, state)
            decoded = self._decode(directory, schema_hash, listed=listed)
            self._decoded.put(schema_hash, reading, decoded)
        return decoded

    def _decode(
        self, directory: ArtifactDirectory, schema_hash: str, *, listed: bool
    ) -> Decoded:
        for wait_s in (*_RETRY_S, None):
            data = directory.read(schema_hash, limit=MAX_BYTES, listed=listed)
            if data is None:
                raise ArtifactNotFoundError(schema_hash)
            try:
                artifact = artifact_json.decode(data, schema_hash)
                return Decoded(artifact, artifact_json.stated_digest(data))
            except ArtifactFormatError as error:
                error.source = directory.locate(schema_hash)
                # Whoever writes in place, like git, shows half a file for a moment.
                if wait_s is None:
                    raise
                time.sleep(wait_s)
        raise AssertionError


class _Listing(dict[str, FileVersion]):
    """A listing that knows when it was made."""

    reading: Reading


def _verify_file(
    directory: ArtifactDirectory, schema_hash: str, path: str
) -> Iterator[Problem]:
    try:
        data = directory.read(schema_hash, limit=MAX_BYTES, listed=True)
        if data is None:
            return
        artifact = artifact_json.decode(data, schema_hash)
    except StorageError as error:
        yield Problem(path=path, code="ZSM004", message=f"unreadable: {error.strerror}")
    except ArtifactFormatError as error:
        yield Problem(
            path=path,
            line=error.line,
            column=error.column,
            code=error.code,
            message=str(error.args[1]),
        )
    else:
        if b"\r" in data:
            yield Problem(
                path=path,
                line=data.count(b"\n", 0, data.index(b"\r")) + 1,
                code="ZSM040",
                message="CR line ends: git rewrites this file",
                severity=Severity.WARNING,
            )
        yield from artifact_problems(artifact, path, data)
