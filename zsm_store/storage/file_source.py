"""A file that is read at any offset."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from zsm_store.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path


class FileSource:
    """Bytes of an open file. Reads name their offset, so threads can share it.

    Not a memory map: a map over a file that somebody truncates, or over a network drive
    that goes away, kills the process instead of raising an error.

    Raises
    ------
    StorageError
        The file cannot be opened, or is none.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = -1
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            status = os.fstat(self._fd)
        except OSError as error:
            self.close()
            raise StorageError.of("open", path, error) from error
        if not stat.S_ISREG(status.st_mode):
            self.close()
            refused = OSError(errno.EISDIR, "not a regular file")
            raise StorageError.of("open", path, refused)
        self.size = status.st_size
        self.identity = _identity(status)
        """Device, inode, time of change in ns, size: other content has another one."""

    def is_current(self) -> bool:
        """Whether the path still names this very content.

        Raises
        ------
        StorageError
            The path cannot be looked at.
        """
        try:
            return _identity(self.path.stat()) == self.identity
        except OSError as error:
            raise StorageError.of("open", self.path, error) from error

    def read(self, offset: int, length: int) -> bytes:
        """Return the bytes from `offset`, fewer than `length` only at the end."""
        pieces = []
        try:
            while length and (piece := os.pread(self._fd, length, offset)):
                pieces.append(piece)
                offset += len(piece)
                length -= len(piece)
        except OSError as error:
            raise StorageError.of("read", self.path, error) from error
        return b"".join(pieces)

    def close(self) -> None:
        """Close the file; reading is an error from then on."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            with suppress(OSError):  # nothing was written that could be lost
                os.close(fd)

    def __del__(self) -> None:
        self.close()


def _identity(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size
