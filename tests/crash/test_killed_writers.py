"""Kill a writer at every line that it executes in the storage layer."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
from typing import TYPE_CHECKING

import pytest

from tests.examples import BRP, SIM, trained
from tests.processes import running
from zsm_store import ColdStart, Layout, ModelArtifact, SchemaRegistry, WarmLoad
from zsm_store.storage.private import STALE_STAGING_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from subprocess import Popen

OLD = trained(em_iterations=1)
NEW = trained(em_iterations=2)
LATER = trained(em_iterations=3)
OTHER = trained(SIM)

# Each line of input is an action and a number of lines; a fork of this process, which
# has everything imported, does the action and kills itself before that line of
# storage/. The answer is the exit code, negative for a signal.
WRITER = """
import os, signal, sys
import filelock, numpy
from tests.examples import SIM, trained
from zsm_store import SchemaRegistry
from zsm_store.storage import atomic, directory

# A killed process loses nothing that the kernel has: syncing only takes time here.
os.fsync = lambda fd: None
FILES = {atomic.__file__, directory.__file__}

def act(action, path):
    registry = SchemaRegistry.open(path)
    if action == "delete":
        registry.delete(trained().schema_hash)
    else:
        registry.save(trained(em_iterations=2))

def trace(left):
    def step(frame, event, argument):
        nonlocal left
        if frame.f_code.co_filename not in FILES:
            return None
        if event == "line":
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1
        return step
    return step

for line in sys.stdin:
    action, path, lines = line.rstrip("\\n").split("\\t")
    child = os.fork()
    if child == 0:
        sys.settrace(trace(int(lines)))
        act(action, path)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def writer() -> Iterator[Popen[str]]:
    with running(WRITER, stdin=True) as process:
        yield process


@pytest.fixture
def kill(writer: Popen[str], tmp_path: Path) -> Callable[[str, int], int]:
    """Return a function that does an action up to a line, and gives the exit code."""

    def act(action: str, lines: int) -> int:
        assert writer.stdin is not None
        assert writer.stdout is not None
        writer.stdin.write(f"{action}\t{tmp_path / 'registry'}\t{lines}\n")
        writer.stdin.flush()
        return int(writer.stdout.readline())

    return act


def copy_in_the_other_layout(path: Path, layout: Layout) -> None:
    """Put an older artifact where the registry's layout does not look first."""
    file = f"{OLD.schema_hash}.json"
    folder = path / file[:2]
    folder.mkdir(exist_ok=True)
    other = path / file if layout is Layout.FAN_OUT else folder / file
    with SchemaRegistry.open(path.parent / "older") as older:
        older.save(trained(em_iterations=99))
    (path.parent / "older" / file).replace(other)


def check_recovery(path: Path, expected: list[ModelArtifact]) -> None:
    """Whatever was left behind, the next process reads, saves and sweeps."""
    registry = SchemaRegistry.open(path, lock_timeout_s=0)
    assert registry.list_all() == expected
    staging_dir = path / ".zsm" / "tmp"
    if staging_dir.is_dir():
        for left in staging_dir.iterdir():
            old = left.stat().st_mtime - 2 * STALE_STAGING_S
            os.utime(left, (old, old))
    registry.save(LATER)
    assert LATER in registry.list_all()
    assert list(staging_dir.iterdir()) == []
    assert not registry.verify()


def killed_at_every_line(
    kill: Callable[[str, int], int], action: str, prepare: Callable[[], None]
) -> Iterator[bool]:
    """Prepare and act again and again; yields whether the action came to its end."""
    for lines in itertools.count():
        prepare()
        code = kill(action, lines)
        yield code == 0
        if code == 0:
            assert lines > 20, "the trace never fired"
            return
        assert code == -signal.SIGKILL


@pytest.mark.crash
@pytest.mark.parametrize("layout", Layout)
@pytest.mark.parametrize("doubled", [False, True], ids=["alone", "with an old copy"])
def test_second_version_is_there_whole_or_not_at_all(
    tmp_path: Path, kill: Callable[[str, int], int], layout: Layout, *, doubled: bool
) -> None:
    path = tmp_path / "registry"

    def prepare() -> None:
        shutil.rmtree(path, ignore_errors=True)
        registry = SchemaRegistry.init(path, layout=layout)
        registry.save(OLD)
        registry.save(OTHER)
        if doubled:
            copy_in_the_other_layout(path, layout)

    seen = []
    for done in killed_at_every_line(kill, "save", prepare):
        [found] = [one for one in SchemaRegistry.open(path) if one != OTHER]
        assert found == NEW if done else found in (OLD, NEW)
        seen.append(found)
        check_recovery(path, sorted([found, OTHER], key=lambda one: one.schema_hash))
    assert OLD in seen
    assert seen.index(NEW) == seen.count(OLD), "once visible, it stays"


@pytest.mark.crash
def test_first_save_of_all_leaves_a_usable_registry_or_none(
    tmp_path: Path, kill: Callable[[str, int], int]
) -> None:
    path = tmp_path / "registry"

    def prepare() -> None:
        shutil.rmtree(path, ignore_errors=True)

    for done in killed_at_every_line(kill, "save", prepare):
        found = SchemaRegistry.open(path).list_all()
        assert found == [NEW] if done else found in ([], [NEW])
        check_recovery(path, found)


@pytest.mark.crash
@pytest.mark.parametrize("layout", Layout)
def test_artifact_that_is_being_deleted_is_there_or_gone(
    tmp_path: Path, kill: Callable[[str, int], int], layout: Layout
) -> None:
    path = tmp_path / "registry"

    def prepare() -> None:
        shutil.rmtree(path, ignore_errors=True)
        SchemaRegistry.init(path, layout=layout).save(OLD)
        copy_in_the_other_layout(path, layout)

    query = trained(BRP).fingerprint
    for done in killed_at_every_line(kill, "delete", prepare):
        registry = SchemaRegistry.open(path)
        match registry.lookup_startup_mode(query):
            case WarmLoad(artifact=artifact):
                assert not done
                assert artifact == OLD
            case mode:
                assert isinstance(mode, ColdStart)
        check_recovery(path, registry.list_all())
