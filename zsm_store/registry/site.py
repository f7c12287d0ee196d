"""A registry's directory, opened as its `registry.json` says."""

from __future__ import annotations

import errno
import logging
import threading
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from zsm_store.errors import (
    RegistryLockedError,
    SettingsFormatError,
    StorageError,
)
from zsm_store.registry.settings import Layout, RegistrySettings
from zsm_store.storage.directory import ArtifactDirectory
from zsm_store.storage.file_system import clock_granularity_s
from zsm_store.storage.lock import LockStrategy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from zsm_store.storage.lock import Lock

logger = logging.getLogger(__name__)

SETTINGS_NAME = "registry.json"
ATTRIBUTES_NAME = ".gitattributes"

_ATTRIBUTES = b"""\
# written by `zsm init`; safe without any tool in the clone
*.json -text -filter -ident !working-tree-encoding -merge diff=zsm
*.zsm  binary diff=zsm
"""
"""Keeps git from blending two trainings, and rules of its parents from these files."""

_LOCK_TRIES = 5


class RegistrySite:
    """Where a registry is. Touches nothing before the first call."""

    def __init__(self, path: Path, lock_timeout_s: float) -> None:
        self.path = path
        self.lock_timeout_s = lock_timeout_s
        self._directory: ArtifactDirectory | None = None
        self._holding = _Holding()
        self._lock: LockStrategy | None = None
        self._decoded: tuple[bytes, RegistrySettings | None] = b"", None

    @property
    def is_locked_here(self) -> bool:
        """Whether the current thread holds the write lock: it must not wait for it."""
        return self._holding.depth > 0

    @cached_property
    def granularity_s(self) -> float:
        """Seconds within which two changes may have the same version.

        When first needed: that asks the kernel for all that is mounted.
        """
        return clock_granularity_s(self.path)

    def open(self) -> ArtifactDirectory:
        """Return the directory for reading, which needs no settings but a version.

        Raises
        ------
        SettingsFormatError
            A newer version of this package wrote it.
        StorageError
            The settings cannot be read.
        """
        if self._directory is None:
            directory = ArtifactDirectory(self.path, lock_timeout_s=self.lock_timeout_s)
            try:
                settings = self.stored(directory)
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

    def open_for_writing(self) -> ArtifactDirectory:
        """Return the directory; damaged settings are an error, too."""
        directory = self.open()
        if self._directory is None:
            self.stored(directory)
        return directory

    def stored(self, directory: ArtifactDirectory) -> RegistrySettings | None:
        """Read the settings; None where there are none.

        Raises
        ------
        SettingsFormatError
            They are damaged, or a newer version of this package wrote them.
        StorageError
            They cannot be read.
        """
        data = directory.read_file(SETTINGS_NAME)
        if data is None:
            return None
        known, settings = self._decoded
        if data == known and settings is not None:  # as before every save but the first
            return settings
        try:
            settings = RegistrySettings.decode(data)
        except SettingsFormatError as error:
            error.source = self.path / SETTINGS_NAME
            raise
        self._decoded = data, settings
        return settings

    @contextmanager
    def locked(self) -> Iterator[tuple[Lock, RegistrySettings | None]]:
        """Keep every other writer out, in the way that the settings say.

        Yields
        ------
        lock, settings
            The settings as they are under the lock; None where there are none yet.
        """
        directory = self.open_for_writing()
        for _ in range(_LOCK_TRIES):
            if self._lock is None:
                self._lock = self._recorded_lock(self.stored(directory))
            strategy = self._lock
            with directory.locked(strategy) as lock:
                # Another version may have taken over, or a person have changed it.
                settings = self.stored(directory)
                self._lock = self._recorded_lock(settings)
                if self._lock is strategy:
                    self._holding.depth += 1
                    try:
                        yield lock, settings
                    finally:
                        self._holding.depth -= 1
                    return
        path = str(self.path / SETTINGS_NAME)
        raise RegistryLockedError(path, 0, "somebody who changes its lock")

    def initialize(
        self,
        *,
        layout: Layout | None = None,
        lock: LockStrategy | None = None,
        keep: int | None = None,
    ) -> RegistrySettings:
        """Write `registry.json`, or change what may change in it.

        Parameters
        ----------
        layout, lock, keep
            None: as it is, or the default in a new registry.

        Raises
        ------
        StorageError
            There is one with another layout.
        """
        path = self.path
        directory = ArtifactDirectory(path, lock_timeout_s=self.lock_timeout_s)
        stored = self.stored(directory)
        settings = _with(stored or self.default(), layout, lock, keep)
        # With the new lock, and the old one if that can be had here: who waits for
        # either of them finds the new settings then.
        with directory.locked(settings.lock):
            stored = self.stored(directory)
            settings = _with(stored or self.default(), layout, settings.lock, keep)
            if stored is None:
                if directory.read_file(ATTRIBUTES_NAME) is None:
                    directory.write_file(ATTRIBUTES_NAME, _ATTRIBUTES)
                self.write(directory, settings)
            elif stored.layout is not settings.layout:
                message = f"it exists with layout {stored.layout.value!r}"
                exists = OSError(errno.EEXIST, message)
                raise StorageError.of("create registry", path, exists)
            elif stored.lock is not settings.lock:
                with _other_lock(directory, stored.lock):
                    self.write(directory, settings)
            elif stored != settings:
                self.write(directory, settings)
        self._directory = None
        return settings

    def default(self) -> RegistrySettings:
        """Return what a registry begins with here."""
        return RegistrySettings(lock=LockStrategy.for_directory(self.path))

    def write_default(self, directory: ArtifactDirectory) -> RegistrySettings:
        """Write what a registry begins with, at the first save; hold the lock."""
        settings = self.default()
        self.write(directory, settings)
        return settings

    def write(self, directory: ArtifactDirectory, settings: RegistrySettings) -> None:
        """Write the settings; hold the lock."""
        # First: whoever finds the settings relies on the directory being there to stay.
        directory.anchor()
        directory.write_file(SETTINGS_NAME, settings.encode())

    def after_fork(self) -> None:
        """Make the child of a fork independent of the parent's threads."""
        self._holding = _Holding()

    def _recorded_lock(self, settings: RegistrySettings | None) -> LockStrategy:
        return (settings or self.default()).lock


def _with(
    settings: RegistrySettings,
    layout: Layout | None,
    lock: LockStrategy | None,
    keep: int | None,
) -> RegistrySettings:
    return RegistrySettings(
        layout=settings.layout if layout is None else layout,
        lock=settings.lock if lock is None else lock,
        keep=settings.keep if keep is None else keep,
    )


@contextmanager
def _other_lock(directory: ArtifactDirectory, strategy: LockStrategy) -> Iterator[None]:
    """Hold the lock of the old settings, unless that is of no use here."""
    try:
        strategy.check(directory.path)
    except OSError:
        yield
        return
    with directory.locked(strategy):
        yield


class _Holding(threading.local):
    """How often the current thread holds the write lock."""

    depth = 0
