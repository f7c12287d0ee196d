"""Whatever happens to who notices changes, they go on being noticed."""

from __future__ import annotations

import ctypes
import errno
import os
import time
from pathlib import Path

import pytest

from tests.processes import wait_until
from tests.watched import EITHER_KIND, LOOK_S, NAME, ON_INOTIFY, Watched, watching
from zsm_store.storage import watch as watch_module
from zsm_store.storage.freshness import DirectoryState, directory_state
from zsm_store.storage.watch import DirectoryWatch


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = tmp_path / "registry"
    path.mkdir()
    return path


MOST_EVENTS = Path("/proc/sys/fs/inotify/max_queued_events")


def inotify_of(watched: Watched) -> ctypes.Any:
    observer = watched.watch._observer
    assert observer is not None
    return observer._observer._inotify_fd


@EITHER_KIND
def test_directory_that_appears_is_watched_from_then_on(
    tmp_path: Path, is_local: bool
) -> None:
    with watching(tmp_path / "later", is_local=is_local, wait=False) as watched:
        wait_until(lambda: watched.state.is_alive, "the thread")
        assert watched.state.kind == "none"
        watched.refreshes_after(watched.path.mkdir)
        watched.hears(watched.publish)


@EITHER_KIND
def test_directory_that_is_deleted_and_made_again_is_followed(
    directory: Path, is_local: bool
) -> None:
    with watching(directory, is_local=is_local) as watched:
        for _ in range(3):
            watched.refreshes_after(directory.rmdir)
            wait_until(lambda: watched.state.kind == "none", "the end of the observer")
            watched.refreshes_after(directory.mkdir)
            watched.hears(watched.publish)
            (directory / NAME).unlink()
        assert watched.state.restarts == 3


@EITHER_KIND
def test_directory_that_is_replaced_by_another_one_is_followed(
    directory: Path, is_local: bool
) -> None:
    with watching(directory, is_local=is_local) as watched:
        other = directory.with_name("other")
        other.mkdir()

        def swap() -> None:
            directory.rename(directory.with_name("old"))
            other.rename(directory)

        watched.refreshes_after(swap)
        wait_until(lambda: is_local <= watched.state.restarts, "another observer")
        watched.hears(watched.publish)


@EITHER_KIND
def test_directory_that_is_moved_away_is_waited_for(
    directory: Path, is_local: bool
) -> None:
    with watching(directory, is_local=is_local) as watched:
        away = directory.with_name("away")
        watched.refreshes_after(lambda: directory.rename(away))
        wait_until(lambda: watched.state.kind == "none", "the end of the observer")
        watched.refreshes_after(lambda: away.rename(directory))
        watched.hears(watched.publish)


@EITHER_KIND
def test_file_in_place_of_the_directory_is_reported_once_and_outlived(
    directory: Path,
    is_local: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    directory.rmdir()
    directory.write_bytes(b"")
    with watching(directory, is_local=is_local, wait=False) as watched:
        wait_until(lambda: bool(caplog.messages), "a report")
        directory.unlink()
        watched.refreshes_after(directory.mkdir)
        assert len(caplog.messages) == 1
        assert "cannot watch" in caplog.text
        assert str(directory) in caplog.text


@ON_INOTIFY
def test_directory_that_goes_as_the_observer_begins_is_waited_for(
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    looked = []

    def look(path: Path) -> DirectoryState | None:
        state = directory_state(path)
        looked.append(state)
        if len(looked) == 1:
            path.rmdir()
        return state

    monkeypatch.setattr(watch_module, "directory_state", look)
    with watching(directory, wait=False) as watched:
        wait_until(lambda: len(looked) > 1, "the second look")
        watched.refreshes_after(directory.mkdir)
        assert watched.state.kind == "inotify"
        assert not caplog.records


@EITHER_KIND
@pytest.mark.parametrize("part", ["observer", "emitter"])
def test_observer_that_dies_is_replaced(
    directory: Path, is_local: bool, part: str
) -> None:
    with watching(directory, is_local=is_local) as watched:
        observer = watched.watch._observer
        assert observer is not None
        (emitter,) = observer._observer.emitters

        def kill() -> None:
            if part == "emitter":
                emitter.stop()
            else:  # not `stop`, which ends the emitter, too
                observer._observer.stopped_event.set()
                observer._observer.event_queue.put(observer._observer.stop_event)

        watched.refreshes_after(kill)
        wait_until(lambda: watched.state.restarts == 1, "another observer")
        watched.hears(watched.publish)
        assert watched.state.is_alive


def test_observer_that_tells_late_is_not_replaced(
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hear = DirectoryWatch._hear

    def hear_late(watch: DirectoryWatch) -> None:
        time.sleep(4 * LOOK_S)
        hear(watch)

    monkeypatch.setattr(DirectoryWatch, "_hear", hear_late)
    with watching(directory) as watched:
        watched.publish()
        watched.catches_up()
        watched.stays_quiet()
        assert len(watched.calls) == 2
        assert watched.state.restarts == 0


@ON_INOTIFY
def test_observer_that_hears_nothing_any_more_is_replaced(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_module, "_GRACE_S", 0.1)
    with watching(directory) as watched:
        inotify_of(watched).stop()
        assert watched.state.is_alive, "nothing can be seen of it"
        watched.refreshes_after(watched.publish)
        wait_until(lambda: watched.state.restarts == 1, "another observer")
        watched.hears(watched.publish)


def test_periodic_refresh_repairs_what_nothing_tells(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (directory / NAME).write_bytes(b"{")
    monkeypatch.setattr(DirectoryWatch, "_hear", lambda _self: None)
    with watching(directory, rescan_s=0.3) as watched:
        watched.refreshes_after(lambda: (directory / NAME).write_bytes(b"{}"))
        assert watched.calls[1] - watched.calls[0] >= 0.3
        assert watched.state.restarts == 0


@ON_INOTIFY
def test_change_that_the_kernels_queue_had_no_room_for_is_found(
    directory: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    most = int(MOST_EVENTS.read_text(encoding="ascii"))
    if most > 100_000:
        pytest.skip("it would take minutes to fill this host's queue")
    for name in "ab":
        (directory / name).touch()
    with watching(directory) as watched:
        with inotify_of(watched)._lock:
            for _ in range(most):  # more than are read before the reader needs the lock
                os.utime(directory / "a")
                os.utime(directory / "b")
            watched.publish()
        watched.catches_up()
        wait_until(lambda: "overflow" in caplog.text, "the overflow")
        assert watched.state.event_age_s is None, "there was room for it"
        wait_until(lambda: watched.state.restarts == 1, "another observer")
        watched.hears(watched.publish)


@pytest.fixture(
    params=[("inotify_init", errno.EMFILE), ("inotify_add_watch", errno.ENOSPC)],
    ids=["instances", "watches"],
)
def limited(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the kernel refuse as it does when a limit is reached."""
    function, number = request.param

    def refuse(*_: object) -> int:
        ctypes.set_errno(number)
        return -1

    monkeypatch.setattr(f"watchdog.observers.inotify_c.{function}", refuse)


@ON_INOTIFY
@pytest.mark.usefixtures("limited")
def test_limit_of_the_kernel_means_polling(
    directory: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with watching(directory) as watched:
        assert watched.state.kind == "polling"
        watched.hears(watched.publish)
        watched.refreshes_after(lambda: directory.rename(directory.with_name("old")))
        watched.refreshes_after(directory.mkdir)
        assert [record.name for record in caplog.records] == ["zsm_store.storage.watch"]
        assert "polling" in caplog.text
