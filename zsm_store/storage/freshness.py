"""Whether what was read some time ago still holds, for the price of one fstat.

Another state of a directory or file (device, inode, times) tells that it changed. The
same state tells nothing at first: a change within one tick of the file system's clock
leaves the time stamp as it was. Git calls such an entry racy. So a state is believed
only once it was read anew, longer than a tick after it was first seen: whatever changes
after that reading gets a later stamp. Only durations on this host are measured, so
clocks may differ between hosts, and jump.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, NamedTuple

from zsm_store.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Hashable
    from pathlib import Path

RESCAN_S = 60.0
"""How long a state is believed. It shows nothing of files that somebody edits in place,
nor of what programs other than this one change in a fan-out folder."""


class DirectoryState(NamedTuple):
    """Changes whenever a name in the directory appears, disappears or is replaced."""

    device: int
    inode: int
    mtime_ns: int
    ctime_ns: int


def directory_state(path: Path) -> DirectoryState | None:
    """Return the state of a directory; None where there is none.

    Raises
    ------
    StorageError
        It cannot be opened, or is no directory.
    """
    try:
        # Not os.stat: on NFS that answers from a cache for up to 50 seconds, while an
        # open asks the server.
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            status = os.fstat(fd)
        finally:
            os.close(fd)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError.of("list", path, error) from error
    return DirectoryState(
        status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns
    )


class Reading(NamedTuple):
    """When something was read, and under which state."""

    state: Hashable
    seen_at: float
    """When the state was first seen, seconds of the monotonic clock."""
    read_at: float
    """When the last reading began."""

    @classmethod
    def of(
        cls, state: Hashable, before: Reading | None, read_at: float | None = None
    ) -> Reading:
        """Note a reading.

        Parameters
        ----------
        state
            Taken before anything was read.
        before
            The reading before, if any.
        read_at
            When the reading began; now, if it begins only now.
        """
        now = time.monotonic()
        seen_at = now
        if before is not None and before.state == state:
            seen_at = before.seen_at
        return cls(state, seen_at, now if read_at is None else read_at)

    def is_settled(self, granularity_s: float) -> bool:
        """Whether any change since the reading began has led to another state.

        Parameters
        ----------
        granularity_s
            Longest tick of the file system's clock.
        """
        return not granularity_s or self.read_at >= self.seen_at + granularity_s

    def holds(self, state: Hashable, granularity_s: float) -> bool:
        """Whether what was read then is what would be read now.

        Parameters
        ----------
        state
            The state now.
        granularity_s
            As in `is_settled`.
        """
        return state == self.state and self.is_believed(granularity_s)

    def is_believed(self, granularity_s: float) -> bool:
        """Whether it holds for as long as the state is the same."""
        is_recent = time.monotonic() < self.read_at + RESCAN_S
        return is_recent and self.is_settled(granularity_s)
