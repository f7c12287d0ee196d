"""A watch ends when it is told to, and leaves nothing, in any process."""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from typing import TYPE_CHECKING

import pytest

from tests.processes import DEADLINE_S, run, wait_until
from tests.watched import EITHER_KIND, LOOK_S, ON_INOTIFY, watching
from zsm_store.storage import watch as watch_module
from zsm_store.storage.watch import DirectoryWatch, WatchState, _Signal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = tmp_path / "registry"
    path.mkdir()
    return path


@EITHER_KIND
def test_close_leaves_nothing_and_may_be_repeated(
    directory: Path, is_local: bool
) -> None:
    before = set(threading.enumerate())
    for _ in range(10):
        with watching(directory, is_local=is_local) as watched:
            assert len(set(threading.enumerate()) - before) > 1
            watched.watch.close()
            assert set(threading.enumerate()) == before
            assert watched.state == WatchState("none", False, 0, None)
            watched.watch.close()
            watched.watch.start()
            assert set(threading.enumerate()) == before


def test_second_start_does_nothing(directory: Path) -> None:
    with watching(directory) as watched:
        threads = set(threading.enumerate())
        thread = watched.watch._thread
        watched.watch.start()
        assert watched.watch._thread is thread
        assert set(threading.enumerate()) == threads


@EITHER_KIND
@pytest.mark.parametrize("exists", [True, False])
def test_close_ends_a_wait(directory: Path, is_local: bool, exists: bool) -> None:
    begun = threading.Event()
    watch = DirectoryWatch(
        directory, begun.set, is_local=is_local, look_s=10 * DEADLINE_S
    )
    if not exists:
        directory.rmdir()
        begun.set()
    watch.start()
    assert begun.wait(DEADLINE_S)
    watch.close()
    assert not watch.state.is_alive


def test_nothing_is_refreshed_after_the_close(directory: Path) -> None:
    with watching(directory) as watched:
        watched.watch._settle_s = 0.2
        watched.hears(watched.publish)
        watched.watch.close()
        assert len(watched.calls) == 1


def test_close_before_start_is_for_good(directory: Path) -> None:
    watch = DirectoryWatch(directory, lambda: None, is_local=True)
    assert not watch.state.is_alive
    watch.close()
    watch.start()
    assert watch._thread is None


@EITHER_KIND
def test_close_from_its_own_thread(
    directory: Path,
    is_local: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with watching(directory, is_local=is_local) as watched:
        watched.also = watched.watch.close
        watched.publish()
        wait_until(lambda: not watched.state.is_alive, "the end of the thread")
        assert len(watched.calls) == 2
        assert not caplog.records


def test_close_from_a_thread_of_the_observer_does_not_wait_for_itself(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = threading.Event()

    def hear(watch: DirectoryWatch) -> None:
        watch.close()
        closed.set()

    monkeypatch.setattr(DirectoryWatch, "_hear", hear)
    monkeypatch.setattr(watch_module, "_JOIN_S", DEADLINE_S)
    with watching(directory) as watched:
        watched.publish()
        assert closed.wait(DEADLINE_S / 2)
        wait_until(lambda: not watched.state.is_alive, "the end of the thread")


def test_close_does_not_wait_without_end_for_a_refresh(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_module, "_JOIN_S", 0.05)
    with watching(directory) as watched:
        may_end = threading.Event()
        watched.also = lambda: may_end.wait(DEADLINE_S)
        watched.refreshes_after(watched.publish)
        watched.watch.close()
        assert watched.state.is_alive
        may_end.set()
        wait_until(lambda: not watched.state.is_alive, "the end of the thread")


@EITHER_KIND
def test_watch_of_a_forgotten_owner_ends(directory: Path, is_local: bool) -> None:
    class Owner:
        def __init__(self) -> None:
            refresh = weakref.WeakMethod(self.refresh)
            self.begun = threading.Event()
            self.watch = DirectoryWatch(
                directory,
                lambda: (found := refresh()) and found(),
                is_local=is_local,
                look_s=LOOK_S,
            )
            weakref.finalize(self, self.watch.close)
            self.watch.start()

        def refresh(self) -> None:
            self.begun.set()

    owner = Owner()
    assert owner.begun.wait(DEADLINE_S)
    thread = owner.watch._thread
    assert thread is not None
    del owner
    gc.collect()
    wait_until(lambda: not thread.is_alive(), "the end of the thread")


def test_signal_given_in_the_middle_of_a_wait_blocks_nobody() -> None:
    signal = _Signal()
    waited = []

    def give(frame: object, event: str, argument: object) -> Callable[..., object]:
        del frame, event, argument
        signal.set()
        return give

    def wait() -> None:
        sys.settrace(give)  # at every line, as the garbage collector may
        try:
            waited.append(signal.wait(DEADLINE_S))
        finally:
            sys.settrace(None)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    thread.join(DEADLINE_S / 2)
    assert waited == [True]


def test_signal_given_twice_is_one() -> None:
    signal = _Signal()
    assert not signal.wait(0)
    signal.set()
    signal.set()
    assert signal.wait(0)
    assert not signal.wait(0)


@EITHER_KIND
@pytest.mark.parametrize("ending", ["", "weakref.finalize(owner, watch.close)"])
def test_process_ends_with_a_watch_that_nobody_closed(
    directory: Path, is_local: bool, ending: str
) -> None:
    code = f"""
import sys, threading, weakref
from pathlib import Path
from zsm_store.storage.watch import DirectoryWatch
class Owner: pass
owner = Owner()
begun = threading.Event()
watch = DirectoryWatch(Path(sys.argv[1]), begun.set, is_local={is_local})
{ending}
watch.start()
assert begun.wait(20)
"""
    ended = run(code, directory)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


@ON_INOTIFY
def test_child_neither_uses_nor_disturbs_the_watch_of_its_parent(
    directory: Path,
) -> None:
    code = """
import os, sys, threading, warnings
from pathlib import Path
from tests.processes import wait_until
from zsm_store.storage.watch import DirectoryWatch, WatchState
warnings.simplefilter("ignore")  # of fork beside threads: that is the test

path = Path(sys.argv[1])
calls = []

def watch():
    before = len(calls)
    def refresh():
        calls.append(os.listdir(path))
    found = DirectoryWatch(path, refresh, is_local=True, look_s=0.05)
    found.start()
    wait_until(lambda: len(calls) > before, "the first refresh")
    return found

def publish(watch, name):
    before = watch._heard_at
    Path(f"{path}.{name}").touch()
    os.replace(f"{path}.{name}", path / name)
    wait_until(lambda: watch._heard_at > before, "an event")
    wait_until(lambda: name in calls[-1], "a refresh")
    assert (watch.state.kind, watch.state.restarts) == ("inotify", 0), watch.state

parents = watch()
publish(parents, "before")
child = os.fork()
if not child:
    try:
        assert parents.state == WatchState("none", False, 0, None)
        parents.start()
        parents.close()
        assert threading.enumerate() == [threading.main_thread()]
        own = watch()
        publish(own, "own")
        own.close()
        assert threading.enumerate() == [threading.main_thread()]
        os._exit(0)
    finally:
        os._exit(1)
assert os.waitpid(child, 0)[1] == 0
wait_until(lambda: "own" in calls[-1], "what the child has published")
publish(parents, "after")
assert parents.state.is_alive
parents.close()
print("well")
"""
    ended = run(code, directory)
    assert (ended.stdout, ended.stderr) == ("well\n", "")


def test_who_does_not_watch_does_not_load_watchdog(directory: Path) -> None:
    code = """
import sys
from pathlib import Path
from zsm_store.storage.watch import DirectoryWatch
DirectoryWatch(Path(sys.argv[1]), print, is_local=True).close()
assert not any(name.startswith("watchdog") for name in sys.modules)
"""
    ended = run(code, directory)
    assert (ended.returncode, ended.stderr) == (0, "")
