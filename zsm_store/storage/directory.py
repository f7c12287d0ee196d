"""A registry's directory as names and bytes."""

from __future__ import annotations

import errno
import os
import re
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from zsm_store.errors import StorageError
from zsm_store.storage.atomic import make_directory, publish, staged, sync_directory
from zsm_store.storage.lock import DEFAULT_TIMEOUT_S, write_lock
from zsm_store.storage.regular_file import opened_regular, read_regular

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PRIVATE_NAME = ".zsm"
STALE_STAGING_S = 3600.0
"""Age from which on a staging file is nobody's any more."""

_ARTIFACT = re.compile(r"[0-9a-f]{64}\.json\Z")
_ARTIFACT_LIKE = re.compile(r"[0-9a-f]{60,68}\.json\Z", re.IGNORECASE)
_FAN = re.compile(r"[0-9a-f]{2}\Z")
_FAN_DIGITS = 2
_SMALL_FILE_BYTES = 1 << 20
_RETRY_S = (0.001, 0.005, 0.025)
_WRITE_TRIES = 3
_PASSING = {errno.ESTALE, errno.EBUSY}


class FileVersion(NamedTuple):
    """Identity of a file's content: any publish changes it."""

    path: str
    mtime_ns: int
    ctime_ns: int
    size: int
    inode: int

    @classmethod
    def of(cls, path: str, status: os.stat_result) -> FileVersion:
        """Return the identity that a file's status tells."""
        return cls(
            path,
            status.st_mtime_ns,
            status.st_ctime_ns,
            status.st_size,
            status.st_ino,
        )


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
        self._swept = False

    def entries(self) -> dict[str, FileVersion]:
        """List the artifacts by schema hash, sorted; empty where nothing exists.

        Raises
        ------
        StorageError
            The directory or a part of it cannot be listed: never a partial answer.
        """
        found: dict[str, FileVersion] = {}
        for folder, entry in self._regular_entries():
            schema_hash = entry.name.removesuffix(".json")
            if schema_hash in found and bool(folder) is not self.fan_out:
                continue  # the copy in the layout that is looked at second
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:  # deleted since it was listed
                continue
            except OSError as error:
                raise StorageError.of("list", entry.path, error) from error
            found[schema_hash] = FileVersion.of(entry.path, status)
        return dict(sorted(found.items()))

    def oddities(self) -> Iterator[tuple[str, str, str]]:
        """List what looks like an artifact and is none.

        Yields
        ------
        path, code, message
            As `verify` reports them.
        """
        seen: dict[str, str] = {}
        # Sorted, so that two reports can be compared; the flat layout comes first.
        for folder, entry in sorted(
            self._all_entries(), key=lambda found: (found[0], found[1].name)
        ):
            if not _ARTIFACT_LIKE.match(entry.name):
                continue
            if not _ARTIFACT.match(entry.name):
                message = "not named by 64 lower-case hex digits, so it is not served"
                yield entry.path, "ZSM001", message
            elif not entry.name.startswith(folder):
                message = f"lies in {folder!r}, which is not its first two digits"
                yield entry.path, "ZSM001", message
            elif entry.is_symlink():
                yield entry.path, "ZSM002", "a symbolic link, so it is not served"
            elif not entry.is_file(follow_symlinks=False):
                yield entry.path, "ZSM002", "not a regular file, so it is not served"
            elif entry.name in seen:
                message = f"the same artifact lies at {seen[entry.name]}, too"
                yield entry.path, "ZSM003", message
            else:
                seen[entry.name] = entry.path

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
        waits = list(_RETRY_S)
        while True:
            try:
                for path in self._paths(schema_hash):
                    self._refuse_linked_folder(path)
                    with suppress(FileNotFoundError):
                        return read_regular(path, limit)
            except OSError as error:
                if error.errno not in _PASSING or not waits:
                    raise StorageError.of("read", path, error) from error
            else:
                if not listed or not waits:
                    return None
            time.sleep(waits.pop(0))

    def identity(self, schema_hash: str) -> FileVersion | None:
        """Return the identity of what `read` would read; None where there is none.

        Raises
        ------
        StorageError
            It cannot be opened.
        """
        for path in self._paths(schema_hash):
            try:
                self._refuse_linked_folder(path)
                with opened_regular(path) as fd:
                    return FileVersion.of(str(path), os.fstat(fd))
            except FileNotFoundError:
                continue
            except OSError as error:
                raise StorageError.of("read", path, error) from error
        return None

    def locate(self, schema_hash: str) -> Path:
        """Return the path that `read` reads, or would read."""
        preferred, other = self._paths(schema_hash)
        return other if other.exists() and not preferred.exists() else preferred

    @contextmanager
    def staged(self, schema_hash: str, data: bytes) -> Iterator[Path]:
        """Write new content of an artifact to a staging file, outside of the lock.

        Raises
        ------
        StorageError
            The file system refuses it; the old content is untouched.
        """
        make_directory(self.path)
        with staged((data,), schema_hash, self._make_private()) as staging:
            self._sweep_once(staging)
            yield staging

    def publish(self, staging: Path, schema_hash: str, data: bytes) -> None:
        """Make a staging file the content of an artifact; hold the lock.

        Call `sync` afterwards, outside of the lock, before telling anybody.
        """
        target, other = self._paths(schema_hash)
        try:
            self._refuse_linked_folder(target)
        except OSError as error:
            raise StorageError.of("write", target, error) from error
        try:
            make_directory(target.parent)
            publish(staging, target)
        except FileNotFoundError:
            self._write(target, data)
        # A copy in the other layout would be older from now on. Failing to remove it is
        # harmless: this layout is looked at first, and `verify` names the copy.
        with suppress(OSError):
            other.unlink()
        self._mark_changed(target)

    def sync(self, schema_hash: str) -> None:
        """Make the last publish of an artifact survive a power cut."""
        folder = self._paths(schema_hash)[0].parent
        sync_directory(folder)
        if folder != self.path:
            # Another writer may have made the folder, and not have synced it yet.
            sync_directory(self.path)

    def anchor(self) -> None:
        """Make the directory itself survive a power cut, whoever created it."""
        with suppress(StorageError):  # a parent that others own may be closed to us
            sync_directory(self.path.absolute().parent)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the registry's write lock."""
        make_directory(self.path)
        self._make_private()
        with write_lock(self.path / PRIVATE_NAME / "lock", self.lock_timeout_s):
            yield

    def delete(self, schema_hash: str) -> bool:
        """Delete an artifact, durably; hold the lock. Whether there was one."""
        deleted = False
        # The copy that counts goes last: at no moment, and after no power cut, may an
        # older one in the other layout take its place.
        for path in reversed(self._paths(schema_hash)):
            try:
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

    def sweep(self, now: float) -> int:
        """Remove staging files that are older than `STALE_STAGING_S`.

        Parameters
        ----------
        now
            Unix time of the file system, not of this host: clocks differ.

        Returns
        -------
        int
            How many were removed.
        """
        removed = 0
        with suppress(OSError), os.scandir(self._staging_dir) as listing:
            for entry in listing:
                with suppress(OSError):
                    age = now - entry.stat(follow_symlinks=False).st_mtime
                    if age > STALE_STAGING_S:
                        os.unlink(entry.path)  # noqa: PTH108  # an entry is no Path
                        removed += 1
        return removed

    @property
    def _staging_dir(self) -> Path:
        return self.path / PRIVATE_NAME / "tmp"

    def _write(self, target: Path, data: bytes) -> None:
        """Stage and publish, again where `git clean -fdx` takes what was staged."""
        for _ in range(_WRITE_TRIES):
            make_directory(self.path)
            make_directory(target.parent)
            try:
                with staged((data,), target.name, self._make_private()) as staging:
                    publish(staging, target)
            except FileNotFoundError as error:
                gone = StorageError.of("write", target, error)
            except StorageError as error:
                if error.errno != errno.ENOENT:
                    raise
                gone = error
            else:
                return
        raise gone

    def _refuse_linked_folder(self, path: Path) -> None:
        """Refuse a fan-out folder that leads out of the registry; listings skip it."""
        if path.parent != self.path and path.parent.is_symlink():
            message = "its folder is a symbolic link, which a registry does not follow"
            raise OSError(errno.ELOOP, message)

    def _mark_changed(self, path: Path) -> None:
        """Make a change in a fan-out folder show in the state of the directory.

        Otherwise every lookup would have to look at 256 folders.
        """
        if path.parent != self.path:
            with suppress(OSError):
                os.utime(self.path)

    def _sweep_once(self, staging: Path) -> None:
        if not self._swept:
            self._swept = True
            with suppress(OSError):
                self.sweep(staging.stat().st_mtime)

    def _make_private(self) -> Path:
        """Create `.zsm`, which git must not see, and return the staging directory."""
        private = self.path / PRIVATE_NAME
        ignore = private / ".gitignore"
        try:
            # Empty: a full disk or a kill came between creating and writing it.
            if not ignore.exists() or not ignore.stat().st_size:
                _ensure(private)
                ignore.write_bytes(b"*\n")
            _ensure(self._staging_dir)
        except OSError as error:
            raise StorageError.of("write", private, error) from error
        return self._staging_dir

    def _paths(self, schema_hash: str) -> tuple[Path, Path]:
        """Both places of an artifact, the one that writing uses first."""
        flat = self.path / f"{schema_hash}.json"
        fan = self.path / schema_hash[:_FAN_DIGITS] / flat.name
        return (fan, flat) if self.fan_out else (flat, fan)

    def _regular_entries(self) -> Iterator[tuple[str, os.DirEntry[str]]]:
        for folder, entry in self._all_entries():
            if (
                _ARTIFACT.match(entry.name)
                and entry.name.startswith(folder)
                and entry.is_file(follow_symlinks=False)
            ):
                yield folder, entry

    def _all_entries(self) -> Iterator[tuple[str, os.DirEntry[str]]]:
        """Yield what lies in the directory, with "", and in fan-out folders."""
        folders = []
        for entry in _scan(self.path):
            if _FAN.match(entry.name) and entry.is_dir(follow_symlinks=False):
                folders.append(entry)
            else:
                yield "", entry
        for folder in sorted(folders, key=lambda entry: entry.name):
            for entry in _scan(folder.path):
                yield folder.name, entry


def _ensure(directory: Path) -> None:
    # Not exist_ok: that looks again, and fails when somebody removes it in between.
    with suppress(FileExistsError):
        directory.mkdir()


def _scan(path: str | Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as listing:
            return list(listing)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StorageError.of("list", path, error) from error
