"""Kill a writer at every line from taking the lock, in either way, to letting go."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING

import pytest

from tests.crash.test_killed_history import LINES
from tests.crash.test_killed_writers import (
    LATER,
    NEW,
    OLD,
    WRITER,
    killed_at_every_line,
)
from tests.processes import running
from zsm_store import LockStrategy, SchemaRegistry
from zsm_store.storage import marker_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MORE_LINES = """
from zsm_store.registry import file_writer, site
from zsm_store.storage import directory_lock, lock, marker_lock, private
FILES = {
    module.__file__
    for module in (file_writer, site, directory_lock, lock, marker_lock, private)
}
"""
SOON_S = 1.0


@pytest.fixture
def kill(tmp_path: Path) -> Iterator[Callable[[str, int], int]]:
    """Return a function that does an action up to a line, and gives the exit code."""
    assert LINES in WRITER
    with running(WRITER.replace(LINES, MORE_LINES), stdin=True) as process:

        def act(action: str, lines: int) -> int:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(f"{action}\t{tmp_path / 'registry'}\t{lines}\n")
            process.stdin.flush()
            return int(process.stdout.readline())

        yield act


@pytest.mark.crash
@pytest.mark.timeout(300)
@pytest.mark.parametrize("strategy", LockStrategy)
def test_next_writer_has_the_lock_soon_wherever_its_holder_died(
    tmp_path: Path,
    kill: Callable[[str, int], int],
    strategy: LockStrategy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A tenth, to be done sooner. The silence is for a holder who is killed before it
    # has written its name, and is waited for like one of another host.
    monkeypatch.setattr(marker_lock, "DEAD_S", marker_lock.DEAD_S / 10)
    monkeypatch.setattr(marker_lock, "SILENCE_S", 0.1)
    path, prepared = tmp_path / "registry", tmp_path / "prepared"
    SchemaRegistry.init(prepared, lock=strategy).save(OLD)

    def prepare() -> None:
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(prepared, path)

    seen = []
    for done in killed_at_every_line(kill, "save", prepare):
        registry = SchemaRegistry.open(path, lock_timeout_s=20)
        [found] = registry.list_all()
        assert found == NEW if done else found in (OLD, NEW)
        seen.append(found)
        started = time.monotonic()
        registry.save(LATER)
        assert time.monotonic() - started < SOON_S
        assert registry.list_all() == [LATER]
        assert not registry.verify()
    assert seen.index(NEW) == seen.count(OLD), "once visible, it stays"
