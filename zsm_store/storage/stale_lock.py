"""Whether the file that is a registry's lock was left by somebody who is gone."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from zsm_store.storage.marker_lock import (
    MARKER_BYTES,
    MARKER_NAME,
    SILENCE_S,
    marker_owner,
)
from zsm_store.storage.regular_file import open_regular, read_open

if TYPE_CHECKING:
    from zsm_store.storage.private import PrivateDirectory


class SeenLock(NamedTuple):
    """A lock file, as somebody sees it who does not want the lock."""

    holder: str
    silent_s: float
    """Since the last sign of life, by the clock of the file system."""
    is_dead: bool
    """Whether the holder has surely ended."""

    @property
    def is_stale(self) -> bool:
        """Whether the next writer is going to take it over."""
        return self.is_dead or self.silent_s > SILENCE_S

    def __str__(self) -> str:
        if self.is_dead:
            return f"{self.holder}, which ended without releasing it"
        if self.is_stale:
            return f"{self.holder}, not heard of for {self.silent_s:.0f} s"
        return self.holder


def seen_lock(private: PrivateDirectory, now: float) -> SeenLock | None:
    """Look at the lock file; None where there is none.

    Parameters
    ----------
    private
        The registry's private folder.
    now
        Unix time of the file system, see `file_clock`.
    """
    try:
        fd, status = open_regular(private.path / MARKER_NAME)
    except OSError:
        return None
    try:
        content = read_open(fd, status.st_size, MARKER_BYTES)
    except OSError:
        return None
    finally:
        os.close(fd)
    owner = marker_owner(content)
    return SeenLock(
        holder="somebody unknown" if owner is None else str(owner),
        silent_s=now - status.st_mtime,
        is_dead=owner is not None and owner.is_surely_dead(),
    )
