"""One regular file, opened and read with care: it may be anything by now."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def opened_regular(path: Path) -> Iterator[int]:
    """Open a regular file for reading; raises OSError, also for anything else."""
    # O_NOFOLLOW: a link could lead anywhere. O_NONBLOCK: a pipe would block for ever.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        fd = os.open(path, flags)
    except OSError as error:
        if error.errno == errno.ELOOP:
            message = "a symbolic link, which a registry does not follow"
            raise OSError(errno.ELOOP, message) from None
        raise
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        yield fd
    finally:
        os.close(fd)


def read_regular(path: Path, limit: int) -> bytes:
    """Read a regular file, at most one byte more than `limit`; raises OSError."""
    with opened_regular(path) as fd:
        size = os.fstat(fd).st_size
        pieces = []
        left = limit + 1
        while left and (piece := os.read(fd, min(left, max(size + 1, 4096)))):
            pieces.append(piece)
            left -= len(piece)
        return b"".join(pieces)
