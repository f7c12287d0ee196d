"""Standard streams that a parent process has closed."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import TextIO

_NAMES = ("stdin", "stdout", "stderr")


def check_streams() -> None:
    """Make the streams usable that are closed, so that nobody has to ask again.

    Input is empty then and errors go nowhere.

    Raises
    ------
    OSError
        Standard output is closed: data would be lost.
    """
    # Python has None in their place; the type says otherwise.
    streams: dict[str, object] = {name: getattr(sys, name) for name in _NAMES}
    if streams["stdin"] is None:
        sys.stdin = _nowhere("r")
    if streams["stderr"] is None:
        sys.stderr = _nowhere("w")
    if streams["stdout"] is None:
        sys.stdout = _nowhere("w")
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))


def _nowhere(mode: str) -> TextIO:
    return io.TextIOWrapper(io.FileIO(os.devnull, mode), encoding="utf-8")
