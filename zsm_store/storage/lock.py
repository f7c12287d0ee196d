"""One writer at a time."""

from __future__ import annotations

import time
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from zsm_store.errors import RegistryLockedError, StorageError
from zsm_store.storage.directory_lock import DirectoryLock
from zsm_store.storage.file_system import file_system_type, is_local, is_shared
from zsm_store.storage.waiting import Waiting

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from zsm_store.storage.private import PrivateDirectory

DEFAULT_TIMEOUT_S = 30.0


class LockStrategy(StrEnum):
    """How writers of one registry exclude each other."""

    FLOCK = "flock"
    """The operating system's lock on the directory: for one host."""
    MARKER = "marker"
    """A file that only one of them can create: also between hosts."""

    @classmethod
    def for_directory(cls, directory: Path) -> LockStrategy:
        """Return the one that excludes everybody who can get at a directory."""
        return cls.FLOCK if is_local(directory) else cls.MARKER

    def check(self, directory: Path) -> None:
        """Refuse a lock that does not reach all writers of a directory.

        Raises
        ------
        OSError
            It is of one host, and the directory is on a drive that several use.
        """
        if self is LockStrategy.FLOCK and is_shared(directory):
            kind = file_system_type(directory)
            message = (
                f"its lock is 'flock', which does not reach other hosts on {kind}: "
                "'zsm init --lock marker' changes it for all"
            )
            raise OSError(0, message)


class Lock(Protocol):
    """One way to exclude others; an object of its own for each hold."""

    @property
    def path(self) -> str:
        """What is locked, for messages."""

    @property
    def poll_s(self) -> tuple[float, float]:
        """Seconds between two tries, at first and after a while."""

    def try_acquire(self, waiting: Waiting) -> bool:
        """Take it if it is free. OSError if it cannot be had here at all."""

    def release(self) -> None:
        """Let go of it."""

    def is_lost(self) -> bool:
        """Whether somebody else may hold it by now. StorageError if nobody knows."""

    def holder(self) -> str | None:
        """Name who holds it, to those who wait."""


@contextmanager
def write_lock(
    private: PrivateDirectory,
    strategy: LockStrategy,
    timeout_s: float = DEFAULT_TIMEOUT_S,
) -> Iterator[Lock]:
    """Hold the lock of a registry, against other processes and other threads.

    Readers never take it.

    Raises
    ------
    RegistryLockedError
        Somebody else held it for `timeout_s` seconds.
    StorageError
        It cannot be had here.
    """
    lock = _lock(private, strategy)
    try:
        _acquire(lock, timeout_s)
    except RegistryLockedError:
        raise
    except OSError as error:
        raise StorageError.of("lock", lock.path, error) from error
    try:
        yield lock
    finally:
        try:
            lock.release()
        except OSError as error:
            raise StorageError.of("unlock", lock.path, error) from error


def _lock(private: PrivateDirectory, strategy: LockStrategy) -> Lock:
    if strategy is LockStrategy.FLOCK:
        return DirectoryLock(private.registry)
    from zsm_store.storage.marker_lock import MarkerLock  # noqa: PLC0415  # drives only

    return MarkerLock(private)


def _acquire(lock: Lock, timeout_s: float) -> None:
    waiting = Waiting()
    deadline = time.monotonic() + timeout_s
    wait_s, longest_s = lock.poll_s
    while not lock.try_acquire(waiting):
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise RegistryLockedError(lock.path, timeout_s, lock.holder())
        import random  # noqa: PLC0415  # only for those who wait

        # At random, so that those who wait do not come back all at once.
        time.sleep(min(left_s, wait_s * random.uniform(0.5, 1.0)))  # noqa: S311  # no secret
        wait_s = min(wait_s * 1.5, longest_s)
