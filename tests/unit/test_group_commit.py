"""Threads that commit together: nobody's work is lost, nobody is told a lie."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests.processes import run, wait_until
from zsm_store.storage import group_commit
from zsm_store.storage.group_commit import GroupCommit

if TYPE_CHECKING:
    from collections.abc import Callable


class Journal:
    """Does work, slowly if told, and remembers in which groups."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.fails: BaseException | None = None

    def commit(self, work: list[int]) -> None:
        self.entered.set()
        assert self.gate.wait(20)
        fails, self.fails = self.fails, None
        if fails is not None:
            raise fails
        self.groups.append(work)

    @property
    def done(self) -> list[int]:
        return sorted(number for group in self.groups for number in group)


@pytest.fixture
def journal() -> Journal:
    return Journal()


@pytest.fixture
def group(journal: Journal) -> GroupCommit[int]:
    return GroupCommit(journal.commit)


def start(target: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=target)
    thread.start()
    return thread


def stand_in_line(group: GroupCommit[int], numbers: range) -> list[threading.Thread]:
    """Start threads that wait for the one that is at work."""
    threads = []
    for number in numbers:
        before = len(group._waiting)
        threads.append(start(lambda number=number: group.submit([number])))  # type: ignore[misc]
        wait_until(lambda before=before: len(group._waiting) > before, "the line")  # type: ignore[misc]
    return threads


def test_work_of_one_thread_is_done_at_once(
    group: GroupCommit[int], journal: Journal
) -> None:
    group.submit([1, 2])
    group.submit([3])
    assert journal.groups == [[1, 2], [3]]


def test_who_comes_while_others_work_is_done_together(
    group: GroupCommit[int], journal: Journal
) -> None:
    journal.gate.clear()
    first = start(lambda: group.submit([0]))
    assert journal.entered.wait(20)
    threads = stand_in_line(group, range(1, 6))
    journal.gate.set()
    for thread in [first, *threads]:
        thread.join(20)
    assert journal.groups == [[0], [1, 2, 3, 4, 5]]


def test_who_returns_has_been_served(group: GroupCommit[int], journal: Journal) -> None:
    missing = []

    def work(thread: int) -> None:
        for number in range(50):
            group.submit([thread * 50 + number])
            if thread * 50 + number not in journal.done:
                missing.append((thread, number))

    threads = [start(lambda thread=thread: work(thread)) for thread in range(8)]  # type: ignore[misc]
    for thread in threads:
        thread.join(30)
    assert not missing
    assert journal.done == list(range(400))


def test_error_ends_with_the_thread_that_led_and_the_next_one_leads(
    group: GroupCommit[int], journal: Journal
) -> None:
    journal.gate.clear()
    journal.fails = KeyboardInterrupt()
    caught: list[BaseException] = []

    def interrupted() -> None:
        try:
            group.submit([0])
        except KeyboardInterrupt as error:
            caught.append(error)

    first = start(interrupted)
    assert journal.entered.wait(20)
    threads = stand_in_line(group, range(1, 4))
    journal.gate.set()
    for thread in [first, *threads]:
        thread.join(20)
        assert not thread.is_alive()
    assert len(caught) == 1
    assert journal.done == [1, 2, 3]


@pytest.mark.parametrize("leads", [False, True], ids=["in the line", "as it leads"])
def test_who_is_interrupted_while_waiting_leaves_the_line(
    group: GroupCommit[int],
    journal: Journal,
    monkeypatch: pytest.MonkeyPatch,
    *,
    leads: bool,
) -> None:
    journal.gate.clear()
    first = start(lambda: group.submit([0]))
    assert journal.entered.wait(20)
    behind: list[threading.Thread] = []

    class Interrupted(group_commit._Turn[int]):
        """A turn whose thread is interrupted while it waits."""

        def __init__(self, work: list[int]) -> None:
            super().__init__(work)
            self.lock, self.comes = self.comes, self  # type: ignore[assignment]

        def acquire(self, timeout: float) -> None:  # noqa: ARG002  # as that of a lock
            monkeypatch.undo()
            behind.extend(stand_in_line(group, range(2, 4)))
            if leads:
                journal.gate.set()
                wait_until(lambda: self.leads, "the turn")
            raise KeyboardInterrupt

        def release(self) -> None:
            self.lock.release()

    monkeypatch.setattr(group_commit, "_Turn", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        group.submit([1])
    journal.gate.set()
    for thread in [first, *behind]:
        thread.join(20)
        assert not thread.is_alive()
    assert set(journal.done) - {1} == {0, 2, 3}
    group.submit([4])
    assert 4 in journal.done


def test_child_of_a_fork_does_not_wait_for_threads_of_the_parent(
    group: GroupCommit[int], journal: Journal
) -> None:
    journal.gate.clear()
    first = start(lambda: group.submit([0]))
    assert journal.entered.wait(20)
    child = os.fork()
    if child == 0:
        group.after_fork()
        journal.gate = threading.Event()
        journal.gate.set()
        group.submit([1])
        os._exit(0 if journal.groups == [[1]] else 1)
    deadline = time.monotonic() + 20
    ended = 0, 0
    while ended[0] == 0 and time.monotonic() < deadline:
        ended = os.waitpid(child, os.WNOHANG)
        time.sleep(0.01)
    journal.gate.set()
    first.join(20)
    assert ended == (child, 0)


def test_interrupts_at_random_instants_never_hang_anybody() -> None:
    code = """
import random, signal, sys, threading, time
from zsm_store.storage.group_commit import GroupCommit
done = set()
group = GroupCommit(lambda work: done.update(work))
stop = threading.Event()
rounds = [0]
def others(number):
    while not stop.is_set():
        rounds[0] += 1
        group.submit([(number, rounds[0])])
threads = [threading.Thread(target=others, args=[n], daemon=True) for n in range(3)]
for thread in threads:
    thread.start()
signal.signal(signal.SIGALRM, signal.default_int_handler)
interrupts = served = 0
end = time.monotonic() + 4
while time.monotonic() < end:
    try:
        signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-5, 3e-4))
        for number in range(50):
            group.submit([number])
            served += 1
        signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        interrupts += 1
signal.signal(signal.SIGALRM, signal.SIG_IGN)
group.submit(["last"])
before = rounds[0]
stop.set()
for thread in threads:
    thread.join(10)
    assert not thread.is_alive(), "hangs"
assert "last" in done
assert interrupts > 100, interrupts
print(interrupts, served, before)
"""
    ended = run(code)
    assert ended.returncode == 0, ended.stderr
