"""A registry's directory as names and bytes."""

from __future__ import annotations

import errno
import os
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from zsm_store.errors import StorageError
from zsm_store.storage.artifact_files import ArtifactFiles
from zsm_store.storage.atomic import make_directory, publish, staged, sync_directory
from zsm_store.storage.listing import FAN_DIGITS
from zsm_store.storage.lock import DEFAULT_TIMEOUT_S, LockStrategy, write_lock
from zsm_store.storage.patience import (
    PASSING,
    PASSING_RENAME,
    Patience,
)
from zsm_store.storage.private import PrivateDirectory

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from zsm_store.storage.lock import Lock

_CLEANED_S = 0.5
"""How long to write on while somebody removes what is staged."""


class ArtifactDirectory(ArtifactFiles):
    """Artifact files of one directory, in the flat or the fan-out layout.

    Reading accepts both layouts at once; writing uses the one given. Nothing is
    created before the first write.

    Parameters
    ----------
    path
        The registry's directory; need not exist.
    fan_out
        Write ``ab/<hash>.json`` instead of ``<hash>.json``.
    lock_timeout_s
        How long a writer waits for another one.
    """

    def __init__(
        self,
        path: Path,
        *,
        fan_out: bool = False,
        lock_timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> None:
        super().__init__(path, fan_out=fan_out)
        self.lock_timeout_s = lock_timeout_s
        self.private = PrivateDirectory(path)
        self._swept = False
        self._checked: tuple[int, int, LockStrategy] | None = None

    @contextmanager
    def staged(
        self, schema_hash: str, data: bytes, *, sync: bool = True
    ) -> Iterator[Path]:
        """Write new content of an artifact to a staging file, outside of the lock.

        Parameters
        ----------
        schema_hash, data
            The artifact.
        sync
            Whether it must survive a power cut.

        Raises
        ------
        StorageError
            The file system refuses it; the old content is untouched.
        """
        with ExitStack() as cleanup:
            staging = self._stage(data, schema_hash, cleanup, sync=sync)
            self._sweep_once(staging)
            yield staging

    def publish(self, staging: Path, schema_hash: str, data: bytes) -> None:
        """Make a staging file the content of an artifact; hold the lock.

        Call `sync` afterwards, outside of the lock, before telling anybody.
        """
        target = Path(self._path(schema_hash, in_folder=self.fan_out))
        if self.fan_out:
            try:
                self._refuse_linked_folder(str(target))
            except OSError as error:
                raise StorageError.of("write", target, error) from error
            make_directory(target.parent)
        try:
            self._rename(staging, target)
        except FileNotFoundError:
            self._write(target, data)
        # A copy in the other layout would be older from now on. Failing to remove it is
        # harmless: this layout is looked at first, and `verify` names the copy.
        other = self._path(schema_hash, in_folder=not self.fan_out)
        with suppress(OSError):
            self._refuse_linked_folder(other)
            os.unlink(other)  # noqa: PTH108  # mostly in vain, on every save
        self._mark_changed(target)

    def sync(self, schema_hashes: Iterable[str]) -> None:
        """Make the last publishes of artifacts survive a power cut."""
        if self.fan_out:
            # Another writer may have made the folder, and not have synced it yet: then
            # the registry's own directory holds it.
            for folder in sorted({key[:FAN_DIGITS] for key in schema_hashes}):
                sync_directory(self.path / folder)
        sync_directory(self.path)

    def anchor(self) -> None:
        """Make the directory itself survive a power cut, whoever created it."""
        try:
            sync_directory(self.path.absolute().parent)
        except StorageError as error:
            # A parent that others own may be closed to us.
            if error.errno not in (errno.EACCES, errno.EPERM):
                raise

    @contextmanager
    def locked(self, strategy: LockStrategy | None = None) -> Iterator[Lock]:
        """Hold the registry's write lock.

        Parameters
        ----------
        strategy
            By default the one that suits the file system.
        """
        make_directory(self.path)
        if strategy is None:
            strategy = LockStrategy.for_directory(self.path)
        if strategy is LockStrategy.MARKER:
            self.private.make()
        self._check_lock(strategy)
        with write_lock(self.private, strategy, self.lock_timeout_s) as lock:
            yield lock

    def delete(self, schema_hash: str) -> bool:
        """Delete an artifact, durably; hold the lock. Whether there was one."""
        deleted = False
        # The copy that counts goes last: at no moment, and after no power cut, may an
        # older one in the other layout take its place.
        for path in reversed(self._paths(schema_hash)):
            try:
                # Not through a link: what lies there is no part of the registry.
                if self._is_linked(str(path)):
                    continue
                path.unlink()
            except FileNotFoundError:
                continue
            except OSError as error:
                raise StorageError.of("delete", path, error) from error
            self._mark_changed(path)
            sync_directory(path.parent)
            deleted = True
        return deleted

    def write_file(self, name: str, data: bytes) -> None:
        """Write a file of the registry that is no artifact, durably."""
        self._write(self.path / name, data)
        sync_directory(self.path)

    def _check_lock(self, strategy: LockStrategy) -> None:
        """Refuse a lock that does not reach all writers, wherever this lies by now."""
        try:
            status = self.path.stat()
            checked = status.st_dev, status.st_ino, strategy
            if checked != self._checked:
                strategy.check(self.path)
                self._checked = checked
        except OSError as error:
            raise StorageError.of("lock", self.path, error) from error

    def _stage(
        self, data: bytes, name: str, cleanup: ExitStack, *, sync: bool = True
    ) -> Path:
        """Stage, again where `git clean -fdx` removes the folder under our hands."""
        patience = Patience(_CLEANED_S)
        while True:
            make_directory(self.path)
            try:
                return cleanup.enter_context(
                    staged((data,), name, self.private.make(), sync=sync)
                )
            except StorageError as error:
                if error.errno != errno.ENOENT or not patience.wait():
                    raise

    def _write(self, target: Path, data: bytes) -> None:
        """Stage and publish, again where `git clean -fdx` takes what was staged."""
        patience = Patience(_CLEANED_S)
        while True:
            with ExitStack() as cleanup:
                staging = self._stage(data, target.name, cleanup)
                make_directory(target.parent)
                try:
                    self._rename(staging, target)
                except FileNotFoundError as error:
                    if not patience.wait():
                        raise StorageError.of("write", target, error) from error
                else:
                    return

    def _rename(self, staging: Path, target: Path) -> None:
        """Publish, again where a drive refuses it while somebody reads the target."""
        patience: Patience | None = None
        while True:
            try:
                publish(staging, target)
            except StorageError as error:
                passing = PASSING if self.is_local else PASSING_RENAME
                patience = patience or Patience(self._patience_s)
                if error.errno not in passing or not patience.wait():
                    raise
            else:
                return

    def _mark_changed(self, path: Path) -> None:
        """Make a change in a fan-out folder show in the state of the directory.

        Otherwise every lookup would have to look at 256 folders.
        """
        if path.parent != self.path:
            try:
                os.utime(self.path)
            except OSError as error:
                raise StorageError.of("mark as changed", self.path, error) from error

    def _sweep_once(self, staging: Path) -> None:
        if not self._swept:
            self._swept = True
            with suppress(OSError):
                self.private.sweep(staging.stat().st_mtime)
