"""What watchdog is given to look at, and what it makes of it."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from tests.processes import wait_until
from zsm_store.storage.freshness import directory_state
from zsm_store.storage.observer import DirectoryObserver, _no_names, _status

if TYPE_CHECKING:
    from pathlib import Path

    from zsm_store.storage.freshness import DirectoryState


def test_poll_sees_the_state_that_a_lookup_sees(tmp_path: Path) -> None:
    os.utime(tmp_path, ns=(1, 1_700_000_000_123_456_789))
    status, state = _status(str(tmp_path)), directory_state(tmp_path)
    assert state is not None
    assert (status.st_dev, status.st_ino) == (state.device, state.inode)
    assert status.st_mtime == 1_700_000_000_123_456_789, "to the nanosecond"
    assert status.st_size == state.ctime_ns
    assert list(_no_names(str(tmp_path))) == []


def test_poll_looks_at_nothing_but_the_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    looks = []

    def look(path: Path) -> DirectoryState | None:
        looks.append(path)
        return directory_state(path)

    monkeypatch.setattr("zsm_store.storage.observer.directory_state", look)
    observer = DirectoryObserver.start(
        tmp_path, lambda: None, native=False, poll_s=0.01
    )
    wait_until(lambda: len(looks) > 5, "some polls")
    observer.stop()
    assert set(looks) == {tmp_path}


def test_poll_of_what_is_not_there_tells_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        _status(str(tmp_path / "never"))


@pytest.mark.parametrize("native", [True, False])
def test_observer_of_what_is_not_there_leaves_nothing(
    tmp_path: Path, native: bool
) -> None:
    with pytest.raises(FileNotFoundError):
        DirectoryObserver.start(
            tmp_path / "never", lambda: None, native=native, poll_s=0.01
        )


@pytest.mark.parametrize("native", [True, False])
def test_observer_tells_of_a_change_and_of_its_own_death(
    tmp_path: Path, native: bool
) -> None:
    path = tmp_path / "registry"
    path.mkdir()
    told: list[None] = []
    observer = DirectoryObserver.start(
        path, lambda: told.append(None), native=native, poll_s=0.01
    )
    try:
        if sys.platform == "linux":
            assert observer.kind == ("inotify" if native else "polling")
        assert observer.is_alive()
        (path / "name").touch()
        wait_until(lambda: bool(told), "an event")
        assert observer.is_alive()
        (path / "name").unlink()
        path.rmdir()
        wait_until(lambda: not observer.is_alive(), "the end of what it observes")
    finally:
        observer.stop()
    assert not observer.is_alive()
