"""One regular file, opened and read with care: it may be anything by now."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# O_NOFOLLOW: a link could lead anywhere. O_NONBLOCK: a pipe would block for ever.
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_SMALLEST_READ = 4096


def open_regular(path: str | Path) -> tuple[int, os.stat_result]:
    """Open a regular file for reading; raises OSError, also for anything else.

    Returns
    -------
    descriptor, status
        The caller closes the descriptor.
    """
    try:
        fd = os.open(path, _FLAGS)
    except OSError as error:
        if error.errno == errno.ELOOP:
            message = "a symbolic link, which a registry does not follow"
            raise OSError(errno.ELOOP, message) from None
        raise
    try:
        return fd, _regular_status(fd)
    except BaseException:
        os.close(fd)
        raise


def _regular_status(fd: int) -> os.stat_result:
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "not a regular file")
    return status


def read_open(fd: int, size: int, limit: int) -> bytes:
    """Read an open file of about `size` bytes, at most one byte more than `limit`."""
    left = limit + 1
    piece = os.read(fd, min(left, max(size + 1, _SMALLEST_READ)))
    pieces = [piece]
    # A read may return less than there is; only nothing means the end.
    while piece and (left := left - len(piece)):
        piece = os.read(fd, min(left, max(size + 1, _SMALLEST_READ)))
        pieces.append(piece)
    return b"".join(pieces)


def read_regular(path: str | Path, limit: int) -> bytes:
    """Read a regular file, at most one byte more than `limit`; raises OSError."""
    fd, status = open_regular(path)
    try:
        return read_open(fd, status.st_size, limit)
    finally:
        os.close(fd)
