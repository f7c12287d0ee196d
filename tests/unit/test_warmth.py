"""A registry that lives on watches its directory, and nothing of it outlives it."""

from __future__ import annotations

import gc
import os
import subprocess
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests.examples import BRP, SIM, fingerprint, trained
from tests.processes import run, wait_until
from zsm_store import ColdStart, SchemaRegistry, WarmLoad
from zsm_store.registry import warmth

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def threads() -> list[str]:
    return sorted(
        thread.name
        for thread in threading.enumerate()
        if thread is not threading.main_thread()
    )


def descriptors() -> set[str]:
    found = set()
    for entry in os.listdir("/proc/self/fd"):  # noqa: PTH208  # names are all it takes
        try:
            found.add(os.readlink(f"/proc/self/fd/{entry}"))  # noqa: PTH115  # no path
        except FileNotFoundError:  # the listing's own
            continue
    return found


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every registry that is asked twice a long-lived one."""
    monkeypatch.setattr(warmth, "LONG_LIVED_S", 0.0)


@pytest.fixture
def registry(tmp_path: Path, at_once: None) -> Iterator[SchemaRegistry]:  # noqa: ARG001  # before it is opened
    with SchemaRegistry.open(tmp_path / "r") as registry:
        registry.save(trained(BRP))
        yield registry


def watched(registry: SchemaRegistry) -> None:
    """Ask until the directory is watched."""
    for _ in range(2):
        registry.lookup_startup_mode(fingerprint())
    keeper = registry._warmth
    assert keeper is not None
    wait_until(
        lambda: keeper.watch is not None and keeper.watch.state.kind != "none",
        "the watch",
    )


def test_nothing_is_watched_before_the_second_question_of_a_long_life(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SchemaRegistry.open(tmp_path) as registry:
        registry.save(trained())
        for _ in range(20):
            registry.lookup_startup_mode(fingerprint())
        assert threads() == []
        now = time.monotonic()
        monkeypatch.setattr(warmth.time, "monotonic", lambda: now + 2)
        registry.lookup_startup_mode(fingerprint())
        assert "zsm-watch" in threads()
    assert threads() == []


def test_nothing_is_watched_if_nobody_wants_it(
    tmp_path: Path,
    at_once: None,  # noqa: ARG001
) -> None:
    with SchemaRegistry.open(tmp_path, watch=False) as registry:
        for _ in range(3):
            registry.lookup_startup_mode(fingerprint())
        assert threads() == []


def test_what_another_process_saves_is_loaded_before_anybody_asks(
    registry: SchemaRegistry, tmp_path: Path
) -> None:
    watched(registry)
    SchemaRegistry.open(tmp_path / "r", watch=False).save(trained(SIM))
    key = trained(SIM).schema_hash
    wait_until(lambda: key in registry._catalog._versions, "the index to be warm")
    assert isinstance(registry.lookup_startup_mode(fingerprint(SIM)), WarmLoad)


def test_answers_do_not_wait_for_the_watch(
    registry: SchemaRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched(registry)
    monkeypatch.setattr(registry._catalog, "refresh", lambda: None)
    writer = SchemaRegistry.open(tmp_path / "r", watch=False)
    for number in range(20):
        writer.save(trained(SIM, em_iterations=number))
        mode = registry.lookup_startup_mode(fingerprint(SIM))
        assert isinstance(mode, WarmLoad)
        assert mode.artifact.em_iterations == number
        writer.delete(trained(SIM).schema_hash)
        assert isinstance(registry.lookup_startup_mode(fingerprint(SIM)), ColdStart)


def test_close_leaves_no_thread_descriptor_or_watch(
    registry: SchemaRegistry,
) -> None:
    before = descriptors()
    watched(registry)
    assert "anon_inode:inotify" in descriptors() - before
    registry.close()
    assert threads() == []
    assert descriptors() <= before


def test_closed_registry_is_not_watched_again(registry: SchemaRegistry) -> None:
    registry.close()
    for _ in range(3):
        assert isinstance(registry.lookup_startup_mode(fingerprint()), WarmLoad)
    assert threads() == []


def test_registry_that_is_forgotten_takes_its_watch_with_it(
    tmp_path: Path,
    at_once: None,  # noqa: ARG001
) -> None:
    registry = SchemaRegistry.open(tmp_path / "r")
    registry.save(trained())
    watched(registry)
    del registry
    gc.collect()
    wait_until(lambda: threads() == [], "the threads to end")


_FORK = """
import os, sys, threading, time, traceback
from pathlib import Path
from tests.examples import *
from tests.processes import wait_until
from zsm_store import SchemaRegistry, WarmLoad, ColdStart
from zsm_store.registry import warmth
warmth.LONG_LIVED_S = 0.0
path = Path(sys.argv[1])
registry = SchemaRegistry.open(path)
registry.save(trained(BRP))
def ask():
    for _ in range(3):
        assert isinstance(registry.lookup_startup_mode(fingerprint(BRP)), WarmLoad)
    wait_until(lambda: registry._warmth.watch.state.kind != "none", "the watch")
ask()
watch = registry._warmth.watch
pid = os.fork()
if not pid:
    try:
        assert registry._warmth.watch is None
        ask()
        assert registry._warmth.watch is not watch
        registry.save(trained(SIM))
        assert isinstance(registry.lookup_startup_mode(fingerprint(SIM)), WarmLoad)
        registry.close()
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
assert os.waitpid(pid, 0)[1] == 0
assert registry._warmth.watch is watch
key = trained(SIM).schema_hash
wait_until(lambda: key in registry._catalog._versions, "the parent's watch to go on")
assert watch.state.is_alive
registry.close()
print("done")
"""


def test_child_of_a_fork_watches_for_itself_and_leaves_the_parent_alone(
    tmp_path: Path,
) -> None:
    done = run(_FORK, tmp_path / "r")
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


_FORK_IN_THE_MIDDLE = """
import os, sys, threading
from pathlib import Path
from tests.examples import *
from zsm_store import SchemaRegistry, WarmLoad
from zsm_store.registry.file_reader import FileReader
registry = SchemaRegistry.open(Path(sys.argv[1]))
registry.save(trained(BRP))
registry.save(trained(SIM))
real = FileReader._index_entry
loading, forked = threading.Event(), threading.Event()
def slowly(store, key):
    if threading.current_thread() is not threading.main_thread():
        loading.set()
        forked.wait(30)
    return real(store, key)
FileReader._index_entry = slowly
thread = threading.Thread(target=registry.lookup_startup_mode, args=[fingerprint(BRP)])
thread.start()
assert loading.wait(30)
pid = os.fork()
if not pid:
    for schema in (BRP, SIM):
        mode = registry.lookup_startup_mode(fingerprint(schema))
        if not isinstance(mode, WarmLoad):
            os._exit(1)
    os._exit(0)
forked.set()
thread.join()
assert os.waitpid(pid, 0)[1] == 0
print("done")
"""


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_fork_while_another_thread_loads_leaves_no_lock_and_nothing_half_done(
    tmp_path: Path,
) -> None:
    done = run(_FORK_IN_THE_MIDDLE, tmp_path / "r")
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """Mount a file system of its own and return where."""
    point = tmp_path / "mounted"
    point.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "zsm-test", str(point)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs root, to mount a file system")
    yield point
    while point.is_mount():
        subprocess.run(["umount", str(point)], check=True)  # noqa: S607  # wherever it is


def test_drive_that_is_unmounted_and_mounted_again_is_followed(
    mounted: Path,
    at_once: None,  # noqa: ARG001
) -> None:
    path = mounted / "r"
    with SchemaRegistry.open(path) as registry:
        registry.save(trained(BRP))
        watched(registry)
        subprocess.run(["umount", str(mounted)], check=True)  # noqa: S607  # wherever it is
        assert isinstance(registry.lookup_startup_mode(fingerprint()), ColdStart)
        SchemaRegistry.open(path, watch=False).save(trained(SIM))
        assert isinstance(registry.lookup_startup_mode(fingerprint(SIM)), WarmLoad)
        assert isinstance(registry.lookup_startup_mode(fingerprint()), ColdStart)
        keeper = registry._warmth
        assert keeper is not None
        watch = keeper.watch
        assert watch is not None
        wait_until(lambda: watch.state.restarts > 0, "the watch to follow")
