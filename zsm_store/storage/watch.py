"""Noticing early that a directory has changed.

A hint, never the truth: every lookup looks for itself whether something has changed.
Watching lets the work that follows from a change be done before somebody waits for it.
So whatever goes wrong here costs time and never an answer, and is repaired in the
background: events the kernel dropped, an observer that died, a directory that was
deleted, replaced or mounted over.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from zsm_store.storage.freshness import RESCAN_S, directory_state

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from zsm_store.storage.freshness import DirectoryState
    from zsm_store.storage.observer import DirectoryObserver

SETTLE_S = 0.2
"""How long nothing must happen before a burst of changes counts as over."""
BURST_S = 5.0
"""How long a burst may go on before what it has changed so far is taken in."""
LOOK_S = 1.0
"""How often the directory is looked at, in case no event tells of a change."""

_GRACE_S = 1.0  # watchdog holds half a rename back for 0.5 s, for the other half
_WAIT_MOST_S = 5.0
_JOIN_S = 5.0
_REPORTS_MOST = 20

logger = logging.getLogger(__name__)


class WatchState(NamedTuple):
    """What a watch is doing, for people who look for a fault."""

    kind: str
    """As of `DirectoryObserver`; "none" where nothing is observed: the directory is
    absent, the watch is closed, or it belongs to the process that this one forked
    from."""
    is_alive: bool
    """Whether its thread runs and is going to notice changes, now or later."""
    restarts: int
    """How often the observer was replaced."""
    event_age_s: float | None
    """Seconds since something was heard; None if never."""


class DirectoryWatch:
    """Calls `refresh` soon after something in a directory may have changed.

    Also at the start, after every repair, and every `rescan_s` seconds. One call at a
    time, on a thread of the watch's own. After a fork the child's copy does nothing: a
    child that wants to watch makes a watch of its own.

    Parameters
    ----------
    path
        The directory; need not exist yet.
    refresh
        What to call. The thread keeps it alive: where its owner is meant to be garbage
        collected, it must refer to the owner weakly.
    is_local
        Whether the kernel of this host sees every change; otherwise the directory is
        polled.
    settle_s, burst_s
        As `SETTLE_S` and `BURST_S`.
    look_s
        As `LOOK_S`; also how often a directory is polled.
    rescan_s
        As `RESCAN_S` of `freshness`: files that are edited in place change no
        directory.
    """

    def __init__(
        self,
        path: Path,
        refresh: Callable[[], None],
        *,
        is_local: bool,
        settle_s: float = SETTLE_S,
        burst_s: float = BURST_S,
        look_s: float = LOOK_S,
        rescan_s: float = RESCAN_S,
    ) -> None:
        self._path = path
        self._refresh = refresh
        self._native = is_local
        self._settle_s = settle_s
        self._burst_s = burst_s
        self._look_s = look_s
        self._rescan_s = rescan_s
        self._signal = _Signal()
        self._heard_at = -math.inf
        self._starts = 0
        self._observer: DirectoryObserver | None = None
        self._reported: set[str] = set()
        self._once = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closing = False

    def start(self) -> None:
        """Begin to watch; returns at once. Does nothing the second time."""
        # Never waited for, so that a fork in the middle of it blocks nobody.
        if self._closing or not self._once.acquire(blocking=False):
            return
        thread = threading.Thread(target=self._run, name="zsm-watch", daemon=True)
        thread.start()
        self._thread = thread

    def close(self) -> None:
        """Stop watching, for good, and wait until no thread of the watch is left.

        Any thread may call it, even the watch's own, which cannot wait for itself; and
        so may a finalizer. Waits a few seconds at most: a call of `refresh` may take
        longer, or a network drive not answer. The threads end when those do.
        """
        # All else is the thread's to end. After a fork there is none in the child, and
        # what it would close is the parent's as well: that would make the parent deaf.
        self._closing = True
        self._signal.set()
        thread = self._thread
        current = threading.current_thread()
        # The garbage collector may call this on any thread. For a thread of watchdog's
        # the watch's own thread is going to wait.
        is_watchdogs = type(current).__module__.startswith("watchdog.")
        if thread is not None and current is not thread and not is_watchdogs:
            thread.join(_JOIN_S)

    @property
    def state(self) -> WatchState:
        """What it is doing now."""
        thread, observer, heard_at = self._thread, self._observer, self._heard_at
        if thread is None or not thread.is_alive():
            return WatchState("none", is_alive=False, restarts=0, event_age_s=None)
        return WatchState(
            "none" if observer is None else observer.kind,
            is_alive=observer is None or observer.is_alive(),
            restarts=max(0, self._starts - 1),
            event_age_s=(
                None if heard_at == -math.inf else time.monotonic() - heard_at
            ),
        )

    def _run(self) -> None:
        wait_s = self._look_s
        while not self._closing:
            try:
                observed = self._observe()
            except Exception as error:  # noqa: BLE001  # lookups go on without hints, and this thread tries again
                self._report("cannot watch", error)
                observed = False
            if observed:
                wait_s = self._look_s
            elif not self._closing:
                self._signal.wait(wait_s)
                wait_s = min(2 * wait_s, _WAIT_MOST_S)

    def _observe(self) -> bool:
        """Observe until the observer must be replaced; False where there is nothing."""
        if directory_state(self._path) is None:
            return False
        try:
            observer = self._start_observer()
        except FileNotFoundError:  # deleted in between
            return False
        self._observer = observer
        self._starts += 1
        try:
            self._follow(observer)
        finally:
            self._observer = None
            observer.stop()
        return True

    def _start_observer(self) -> DirectoryObserver:
        from zsm_store.storage.observer import DirectoryObserver  # noqa: PLC0415  # imports watchdog, so only on this thread

        if self._native:
            try:
                return DirectoryObserver.start(
                    self._path, self._hear, native=True, poll_s=self._look_s
                )
            except FileNotFoundError:
                raise
            except OSError as error:  # a limit of the kernel, which others use up, too
                self._report("polling, as the kernel cannot watch", error)
                self._native = False
        return DirectoryObserver.start(
            self._path, self._hear, native=False, poll_s=self._look_s
        )

    def _follow(self, observer: DirectoryObserver) -> None:
        """Refresh after every change, until the observer has to be replaced."""
        # First the state, then the refresh: what changes in between shows in the next
        # state. The other way round it would show in none.
        seen = self._look()
        self._try_refresh()
        refreshed_at = time.monotonic()
        while not self._closing:
            heard = self._signal.wait(self._look_s)
            is_deaf = False
            now = self._look()
            if not heard and now != seen and _is_same(now, seen):
                # It has changed, and no event told; unless one is on its way.
                heard = self._signal.wait(_GRACE_S)
                is_deaf = not heard
            if heard:
                self._settle()
                now = self._look()
            is_lost = is_deaf or not observer.is_alive() or not _is_same(now, seen)
            is_due = time.monotonic() >= refreshed_at + self._rescan_s
            if heard or is_lost or is_due:
                refreshed_at = time.monotonic()
                self._try_refresh()
            if is_lost:
                return
            seen = now

    def _look(self) -> DirectoryState | None:
        """Look at the directory where that is not the observer's own way to watch."""
        return directory_state(self._path) if self._native else None

    def _settle(self) -> None:
        """Wait until the burst is over, or has gone on for too long."""
        end = time.monotonic() + self._burst_s
        while not self._closing:
            left = min(self._heard_at + self._settle_s, end) - time.monotonic()
            if left <= 0:
                break
            time.sleep(left)
        # Before the refresh: what is heard from now on may be too late for it.
        self._signal.wait(0)

    def _hear(self) -> None:
        # Only a mark, no list of what changed: its size has no bound in a burst.
        self._heard_at = time.monotonic()
        self._signal.set()

    def _try_refresh(self) -> None:
        if self._closing:
            return
        try:
            self._refresh()
        except Exception as error:  # noqa: BLE001  # the lookup that meets it raises it, to a caller
            self._report("cannot take in the changes of", error)

    def _report(self, what: str, error: Exception) -> None:
        """Log an error, but not every second, and not without end."""
        message = f"{what} '{self._path}': {error}"
        if message not in self._reported and len(self._reported) < _REPORTS_MOST:
            self._reported.add(message)
            # Where it was is of no interest for what an operating system refused.
            logger.warning(message, exc_info=not isinstance(error, OSError))


class _Signal:
    """Wakes the one thread that waits for it; is unset by that.

    Not `threading.Event`: the garbage collector closes a registry that was forgotten,
    maybe on this very thread in the middle of `Event.wait`, which holds the lock that
    `Event.set` then waits for.
    """

    def __init__(self) -> None:
        self._unset = threading.Lock()
        self._unset.acquire()

    def set(self) -> None:
        with suppress(RuntimeError):  # it is set
            self._unset.release()

    def wait(self, timeout_s: float) -> bool:
        return self._unset.acquire(timeout=timeout_s)


def _is_same(now: DirectoryState | None, before: DirectoryState | None) -> bool:
    """Whether two states are of one directory, and not of another in its place."""
    if now is None or before is None:
        return now is before
    return (now.device, now.inode) == (before.device, before.inode)
