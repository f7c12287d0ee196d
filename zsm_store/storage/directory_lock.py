"""A lock of the operating system on a directory, for file systems of one host."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from zsm_store.storage.process_identity import command_line

if TYPE_CHECKING:
    from zsm_store.storage.waiting import Waiting

_LOCKS = Path("/proc/locks")
_LINE = re.compile(
    r"\d+: FLOCK +ADVISORY +WRITE (\d+) ([0-9a-f]+):([0-9a-f]+):(\d+) 0 EOF", re.ASCII
)

_held: set[DirectoryLock] = set()


class DirectoryLock:
    """`flock` on the directory itself, released by the kernel when its holder dies.

    A file to lock could be removed under its holder, and a second one be locked beside
    it; whoever removes the directory removes what the lock protects.
    """

    poll_s = (0.0002, 0.002)

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._fd: int | None = None

    @property
    def path(self) -> str:
        """What is locked, for messages."""
        return str(self._directory)

    def try_acquire(self, waiting: Waiting) -> bool:  # noqa: ARG002  # the kernel knows who is dead
        """Take the lock if it is free.

        Raises
        ------
        OSError
            The directory is gone, or cannot be locked here.
        """
        import filelock  # noqa: PLC0415  # reading a registry must not pay for it

        fd = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            locked = filelock.lock_descriptor(fd, blocking=False)
            # Another directory may lie there by now, which others lock.
            if locked and _is_at(fd, self._directory):
                self._fd = fd
                _held.add(self)
                return True
        finally:
            if self._fd is None:
                os.close(fd)
        return False

    def release(self) -> None:
        """Let go of it. Does nothing in the child of a fork."""
        import filelock  # noqa: PLC0415  # as above

        _held.discard(self)
        fd, self._fd = self._fd, None
        if fd is not None:
            try:
                # Closing alone would not do while a child of a fork has it open, too.
                with suppress(OSError):
                    filelock.unlock_descriptor(fd)
            finally:
                os.close(fd)

    def is_lost(self) -> bool:
        """Whether another directory lies there by now."""
        return self._fd is None or not _is_at(self._fd, self._directory)

    def holder(self) -> str | None:
        """Name the process that holds it, as far as the kernel tells."""
        pid = _holder(self._directory)
        if pid is None:
            return None
        called = command_line(pid)
        return f"process {pid} of this host" + (f" ({called})" if called else "")

    def after_fork(self) -> None:
        """Close the child's copy, with which it would hold on to the parent's lock."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def _is_at(fd: int, directory: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), directory.stat())
    except OSError:
        return False


def _holder(directory: Path) -> int | None:
    try:
        status = directory.stat()
        text = _LOCKS.read_text()
    except OSError:  # not Linux, or nobody may look
        return None
    device = os.major(status.st_dev), os.minor(status.st_dev)
    found = None
    for pid, major, minor, inode in _LINE.findall(text):
        if int(inode) == status.st_ino and int(pid) > 0:
            found = int(pid)
            # Not all file systems say the same device here and there.
            if (int(major, 16), int(minor, 16)) == device:
                break
    return found


def _after_fork() -> None:
    for lock in _held:
        lock.after_fork()
    _held.clear()


os.register_at_fork(after_in_child=_after_fork)
