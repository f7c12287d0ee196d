"""One writer at a time."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from zsm_store.errors import RegistryLockedError, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DEFAULT_TIMEOUT_S = 30.0
_POLL_S = 0.005


@contextmanager
def write_lock(path: Path, timeout_s: float = DEFAULT_TIMEOUT_S) -> Iterator[None]:
    """Hold the lock file at `path`, against other processes and other threads.

    The kernel releases it when its holder dies. Readers never take it.

    Raises
    ------
    RegistryLockedError
        Somebody else held it for `timeout_s` seconds.
    StorageError
        The file cannot be locked here.
    """
    import filelock  # noqa: PLC0415  # reading a registry must not pay for it

    # A lock object of its own for each hold: threads exclude each other, too. No mode:
    # umask and default ACLs decide, so that a group can share the lock. No fallback to
    # another kind of lock: two hosts with two kinds would exclude nobody.
    lock = filelock.FileLock(
        path, timeout_s, poll_interval=_POLL_S, fallback_to_soft=False
    )
    try:
        lock.acquire()
    except filelock.Timeout:
        raise RegistryLockedError(str(path), timeout_s) from None
    except OSError as error:
        raise StorageError.of("lock", path, error) from error
    try:
        yield
    finally:
        lock.release()
