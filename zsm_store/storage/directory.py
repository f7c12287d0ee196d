"""A registry's directory as names and bytes."""

from __future__ import annotations

import errno
import os
from contextlib import ExitStack, contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from zsm_store.errors import StorageError
from zsm_store.storage.atomic import make_directory, publish, staged, sync_directory
from zsm_store.storage.file_system import is_local
from zsm_store.storage.listing import FAN_DIGITS, file_version, list_artifacts
from zsm_store.storage.lock import DEFAULT_TIMEOUT_S, LockStrategy, write_lock
from zsm_store.storage.patience import (
    LOCAL_S,
    PASSING,
    PASSING_RENAME,
    SHARED_S,
    Patience,
)
from zsm_store.storage.private import PrivateDirectory
from zsm_store.storage.regular_file import open_regular, read_open, read_regular

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from zsm_store.storage.listing import FileVersion
    from zsm_store.storage.lock import Lock

_SMALL_FILE_BYTES = 1 << 20
_CLEANED_S = 0.5
"""How long to write on while somebody removes what is staged."""


class ArtifactDirectory:
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
        self.path = path
        self.fan_out = fan_out
        self.lock_timeout_s = lock_timeout_s
        self.private = PrivateDirectory(path)
        self._swept = False
        self._checked: tuple[int, int, LockStrategy] | None = None
        self._prefix = f"{path}/"

    @cached_property
    def is_local(self) -> bool:
        """Whether only this host can change it. When first asked: that takes a look."""
        return is_local(self.path)

    @cached_property
    def _patience_s(self) -> float:
        return LOCAL_S if self.is_local else SHARED_S

    def entries(self) -> dict[str, FileVersion]:
        """List the artifacts by schema hash. See `list_artifacts`."""
        return list_artifacts(self.path, fan_out=self.fan_out)

    def read(
        self, schema_hash: str, *, limit: int, listed: bool = False
    ) -> bytes | None:
        """Read one artifact file; None where there is none.

        Parameters
        ----------
        schema_hash
            64 hex digits, already checked.
        limit
            Read at most one byte more than this.
        listed
            Somebody saw the file just now, so look again before believing that it is
            gone: network drives and `git checkout` hide files for milliseconds.

        Raises
        ------
        StorageError
            It cannot be read, is a symbolic link or no regular file.
        """
        found = self.read_changed(schema_hash, None, limit=limit, listed=listed)
        return None if found is None else found[1]

    def read_changed(
        self,
        schema_hash: str,
        known: FileVersion | None,
        *,
        limit: int,
        listed: bool = False,
    ) -> tuple[FileVersion, bytes | None] | None:
        """Read one artifact file unless it is what it was; None where there is none.

        Parameters
        ----------
        known
            The version that the caller has the content of.
        schema_hash, limit, listed
            As in `read`, which also says what is raised.

        Returns
        -------
        version, content
            The content is None if the version is `known`.
        """
        patience: Patience | None = None
        while True:
            try:
                found = self._read_either(schema_hash, known, limit)
            except StorageError as error:
                if error.errno not in PASSING:
                    raise
                refused: StorageError | None = error
            else:
                if found is not None or not (listed or self._is_hidden(schema_hash)):
                    return found
                refused = None
            patience = patience or Patience(self._patience_s)
            if not patience.wait():
                if refused is not None:
                    raise refused
                return None

    def refresh(self, schema_hash: str) -> None:
        """Make a network drive's client look at the names of an artifact itself.

        It remembers for up to half a minute that a name did not exist (NFS), and for a
        second what a name meant that another host has replaced (GlusterFS). Only a
        listing tells it: to open the directory does not.
        """
        if not self.is_local:
            for path in self._paths(schema_hash):
                with suppress(OSError):
                    os.listdir(path.parent)  # noqa: PTH208  # nobody looks at it

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

    def _read_either(
        self, schema_hash: str, known: FileVersion | None, limit: int
    ) -> tuple[FileVersion, bytes | None] | None:
        """Read in the one layout or the other; None where it is in neither."""
        for in_folder in (self.fan_out, not self.fan_out):
            path = self._path(schema_hash, in_folder=in_folder)
            try:
                if in_folder:
                    self._refuse_linked_folder(path)
                return _read_changed(path, known, limit, in_folder=in_folder)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise StorageError.of("read", path, error) from error
        return None

    def _is_hidden(self, schema_hash: str) -> bool:
        """Whether a file that cannot be opened is there all the same.

        That is so on network drives, while somebody replaces it.
        """
        if self.is_local:
            return False
        name = f"{schema_hash}.json"
        for folder in (self.path, self.path / name[:FAN_DIGITS]):
            with suppress(OSError):
                if name in os.listdir(folder):  # noqa: PTH208  # names of thousands
                    return True
        return False

    def version(self, schema_hash: str) -> FileVersion | None:
        """Return the version of what was just published, if it shows; hold the lock."""
        path = self._path(schema_hash, in_folder=self.fan_out)
        try:
            return file_version(os.lstat(path), in_folder=self.fan_out)
        except OSError:  # a network drive may need a moment
            return None

    def place(self, schema_hash: str, version: FileVersion) -> Path:
        """Return the path of a file that had this version."""
        *_, in_folder = version
        return Path(self._path(schema_hash, in_folder=in_folder))

    def locate(self, schema_hash: str) -> Path:
        """Return the path that `read` reads, or would read."""
        preferred, other = self._paths(schema_hash)
        # Not Path.exists: what cannot be looked at is no reason to fail here.
        is_there = os.path.exists
        return other if is_there(other) and not is_there(preferred) else preferred

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

    def read_file(self, name: str) -> bytes | None:
        """Read a small file of the registry that is no artifact; None without one.

        Raises
        ------
        StorageError
            It cannot be read.
        """
        path = self.path / name
        try:
            return read_regular(path, _SMALL_FILE_BYTES)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError.of("read", path, error) from error

    def write_file(self, name: str, data: bytes) -> None:
        """Write a file of the registry that is no artifact, durably."""
        self._write(self.path / name, data)
        sync_directory(self.path)

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

    def _refuse_linked_folder(self, path: str) -> None:
        if self._is_linked(path):
            message = "its folder is a symbolic link, which a registry does not follow"
            raise OSError(errno.ELOOP, message)

    def _is_linked(self, path: str) -> bool:
        """Whether a fan-out folder leads out of the registry; listings skip it."""
        folder, _, _ = path.removeprefix(self._prefix).rpartition("/")
        return folder != "" and os.path.islink(self._prefix + folder)  # noqa: PTH114  # a Path costs more than the read

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

    def _path(self, schema_hash: str, *, in_folder: bool) -> str:
        folder = f"{schema_hash[:FAN_DIGITS]}/" if in_folder else ""
        return f"{self._prefix}{folder}{schema_hash}.json"

    def _paths(self, schema_hash: str) -> tuple[Path, Path]:
        """Both places of an artifact, the one that writing uses first."""
        flat, fan = (
            Path(self._path(schema_hash, in_folder=in_folder))
            for in_folder in (False, True)
        )
        return (fan, flat) if self.fan_out else (flat, fan)


def _read_changed(
    path: str, known: FileVersion | None, limit: int, *, in_folder: bool
) -> tuple[FileVersion, bytes | None]:
    fd, status = open_regular(path)
    try:
        # Before the content: if that changes meanwhile, the next look sees another one.
        version = file_version(status, in_folder=in_folder)
        if version == known:
            return version, None
        return version, read_open(fd, status.st_size, limit)
    finally:
        os.close(fd)
