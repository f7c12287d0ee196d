from __future__ import annotations

import errno
import os
import stat
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests.processes import run, run_as_nobody, running
from zsm_store.errors import RegistryLockedError, StorageError
from zsm_store.storage.lock import write_lock

if TYPE_CHECKING:
    from pathlib import Path

HOLDER = """
import sys, time
from pathlib import Path
from zsm_store.storage.lock import write_lock
with write_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
print("released", flush=True)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lock"


def test_second_writer_of_the_process_waits_in_vain_for_the_first(path: Path) -> None:
    with write_lock(path):
        started = time.monotonic()
        with pytest.raises(RegistryLockedError) as caught, write_lock(path, 0.1):
            pytest.fail("two writers at once")
    assert time.monotonic() - started >= 0.1
    assert str(path) in str(caught.value)
    assert caught.value.timeout_s == 0.1
    assert "0.1 s" in str(caught.value)


def test_writer_gets_the_lock_when_the_other_thread_is_done(path: Path) -> None:
    order = []
    held, waiting = threading.Event(), threading.Event()

    def first() -> None:
        with write_lock(path):
            held.set()
            assert waiting.wait(10)
            order.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    assert held.wait(10)
    waiting.set()
    with write_lock(path, 10):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]


def test_threads_never_hold_it_together(path: Path) -> None:
    counter = 0

    def count() -> None:
        nonlocal counter
        for _ in range(20):
            with write_lock(path):
                seen = counter
                time.sleep(0)  # invites the other threads
                counter = seen + 1

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counter == 80


def test_other_process_is_excluded_until_it_lets_go(path: Path) -> None:
    with running(HOLDER, path, stdin=True) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RegistryLockedError), write_lock(path, 0.05):
            pytest.fail("two writers at once")
        holder.stdin.write("\n")
        holder.stdin.flush()
        with write_lock(path, 20):
            pass


def test_lock_of_a_killed_writer_is_free_at_once(path: Path) -> None:
    with running(HOLDER, path, stdin=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        holder.kill()
        holder.wait(20)
        with write_lock(path, 0):
            pass


def test_lock_is_free_after_an_error_in_the_block(path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), write_lock(path):
        raise KeyboardInterrupt
    with write_lock(path, 0):
        pass


def test_lock_file_stays_because_waiters_have_it_open(path: Path) -> None:
    with write_lock(path):
        inode = path.stat().st_ino
    assert path.stat().st_ino == inode


def test_lock_file_that_was_cleaned_away_is_created_again(path: Path) -> None:
    with write_lock(path):
        pass
    path.unlink()
    with write_lock(path):
        assert path.exists()


@pytest.mark.parametrize("umask", [0o002, 0o022, 0o077])
def test_umask_alone_decides_who_shares_the_lock(path: Path, umask: int) -> None:
    code = f"""
import os, sys
from pathlib import Path
from zsm_store.storage.lock import write_lock
os.umask({umask})
with write_lock(Path(sys.argv[1])):
    pass
"""
    assert run(code, path).returncode == 0
    assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0o066 & ~umask


def test_place_that_cannot_be_locked_is_a_storage_error(tmp_path: Path) -> None:
    refused = pytest.raises(StorageError, match="cannot lock")
    with refused as caught, write_lock(tmp_path):
        pytest.fail("locked a directory")
    assert caught.value.errno == errno.EISDIR


def test_lock_that_one_may_not_write_is_a_storage_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "lock").touch()
    (tmp_path / "lock").chmod(0o444)
    code = """
from zsm_store.storage.lock import write_lock
try:
    with write_lock(Path("lock"), 0.1):
        sys.exit("locked")
except StorageError as error:
    print(error)
"""
    ended = run_as_nobody(code, tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "cannot lock 'lock': Permission denied" in ended.stdout


def test_file_system_without_locks_is_a_storage_error(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr("fcntl.flock", refuse)
    refused = pytest.raises(StorageError, match="cannot lock")
    with refused, write_lock(path, 0.1):
        pytest.fail("excluded nobody")
