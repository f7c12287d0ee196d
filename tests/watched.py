"""A directory that is watched, for tests to change and to wait for what follows."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from tests.processes import wait_until
from zsm_store.storage.watch import DirectoryWatch, WatchState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from zsm_store.storage.freshness import DirectoryState

HASH = "a" * 64
NAME = f"{HASH}.json"
LOOK_S = 0.05
EITHER_KIND = pytest.mark.parametrize(
    "is_local", [True, False], ids=["native", "polling"]
)
ON_INOTIFY = pytest.mark.skipif(
    sys.platform != "linux", reason="looks inside of the observer for inotify"
)


class Watched:
    """A directory that is watched, and what each refresh saw of it."""

    def __init__(self, path: Path, *, is_local: bool, rescan_s: float) -> None:
        self.path = path
        self.calls: list[float] = []
        self.seen: object = None
        self.also: Callable[[], object] = lambda: None
        self.watch = DirectoryWatch(
            path,
            self._refresh,
            is_local=is_local,
            settle_s=0.02,
            burst_s=0.5,
            look_s=LOOK_S,
            rescan_s=rescan_s,
        )
        self._turns = 0
        self._look = self.watch._look
        self.watch._look = self._count

    def _count(self) -> DirectoryState | None:
        self._turns += 1
        return self._look()

    def _refresh(self) -> None:
        self.seen = everything_in(self.path)
        self.calls.append(time.monotonic())
        self.also()

    @property
    def state(self) -> WatchState:
        return self.watch.state

    def publish(self) -> None:
        staging = self.path.with_name("staging")
        staging.write_bytes(b"{}")
        staging.replace(self.path / NAME)

    def catches_up(self) -> None:
        """Wait until a refresh has seen what there is now."""
        wait_until(lambda: self.seen == everything_in(self.path), "a refresh")

    def refreshes_after(self, change: Callable[[], object]) -> None:
        """Change something and wait for a refresh that sees it."""
        calls = len(self.calls)
        change()
        wait_until(lambda: len(self.calls) > calls, "a refresh")
        self.catches_up()

    def stays_quiet(self) -> None:
        """Wait while the watch looks several times and finds no reason to act."""
        turns, calls = self._turns, len(self.calls)
        wait_until(lambda: self._turns >= turns + 5, "looks at the directory")
        assert len(self.calls) == calls

    def hears(self, change: Callable[[], object]) -> None:
        """Change something and wait until the observer has told of it."""
        began_at = time.monotonic()
        change()
        wait_until(lambda: self.watch._heard_at >= began_at, "an event")


def everything_in(path: Path) -> object:
    """All that a refresh can see of a directory."""
    found = []
    with suppress(FileNotFoundError):
        for each in [path, *sorted(path.rglob("*"))]:
            status = each.stat()
            found.append((each, status.st_ino, status.st_mtime_ns, status.st_size))
    return found


@contextmanager
def watching(
    path: Path, *, is_local: bool = True, rescan_s: float = 60.0, wait: bool = True
) -> Iterator[Watched]:
    """Watch a directory, from the first refresh on; nothing is left afterwards."""
    watched = Watched(path, is_local=is_local, rescan_s=rescan_s)
    watched.watch.start()
    try:
        if wait:
            wait_until(lambda: bool(watched.calls), "the first refresh")
        yield watched
    finally:
        watched.watch.close()
    assert not watched.state.is_alive
