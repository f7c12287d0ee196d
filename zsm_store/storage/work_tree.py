"""Whether git is rewriting the files around a directory right now.

Git replaces a file by removing it and writing another one in its place; in between, for
milliseconds or, with parallel workers, for more than a second, there is none, or half
of one. A checkout of a thousand files is a mixture of two branches for as long as it
takes. But nearly all that git does to a work tree it does while ``index.lock`` exists,
and it ends by renaming that to ``index``.
"""

from __future__ import annotations

import os
import stat
import time
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from pathlib import Path

    from zsm_store.storage.patience import Patience

GIT_S = 10.0
"""How long to wait for git. A checkout of thousands of files takes a second or four."""

_STALE_S = 60.0
"""Age from which on a lock is a killed git's, or waits for a person."""
_POINTER_BYTES = 4096
_POINTER = b"gitdir: "


class IndexState(NamedTuple):
    """Changes with everything that git does to the index."""

    mtime_ns: int
    inode: int
    size: int


class WorkTree:
    """A work tree of git.

    Parameters
    ----------
    git_directory
        Where its index is.
    """

    def __init__(self, git_directory: str) -> None:
        self._index = f"{git_directory}/index"
        self._lock = f"{self._index}.lock"

    @classmethod
    def around(cls, path: Path) -> Self | None:
        """Return the work tree that a directory lies in; None where it lies in none."""
        folder = os.path.realpath(path)
        while True:
            found = _git_directory(folder)
            if found is not None:
                return cls(found)
            parent = os.path.dirname(folder)  # noqa: PTH120  # at every listing
            if parent == folder:
                return None
            folder = parent

    @property
    def state(self) -> IndexState | None:
        """Of the index; None where there is none."""
        try:
            status = os.stat(self._index)  # noqa: PTH116  # at every lookup
        except OSError:
            return None
        return IndexState(status.st_mtime_ns, status.st_ino, status.st_size)

    @property
    def is_busy(self) -> bool:
        """Whether git may be rewriting files."""
        try:
            locked_at = os.lstat(self._lock).st_mtime
        except OSError:
            return False
        return time.time() - locked_at < _STALE_S

    def wait(self, patience: Patience) -> bool:
        """Wait until git is done; False where it takes longer than that."""
        while self.is_busy:
            if not patience.wait():
                return False
        return True


def _git_directory(folder: str) -> str | None:
    git = f"{folder}/.git"
    try:
        status = os.lstat(git)
    except OSError:
        return None
    if stat.S_ISDIR(status.st_mode):
        return git
    if not stat.S_ISREG(status.st_mode) or status.st_size > _POINTER_BYTES:
        return None
    # Of a linked work tree, or of a submodule.
    try:
        with open(git, "rb") as pointer:  # noqa: PTH123  # a text, no path
            text = pointer.read(_POINTER_BYTES)
    except OSError:
        return None
    if not text.startswith(_POINTER):
        return None
    target = os.fsdecode(text.removeprefix(_POINTER).rstrip(b"\r\n"))
    return os.path.join(folder, target)  # noqa: PTH118  # as above
