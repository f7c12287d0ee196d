"""Threads of one process that save at once."""

from __future__ import annotations

import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.examples import numbered, trained
from tests.processes import run
from zsm_store import ConflictError, Layout, SchemaRegistry

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

THREADS = 8
SAVES = 12
STEP = os.environ.get("ZSM_TEST_INTERRUPT_STEP", "5")
"""Of so many lines of the write path one is interrupted; 1 is all of them."""


def together(work: Callable[[int], object]) -> list[object]:
    """Call a function in many threads at the same moment, with their numbers."""
    start = threading.Barrier(THREADS)

    def begin(number: int) -> object:
        start.wait(20)
        return work(number)

    with ThreadPoolExecutor(THREADS) as threads:
        return list(threads.map(begin, range(THREADS)))


@pytest.mark.parametrize("layout", Layout)
def test_threads_lose_nothing_and_share_the_syncs_of_directories(
    tmp_path: Path, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    SchemaRegistry.init(tmp_path / "registry", layout=layout).close()
    synced, fsync = [], os.fsync

    def note_and_sync(fd: int) -> None:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            synced.append(fd)
        fsync(fd)

    monkeypatch.setattr(os, "fsync", note_and_sync)
    with SchemaRegistry.open(tmp_path / "registry") as registry:

        def save(thread: int) -> None:
            for number in range(SAVES):
                registry.save(numbered(thread * SAVES + number))

        together(save)
        assert len(registry) == THREADS * SAVES
    if layout is Layout.FLAT:
        assert len(synced) < THREADS * SAVES
    with SchemaRegistry.open(tmp_path / "registry", cache=False) as fresh:
        found = {artifact.schema_hash: artifact for artifact in fresh.list_all()}
        expected = [numbered(number) for number in range(THREADS * SAVES)]
        assert found == {artifact.schema_hash: artifact for artifact in expected}
        assert not fresh.verify()


def test_counter_of_threads_is_exact(tmp_path: Path) -> None:
    key = trained().schema_hash
    with SchemaRegistry.open(tmp_path / "registry") as registry:
        registry.save(trained(em_iterations=0))

        def count(_: int) -> int:
            conflicts = done = 0
            while done < SAVES:
                before = registry.digest(key)
                after = trained(em_iterations=registry.get(key).em_iterations + 1)
                try:
                    registry.save(after, if_match=before)
                except ConflictError:
                    conflicts += 1
                else:
                    done += 1
            return conflicts

        assert any(together(count)), "they never met"
        assert registry.get(key).em_iterations == THREADS * SAVES


def test_batches_of_threads_are_told_what_became_of_each_artifact(
    tmp_path: Path,
) -> None:
    batch = [numbered(number) for number in range(40)]
    with SchemaRegistry.open(tmp_path / "registry") as registry:
        reports = together(
            lambda thread: registry.save_many(
                [numbered(number, tag=str(thread)) for number in range(40)],
                if_absent=True,
            )
        )
        for artifact in batch:
            key = artifact.schema_hash
            won = [n for n, report in enumerate(reports) if key in report.saved]  # type: ignore[attr-defined]
            lost = [n for n, report in enumerate(reports) if key in report.failed]  # type: ignore[attr-defined]
            assert [registry.get(key).tag] == [str(thread) for thread in won]
            assert sorted(won + lost) == list(range(THREADS))
            for thread in lost:
                assert isinstance(reports[thread].failed[key], ConflictError)  # type: ignore[attr-defined]


def test_child_of_a_fork_saves_while_threads_of_the_parent_do(tmp_path: Path) -> None:
    # In a process of its own: Python warns of forks beside threads.
    code = """
import os, sys, threading
from tests.examples import numbered
from zsm_store import SchemaRegistry
registry, over = SchemaRegistry.open(sys.argv[1]), threading.Event()
# A fork while another thread imports for the first time hangs the child in Python's
# own locks of modules, whatever the package does.
import filelock, random
registry.save(numbered(9999))
saved = [0] * 4
def save(thread):
    while not over.is_set():
        registry.save(numbered(thread * 1000 + saved[thread]))
        saved[thread] += 1
threads = [threading.Thread(target=save, args=[n]) for n in range(4)]
for thread in threads:
    thread.start()
for number in range(20):
    child = os.fork()
    if child == 0:
        registry.save(numbered(9000 + number))
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
over.set()
for thread in threads:
    thread.join()
assert min(saved) > 0
expected = [thread * 1000 + n for thread in range(4) for n in range(saved[thread])]
expected += [9999, *(9000 + number for number in range(20))]
found = {one.schema_hash for one in SchemaRegistry.open(sys.argv[1]).list_all()}
assert found == {numbered(number).schema_hash for number in expected}
"""
    ended = run(code, tmp_path / "registry")
    assert ended.returncode == 0, ended.stderr


def test_interrupt_of_one_thread_neither_undoes_nor_fakes_nor_blocks_anothers_save(
    tmp_path: Path,
) -> None:
    code = """
import sys
from tests.multiprocess.interrupted_threads import interrupt_everywhere
interrupt_everywhere(*sys.argv[1:])
"""
    ended = run(code, tmp_path, STEP)
    assert ended.returncode == 0, ended.stderr
    *faults, lines = ended.stdout.splitlines()
    assert not faults, "\n".join(faults)
    assert int(lines.removesuffix(" lines")) > 100
