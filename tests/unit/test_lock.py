"""Both ways to lock a registry, and the one that each file system gets."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import stat
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tests.processes import DEADLINE_S, run, run_as_nobody, running
from zsm_store.errors import RegistryLockedError, StorageError
from zsm_store.storage import file_system, marker_lock
from zsm_store.storage.directory import ArtifactDirectory
from zsm_store.storage.lock import LockStrategy, write_lock
from zsm_store.storage.marker_lock import MarkerLock
from zsm_store.storage.private import PrivateDirectory
from zsm_store.storage.process_identity import ProcessIdentity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from zsm_store.storage.lock import Lock

    Locked = Callable[..., AbstractContextManager[Lock]]

HOLDER = """
import os, sys, time
from pathlib import Path
from zsm_store.storage import marker_lock
from zsm_store.storage.lock import LockStrategy, write_lock
from zsm_store.storage.private import PrivateDirectory
from zsm_store.storage.process_identity import ProcessIdentity
strategy, how = LockStrategy(sys.argv[2]), sys.argv[3]
if how in ("elsewhere", "silent"):
    here = ProcessIdentity.current()
    there = here._replace(host="node-42", kernel="another kernel")
    ProcessIdentity.current = classmethod(lambda cls: there)
marker_lock._BEAT_S = 0.05 if how == "elsewhere" else 60
with write_lock(PrivateDirectory(Path(sys.argv[1])), strategy, 20):
    print("held", flush=True)
    sys.stdin.readline()
print("released", flush=True)
"""


@pytest.fixture(params=LockStrategy)
def strategy(request: pytest.FixtureRequest) -> LockStrategy:
    return LockStrategy(request.param)


@pytest.fixture
def private(tmp_path: Path) -> PrivateDirectory:
    (tmp_path / "registry").mkdir()
    private = PrivateDirectory(tmp_path / "registry")
    private.make()
    return private


@pytest.fixture
def locked(private: PrivateDirectory, strategy: LockStrategy) -> Locked:
    """Return what locks a registry, in either way."""

    def lock(timeout_s: float = 20) -> AbstractContextManager[Lock]:
        return write_lock(private, strategy, timeout_s)

    return lock


@pytest.fixture
def holder(
    private: PrivateDirectory,
) -> Iterator[Callable[[LockStrategy, str], int]]:
    """Return what starts a process that holds the lock, and returns its number."""
    processes = []

    def hold(strategy: LockStrategy, how: str = "here") -> int:
        context = running(HOLDER, private.registry, strategy, how, stdin=True)
        process = context.__enter__()
        processes.append((context, process))
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n", process.communicate()
        return process.pid

    yield hold
    for context, process in processes:
        process.kill()
        context.__exit__(None, None, None)


def test_second_writer_of_the_process_waits_in_vain_for_the_first(
    locked: Locked,
) -> None:
    with locked():
        started = time.monotonic()
        with pytest.raises(RegistryLockedError) as caught, locked(0.1):
            pytest.fail("two writers at once")
    assert time.monotonic() - started >= 0.1
    assert caught.value.timeout_s == 0.1
    assert "0.1 s" in str(caught.value)


def test_writer_gets_the_lock_when_the_other_thread_is_done(locked: Locked) -> None:
    order = []
    held, waiting = threading.Event(), threading.Event()

    def first() -> None:
        with locked():
            held.set()
            assert waiting.wait(10)
            order.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    assert held.wait(10)
    waiting.set()
    with locked(10):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]


def test_threads_never_hold_it_together(locked: Locked) -> None:
    counter = 0

    def count() -> None:
        nonlocal counter
        for _ in range(20):
            with locked():
                seen = counter
                time.sleep(0)  # invites the other threads
                counter = seen + 1

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counter == 80


def test_error_names_the_process_that_holds_it(
    locked: Locked,
    strategy: LockStrategy,
    holder: Callable[[LockStrategy], int],
) -> None:
    pid = holder(strategy)
    with pytest.raises(RegistryLockedError) as caught, locked(0.05):
        pytest.fail("two writers at once")
    assert f"process {pid} " in str(caught.value)
    assert str(caught.value.holder) in str(caught.value)


def test_lock_of_a_killed_writer_is_free_within_a_second(
    locked: Locked,
    strategy: LockStrategy,
    holder: Callable[[LockStrategy], int],
) -> None:
    pid = holder(strategy)
    os.kill(pid, signal.SIGKILL)  # and nobody has taken note of its end yet
    started = time.monotonic()
    with locked(10):
        waited_s = time.monotonic() - started
    assert waited_s < 1.5  # the second, and a busy machine


def test_lock_is_free_after_an_error_in_the_block(locked: Locked) -> None:
    with pytest.raises(KeyboardInterrupt), locked():
        raise KeyboardInterrupt
    with locked(0):
        pass


def test_child_of_a_fork_neither_holds_nor_frees_the_lock(locked: Locked) -> None:
    with locked() as lock:
        child = os.fork()
        if child == 0:
            lock.release()
            os._exit(0 if lock.is_lost() else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert not lock.is_lost()
        with pytest.raises(RegistryLockedError), locked(0.05):
            pytest.fail("the child has let go of the parent's lock")


def test_child_that_outlives_a_killed_holder_does_not_keep_the_lock(
    tmp_path: Path, locked: Locked, strategy: LockStrategy, private: PrivateDirectory
) -> None:
    # The child of a fork in the middle of a save has copies of all descriptors.
    code = """
import os, signal, sys, time
from pathlib import Path
from zsm_store.storage.lock import LockStrategy, write_lock
from zsm_store.storage.private import PrivateDirectory
with write_lock(PrivateDirectory(Path(sys.argv[1])), LockStrategy(sys.argv[2])):
    if os.fork() == 0:
        Path(sys.argv[3]).write_text(str(os.getpid()))
        os.close(1), os.close(2)
        time.sleep(30)
        os._exit(0)
    while not os.path.exists(sys.argv[3]):
        time.sleep(0.001)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    run(code, private.registry, strategy, tmp_path / "child")
    try:
        with locked(5):
            pass
    finally:
        os.kill(int((tmp_path / "child").read_text()), signal.SIGKILL)


@pytest.mark.parametrize("umask", [0o002, 0o022, 0o077])
def test_umask_alone_decides_who_may_see_the_marker(
    private: PrivateDirectory, umask: int
) -> None:
    before = os.umask(umask)
    try:
        with write_lock(private, LockStrategy.MARKER):
            mode = stat.S_IMODE((private.path / "lock").stat().st_mode)
    finally:
        os.umask(before)
    assert mode == 0o666 & ~umask


def test_lock_of_another_user_of_the_group_is_waited_for_and_taken_over(
    tmp_path: Path,
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can be two users")
    registry = tmp_path / "registry"
    registry.mkdir()
    tmp_path.chmod(0o755)
    registry.chmod(0o777)
    before = os.umask(0)
    try:
        private = PrivateDirectory(registry)
        private.make()
        lock = MarkerLock(private)
        os.umask(0o077)  # the marker itself is closed to others
        with write_lock(private, LockStrategy.MARKER):
            shutil.copy(lock.path, tmp_path / "marker")
    finally:
        os.umask(before)
    shutil.copy(tmp_path / "marker", lock.path)
    (registry / ".zsm" / "lock").chmod(0o600)
    code = """
from zsm_store.storage import marker_lock
from zsm_store.storage.lock import LockStrategy, write_lock
from zsm_store.storage.private import PrivateDirectory
private = PrivateDirectory(Path("registry"))
try:
    with write_lock(private, LockStrategy.MARKER, 0.2):
        sys.exit("took what it could not know to be dead")
except RegistryLockedError:
    pass
marker_lock.SILENCE_S = 0.2
with write_lock(private, LockStrategy.MARKER, 10):
    print("had it")
"""
    ended = run_as_nobody(code, tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "had it\n"


def test_removing_the_private_folder_lets_no_second_writer_in(
    private: PrivateDirectory,
) -> None:
    # As `git clean -fdx` does.
    directory = ArtifactDirectory(private.registry, lock_timeout_s=0.1)
    with directory.locked(LockStrategy.FLOCK) as lock:
        shutil.rmtree(private.path)
        assert not lock.is_lost()
        refused = pytest.raises(RegistryLockedError)
        with refused, directory.locked(LockStrategy.FLOCK):
            pytest.fail("two writers at once")


def test_holder_of_a_marker_finds_out_that_it_was_removed(
    private: PrivateDirectory,
) -> None:
    with write_lock(private, LockStrategy.MARKER) as first:
        assert not first.is_lost()
        shutil.rmtree(private.path)
        assert first.is_lost()
        with write_lock(private, LockStrategy.MARKER, 1) as second:
            assert first.is_lost()
            first.release()
            assert not second.is_lost()


def test_registry_that_was_removed_and_made_again_has_a_lock_of_its_own(
    private: PrivateDirectory,
) -> None:
    with write_lock(private, LockStrategy.FLOCK) as first:
        private.registry.rename(private.registry.with_name("old"))
        private.registry.mkdir()
        assert first.is_lost()
        with write_lock(private, LockStrategy.FLOCK, 0) as second:
            assert not second.is_lost()


def test_directory_that_is_exchanged_while_it_is_locked_is_locked_anew(
    private: PrivateDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, opened = os.open, []

    def open_and_exchange(path: Path, *rest: int, **more: int) -> int:
        fd = real(path, *rest, **more)
        if path == private.registry and not opened:
            opened.append(fd)
            path.rename(path.with_name("old"))
            path.mkdir()
        return fd

    monkeypatch.setattr(os, "open", open_and_exchange)
    with write_lock(private, LockStrategy.FLOCK, 1) as lock:
        assert not lock.is_lost()


# The marker: who may take it over, and when.


def test_marker_of_a_living_holder_elsewhere_is_never_taken(
    private: PrivateDirectory,
    holder: Callable[[LockStrategy, str], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(marker_lock, "SILENCE_S", 0.5)
    pid = holder(LockStrategy.MARKER, "elsewhere")
    refused = pytest.raises(RegistryLockedError, match=f"process {pid} on node-42")
    with refused, write_lock(private, LockStrategy.MARKER, 2):
        pytest.fail("two writers at once")


def test_marker_of_a_silent_holder_elsewhere_is_taken_and_that_one_finds_out(
    private: PrivateDirectory,
    holder: Callable[[LockStrategy, str], int],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(marker_lock, "SILENCE_S", 0.5)
    pid = holder(LockStrategy.MARKER, "silent")
    with write_lock(private, LockStrategy.MARKER, 10) as lock:
        os.kill(pid, signal.SIGKILL)
        assert not lock.is_lost()
    assert f"process {pid} on node-42" in caplog.text


def test_silence_is_measured_by_looks_and_not_by_the_clock(
    private: PrivateDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Neither while the server was down nor while this host slept could the holder
    # have been heard.
    now = [1000.0]
    monkeypatch.setattr("zsm_store.storage.waiting.time.monotonic", lambda: now[0])
    monkeypatch.setattr(
        "zsm_store.storage.lock.time.sleep",
        lambda _: now.__setitem__(0, now[0] + 3600),
    )
    (private.path / "lock").write_text("somebody")
    refused = pytest.raises(RegistryLockedError)
    with refused, write_lock(private, LockStrategy.MARKER, 10 * 3600):
        pytest.fail("took it after ten looks")


@pytest.mark.parametrize("content", [b"", b"not JSON", b"{}", b'{"pid": -1}', b"[]"])
def test_marker_that_says_nothing_is_taken_after_a_silence(
    private: PrivateDirectory, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.setattr(marker_lock, "SILENCE_S", 0.3)
    for _ in range(2):  # the second one is not taken for the first
        (private.path / "lock").write_bytes(content)
        started = time.monotonic()
        with write_lock(private, LockStrategy.MARKER, 10):
            assert time.monotonic() - started >= 0.3


def test_only_one_of_many_takes_a_dead_holders_marker(
    private: PrivateDirectory, holder: Callable[[LockStrategy], int]
) -> None:
    os.kill(holder(LockStrategy.MARKER), signal.SIGKILL)
    together, most = [0], [0]

    def take() -> None:
        with write_lock(private, LockStrategy.MARKER, DEADLINE_S):
            together[0] += 1
            most[0] = max(most[0], together[0])
            time.sleep(0.005)
            together[0] -= 1

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]


def test_taker_that_dies_in_the_middle_of_it_is_followed_by_another(
    private: PrivateDirectory,
    holder: Callable[[LockStrategy], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    os.kill(holder(LockStrategy.MARKER), signal.SIGKILL)
    code = """
import os, signal, sys
from pathlib import Path
from zsm_store.storage.lock import LockStrategy, write_lock
from zsm_store.storage.private import PrivateDirectory
unlink = Path.unlink
def die(path, *rest, **more):
    if path.name == "lock":
        os.kill(os.getpid(), signal.SIGKILL)
    unlink(path, *rest, **more)
Path.unlink = die
with write_lock(PrivateDirectory(Path(sys.argv[1])), LockStrategy.MARKER, 20):
    pass
"""
    assert run(code, private.registry).returncode == -signal.SIGKILL
    assert (private.path / "lock").exists()
    monkeypatch.setattr(marker_lock, "SILENCE_S", 1000)
    with write_lock(private, LockStrategy.MARKER, 10):
        pass


def test_late_taker_does_not_remove_the_next_holders_marker(
    private: PrivateDirectory, holder: Callable[[LockStrategy], int]
) -> None:
    os.kill(holder(LockStrategy.MARKER), signal.SIGKILL)
    dead = (private.path / "lock").read_bytes()
    with write_lock(private, LockStrategy.MARKER, 10) as lock:
        for taken in private.staging_dir.iterdir():
            taken.unlink()  # as if nobody had taken the dead one's yet
        MarkerLock(private)._take(dead, 0)
        assert not lock.is_lost()


def test_number_of_a_dead_holder_that_another_process_has_by_now_is_no_life_sign() -> (
    None
):
    ours = ProcessIdentity.current()
    assert not ours.is_surely_dead()
    assert ours._replace(started=ours.started - 1).is_surely_dead()
    assert not ours._replace(started=0).is_surely_dead()
    assert not ours._replace(kernel="elsewhere", pid=2**22 + 1).is_surely_dead()
    assert not ours._replace(kernel="", pid=2**22 + 1).is_surely_dead()


def test_process_whose_end_nobody_has_noted_is_dead() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    here = ProcessIdentity.current()
    deadline = time.monotonic() + DEADLINE_S
    while not here._replace(pid=child, started=0).is_surely_dead():
        assert time.monotonic() < deadline
    os.waitpid(child, 0)


# What cannot be locked.


def test_place_that_is_no_directory_is_a_storage_error(
    tmp_path: Path, strategy: LockStrategy
) -> None:
    (tmp_path / "file").touch()
    directory = ArtifactDirectory(tmp_path / "file")
    with pytest.raises(StorageError), directory.locked(strategy):
        pytest.fail("locked a file")


def test_marker_that_one_may_not_create_is_a_storage_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    PrivateDirectory(tmp_path).make()
    code = """
from zsm_store.storage.lock import LockStrategy, write_lock
from zsm_store.storage.private import PrivateDirectory
try:
    with write_lock(PrivateDirectory(Path()), LockStrategy.MARKER, 0.1):
        sys.exit("locked")
except StorageError as error:
    print(error)
"""
    ended = run_as_nobody(code, tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "cannot lock '.zsm/lock': Permission denied" in ended.stdout


def test_file_system_without_locks_is_a_storage_error(
    private: PrivateDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr("fcntl.flock", refuse)
    refused = pytest.raises(StorageError, match="cannot lock")
    with refused, write_lock(private, LockStrategy.FLOCK, 0.1):
        pytest.fail("excluded nobody")


MOUNTS = """\
20 1 8:1 / / rw,relatime - ext4 /dev/vda rw
30 20 0:40 / /net rw,nosuid shared:7 - {kind} server:/export rw,vers=4.2
"""


@pytest.mark.parametrize(
    ("kind", "chosen", "flock_is_refused"),
    [
        ("ext4", "flock", False),
        ("tmpfs", "flock", False),
        ("nfs4", "marker", True),
        ("cifs", "marker", True),
        ("fuse.sshfs", "marker", True),
        ("fuse.glusterfs", "marker", True),
        ("fuse.unheard-of", "marker", False),
    ],
)
def test_file_system_decides_which_lock_a_registry_gets(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    chosen: str,
    flock_is_refused: bool,
) -> None:
    mounts = MOUNTS.format(kind=kind).replace("/net", str(tmp_path))
    (tmp_path / "mountinfo").write_text(mounts)
    monkeypatch.setattr(file_system, "_MOUNTS", str(tmp_path / "mountinfo"))
    path = tmp_path / "registry"
    assert LockStrategy.for_directory(path) == chosen
    directory = ArtifactDirectory(path, lock_timeout_s=1)
    with directory.locked():
        pass
    if flock_is_refused:
        refused = pytest.raises(StorageError, match=f"does not reach.*{kind}")
        with refused, directory.locked(LockStrategy.FLOCK):
            pytest.fail("fell back")
    else:
        with directory.locked(LockStrategy.FLOCK):
            pass
    with suppress(FileNotFoundError), directory.locked(LockStrategy.MARKER):
        pass


def test_subtype_that_stands_in_the_source_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "20 1 0:40 / / rw - fuse mfs#10.77.0.1:9421 rw\n"
    (tmp_path / "mountinfo").write_text(text)
    monkeypatch.setattr(file_system, "_MOUNTS", str(tmp_path / "mountinfo"))
    found = file_system.mount_of(tmp_path)
    assert found is not None
    assert (found.type, found.source) == ("fuse.mfs", "10.77.0.1:9421")
    assert file_system.is_shared(tmp_path)


def test_what_is_mounted_is_told_with_its_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mountinfo").write_text(MOUNTS.format(kind="nfs4"))
    monkeypatch.setattr(file_system, "_MOUNTS", str(tmp_path / "mountinfo"))
    found = file_system.mount_of(tmp_path.__class__("/net/x/y"))
    assert found is not None
    assert found.type == "nfs4"
    assert found.point == "/net"
    assert found.source == "server:/export"
    assert found.options == "rw,nosuid,vers=4.2"
