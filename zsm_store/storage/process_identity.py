"""Who holds something: a process, so that others can tell whether it still lives."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple, Self

_PROC = Path("/proc")
_ENDED = frozenset({"Z", "X"})


class ProcessIdentity(NamedTuple):
    """One process of one host, told from a later one with the same number."""

    host: str
    kernel: str
    """Boot and namespaces: only within the same ones do numbers mean the same."""
    pid: int
    started: int
    """In ticks since boot; 0 where it is not known."""

    @classmethod
    def current(cls) -> Self:
        """Return this process."""
        pid = os.getpid()
        return cls(os.uname().nodename, _kernel(), pid, _started(pid) or 0)

    def is_surely_dead(self) -> bool:
        """Whether it can be told from here that the process has ended.

        Never of a process of another host, of another container, or of an unknown one.
        """
        if not self.kernel or self.kernel != _kernel():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:  # it is somebody else's
            pass
        started = _started(self.pid)
        if started is None or not self.started:
            return _has_ended(self.pid)
        return started != self.started or _has_ended(self.pid)

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


def command_line(pid: int) -> str:
    """Return how a process of this host was called, shortened; empty if unknown."""
    with suppress(OSError):
        words = (_PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
        text = " ".join(word.decode("utf-8", "replace") for word in words if word)
        # It ends up in a message: one line, of a length that can be read.
        shown = "".join(c if c.isprintable() else "?" for c in text)
        return shown if len(shown) <= 60 else f"{shown[:57]}..."  # noqa: PLR2004  # a line's worth
    return ""


@cache
def _kernel() -> str:
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        # Times since boot are shifted in a time namespace, numbers in one of processes.
        namespaces = [_PROC / "self/ns" / name for name in ("pid", "time")]
        return " ".join([boot, *(str(path.readlink()) for path in namespaces)])
    except OSError:  # not Linux, or /proc is hidden: nothing can be told of others
        return ""


def _started(pid: int) -> int | None:
    fields = _status(pid)
    return int(fields[19]) if fields else None


def _has_ended(pid: int) -> bool:
    """Whether only an entry is left of it, until its parent takes note."""
    fields = _status(pid)
    if not fields or fields[0] not in _ENDED:
        return False
    with suppress(OSError):
        return len(list((_PROC / str(pid) / "task").iterdir())) <= 1
    return True


def _status(pid: int) -> list[str]:
    """Return what /proc/PID/stat says after the name, which may hold anything."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()
