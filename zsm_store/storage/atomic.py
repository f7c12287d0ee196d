"""Make bytes visible under a name all at once, or not at all."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from zsm_store.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_NO_DIRECTORY_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EBADF}


@contextmanager
def staged(
    chunks: Iterable[bytes | memoryview],
    name: str,
    staging_dir: Path,
    *,
    sync: bool = True,
) -> Iterator[Path]:
    """Write a synced staging file; it is gone afterwards unless it was published.

    Parameters
    ----------
    chunks
        The content, piece by piece.
    name
        Start of the staging file's name.
    staging_dir
        On the file system of the final path, because a rename is atomic only there.
    sync
        Whether it must survive a power cut: not what can be made again.

    Raises
    ------
    StorageError
        The file system refuses it, for example because it is full.
    """
    staging = staging_dir / f"{name}.{os.urandom(8).hex()}"
    try:
        _write(staging, chunks, sync=sync)
        yield staging
    finally:  # also for what `chunks` raises, and for Ctrl-C: no litter
        with suppress(OSError):
            staging.unlink(missing_ok=True)


def publish(staging: Path, path: Path) -> None:
    """Make a staging file the content of `path`, in one step for every reader.

    Raises
    ------
    StorageError
        The old content, if any, is untouched.
    FileNotFoundError
        The staging file has disappeared, for instance by ``git clean``.
    """
    try:
        staging.replace(path)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StorageError.of("write", path, error) from error


def sync_directory(directory: Path) -> None:
    """Make the names in a directory survive a power cut.

    Raises
    ------
    StorageError
        The disk reports an error: what was just renamed may not survive one.
    """
    with _refused("sync", directory):
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        except OSError as error:
            # Some file systems have no such call for directories and need none.
            if error.errno not in _NO_DIRECTORY_SYNC:
                raise
        finally:
            os.close(fd)


def make_directory(directory: Path) -> None:
    """Create a directory and its parents, durably.

    Raises
    ------
    StorageError
        The file system refuses it.
    """
    with _refused("create directory", directory):
        if directory.is_dir():
            return
    if directory.parent != directory:
        make_directory(directory.parent)
    with _refused("create directory", directory):
        directory.mkdir(exist_ok=True)
    # Without it, a power cut could take the directory and every synced file in it.
    sync_directory(directory.parent)


def _write(staging: Path, chunks: Iterable[bytes | memoryview], *, sync: bool) -> None:
    # Not mkstemp: it creates mode 0600, which the rename would publish, and a registry
    # shared by a group would hold files the group cannot read.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with _refused("create", staging):
        fd = os.open(staging, flags, 0o666)
    try:
        for chunk in chunks:
            with _refused("write", staging):
                _write_all(fd, chunk)
        if sync:
            with _refused("write", staging):
                # Before the rename: ext4 and XFS may otherwise order the rename first
                # and leave a complete name with no content after a power cut.
                os.fsync(fd)
    finally:
        # Some file systems report a full disk only here (NFS, quotas).
        with _refused("write", staging):
            os.close(fd)


def _write_all(fd: int, chunk: bytes | memoryview) -> None:
    rest = memoryview(chunk)
    while rest:
        rest = rest[os.write(fd, rest) :]


@contextmanager
def _refused(action: str, path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError.of(action, path, error) from error
