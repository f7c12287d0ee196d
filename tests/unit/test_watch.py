"""What happens in a directory is noticed soon, and not too often."""

from __future__ import annotations

import errno
import os
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests.processes import DEADLINE_S, run, wait_until
from tests.watched import EITHER_KIND, HASH, NAME, watching
from zsm_store.storage.directory import ArtifactDirectory
from zsm_store.storage.freshness import directory_state

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = tmp_path / "registry"
    path.mkdir()
    return path


@EITHER_KIND
def test_publish_by_another_process_leads_to_one_refresh(
    directory: Path,
    is_local: bool,
) -> None:
    staging = directory.with_name("staging")
    staging.write_bytes(b"{}")
    with watching(directory, is_local=is_local) as watched:
        code = "import os, sys; os.replace(sys.argv[1], sys.argv[2])"
        watched.refreshes_after(lambda: run(code, staging, directory / NAME))
        watched.stays_quiet()
        assert len(watched.calls) == 2  # the other one is the first
        assert watched.state.restarts == 0


@EITHER_KIND
def test_own_reads_lead_to_none(
    directory: Path,
    is_local: bool,
) -> None:
    stored = ArtifactDirectory(directory)
    (directory / NAME).write_bytes(b"{}")
    with watching(directory, is_local=is_local) as watched:
        for _ in range(20):
            assert stored.read(HASH, limit=10) == b"{}"
            assert list(stored.entries()) == [HASH]
            directory_state(directory)
        watched.stays_quiet()
        assert watched.state.event_age_s is None


@EITHER_KIND
@pytest.mark.parametrize("fan_out", [False, True], ids=["flat", "fan-out"])
def test_save_replacement_and_deletion_are_noticed_in_either_layout(
    directory: Path, is_local: bool, fan_out: bool
) -> None:
    stored = ArtifactDirectory(directory, fan_out=fan_out)

    def save() -> None:
        with stored.staged(HASH, b"{}") as staging:
            stored.publish(staging, HASH, b"{}")

    save()
    with watching(directory, is_local=is_local) as watched:
        for change in (save, save, lambda: stored.delete(HASH), save):
            watched.hears(change)
            watched.catches_up()
        assert watched.state.restarts == 0


@EITHER_KIND
def test_touch_of_the_directory_is_noticed(directory: Path, is_local: bool) -> None:
    with watching(directory, is_local=is_local) as watched:
        watched.hears(lambda: os.utime(directory))


def test_edit_in_place_is_noticed_when_it_is_over(directory: Path) -> None:
    (directory / NAME).write_bytes(b"{")
    with watching(directory) as watched:
        with (directory / NAME).open("ab") as file:
            file.write(b"}")
        watched.catches_up()


def test_directory_behind_a_symbolic_link_is_watched(directory: Path) -> None:
    link = directory.with_name("link")
    link.symlink_to(directory, target_is_directory=True)
    with watching(link) as watched:
        watched.hears(watched.publish)
        other = directory.with_name("other")
        other.mkdir()
        link.unlink()
        watched.refreshes_after(
            lambda: link.symlink_to(other, target_is_directory=True)
        )
        wait_until(lambda: watched.state.restarts == 1, "the other directory")
        watched.hears(watched.publish)


def test_burst_leads_to_one_refresh_when_it_is_over(directory: Path) -> None:
    with watching(directory) as watched:
        watched.watch._settle_s = 0.5
        watched.watch._burst_s = DEADLINE_S
        for _ in range(200):
            watched.publish()
        watched.catches_up()
        watched.stays_quiet()
        assert len(watched.calls) == 2


def test_burst_that_never_ends_is_taken_in_now_and_then(directory: Path) -> None:
    with watching(directory) as watched:
        watched.watch._settle_s = DEADLINE_S  # so that it never settles
        began_at = time.monotonic()
        while len(watched.calls) < 3:
            watched.publish()
            assert time.monotonic() < began_at + DEADLINE_S / 2, "never taken in"
        assert watched.calls[2] - watched.calls[1] >= 0.5


def test_change_during_a_refresh_leads_to_another_one(directory: Path) -> None:
    with watching(directory) as watched:
        watched.also = lambda: (
            len(watched.calls) == 2 and watched.hears(watched.publish)
        )
        watched.publish()
        wait_until(lambda: len(watched.calls) == 3, "a third refresh")


def test_refreshes_never_overlap(directory: Path) -> None:
    with watching(directory) as watched:
        threads = set()
        running = threading.Lock()

        def slowly() -> None:
            assert running.acquire(blocking=False)
            threads.add(threading.current_thread())
            time.sleep(0.05)
            running.release()

        watched.also = slowly
        for _ in range(5):
            watched.refreshes_after(watched.publish)
        assert threads == {watched.watch._thread}


def test_failing_refresh_is_logged_once_and_tried_again(
    directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with watching(directory) as watched:

        def fail() -> None:
            raise OSError(errno.EIO, "disk on fire")

        watched.also = fail
        for _ in range(3):
            watched.refreshes_after(watched.publish)
        watched.also = [].pop
        for _ in range(2):
            watched.refreshes_after(watched.publish)
        watched.also = lambda: None
        watched.refreshes_after(watched.publish)
        wait_until(lambda: len(caplog.records) >= 2, "the second message")
        fire, bug = caplog.records
        assert "disk on fire" in fire.getMessage()
        assert not fire.exc_info
        assert bug.exc_info, "a mistake in the code comes with its traceback"
        assert watched.state.restarts == 0


def test_reports_do_not_add_up_without_end(
    directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with watching(directory) as watched:
        for number in range(100):
            watched.watch._report("cannot", OSError(number, "different each time"))
        assert len(caplog.messages) < 50
