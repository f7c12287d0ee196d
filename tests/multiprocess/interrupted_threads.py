"""Threads that save at once, of which one is interrupted wherever that can be.

In a process of its own: an interrupt may leave a descriptor open, or a thread waiting.
"""

from __future__ import annotations

import linecache
import os
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.examples import numbered
from tests.processes import wait_until
from zsm_store import ConflictError, SchemaRegistry
from zsm_store.registry.directory_store import DirectoryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from zsm_store.storage.group_commit import GroupCommit

_TRACED = ("group_commit.py", "file_writer.py", "directory.py", "atomic.py", "site.py")
_MOST_LINES = 2_000


class Interrupter:
    """Raises in this thread, when it is about to execute a certain line.

    Parameters
    ----------
    line
        How many lines of the write path are executed before.
    """

    def __init__(self, line: int) -> None:
        self._left = line
        self.struck: str | None = None

    @contextmanager
    def active(self) -> Iterator[None]:
        before = sys.gettrace()
        sys.settrace(self._enter)
        try:
            yield
        finally:
            sys.settrace(before)

    def _enter(self, frame: FrameType, event: str, _: object) -> Any:
        traced = frame.f_code.co_filename.endswith(_TRACED)
        return self._step if traced and event == "call" else None

    def _step(self, frame: FrameType, event: str, _: object) -> Any:
        if event == "line" and self.struck is None and not _is_deaf(frame):
            self._left -= 1
            if self._left < 0:
                name = frame.f_code.co_filename.rpartition("/")[2]
                self.struck = f"{name}:{frame.f_lineno} {frame.f_code.co_name}"
                raise KeyboardInterrupt
        return self._step


def _is_deaf(frame: FrameType) -> bool:
    """Whether no signal comes through there: `try`, or on the way out of a `with`."""
    path, line = frame.f_code.co_filename, frame.f_lineno
    return linecache.getline(path, line).lstrip().startswith(("with ", "try:"))


def interrupt_everywhere(path: str, step: str) -> None:
    """Interrupt at one line after the other, and print what is wrong after it."""
    os.fsync = lambda _: None  # not what this is about
    for line in range(0, _MOST_LINES, int(step)):
        struck, wrong = interrupted(Path(path) / str(line), line)
        for one in wrong:
            print(f"{struck}: {one}")  # noqa: T201  # its output
        if struck is None:
            print(f"{line} lines")  # noqa: T201  # its output
            return


def interrupted(path: Path, line: int) -> tuple[str | None, list[str]]:
    """Interrupt the leader of three, and return where, and what is wrong after it."""
    registry = SchemaRegistry.open(path, watch=False)
    old = [registry.save(numbered(number, tag="old")) for number in range(4)]
    told: dict[int, str] = {}

    def save(number: int) -> None:
        try:
            registry.save(numbered(number, tag="new"), if_match=old[number])
        except ConflictError:
            told[number] = "conflict"
        except BaseException as error:  # noqa: BLE001  # whatever it is
            told[number] = f"{type(error).__name__}: {error}"
        else:
            told[number] = "saved"

    interrupter = Interrupter(line)
    with first_one_stands_still(registry) as (group, go_on):
        threads = [start(save, 1)]
        wait_until(lambda: group._is_busy, "the first one")

        def line_up() -> None:
            wait_until(lambda: len(group._waiting) == 1 or 0 in told, "the leader")
            threads.extend(start(save, number) for number in (2, 3))
            wait_until(lambda: len(group._waiting) >= 3 - (0 in told), "all of them")
            go_on.set()

        lining_up = start(line_up)
        with interrupter.active():
            save(0)
        lining_up.join()
    for thread in threads:
        thread.join(3)
    wrong = [f"{number} waits for ever" for number in {1, 2, 3} - told.keys()]
    wrong += contradictions(path, told)
    if not wrong:
        registry.save(numbered(5))
        registry.close()
    return interrupter.struck, wrong


def start(target: Callable[..., object], *arguments: object) -> threading.Thread:
    # A daemon: what waits for ever is to fail the test and not to keep it from ending.
    thread = threading.Thread(target=target, args=arguments, daemon=True)
    thread.start()
    return thread


def contradictions(path: Path, told: dict[int, str]) -> Iterator[str]:
    """Compare what each thread was told with what is there; 0 was interrupted."""
    with SchemaRegistry.open(path, watch=False) as fresh:
        for number, outcome in told.items():
            tag = fresh.get(numbered(number).schema_hash).tag
            contradicts = (outcome, tag) in {("saved", "old"), ("conflict", "new")}
            if contradicts or (number and outcome != "saved"):
                yield f"{number} was told {outcome}, and it is {tag}"


@contextmanager
def first_one_stands_still(
    registry: SchemaRegistry,
) -> Iterator[tuple[GroupCommit[Any], threading.Event]]:
    """Keep whoever commits first in it until told to go on."""
    assert isinstance(registry._store, DirectoryStore)
    group, go_on = registry._store.writer._group, threading.Event()
    commit = group._commit
    thread: list[int] = []

    def wait_and_commit(changes: list[Any]) -> None:
        if not thread:
            thread.append(threading.get_ident())
            assert go_on.wait(20)
        commit(changes)

    group._commit = wait_and_commit
    yield group, go_on
