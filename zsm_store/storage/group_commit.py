"""Threads that write at the same time, and pay for it together."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")


class GroupCommit(Generic[T]):
    """Does the work of all threads that wait for it, in one go.

    What is expensive about a change, a lock and the sync of a directory, is as
    expensive for many. The first thread that comes does its own work at once; those
    that come meanwhile are done together, by one of them.

    Parameters
    ----------
    commit
        Does a list of work and keeps the outcomes in it. It may leave some undone, if
        it is interrupted.
    """

    def __init__(self, commit: Callable[[list[T]], None]) -> None:
        self._commit = commit
        self._lock = threading.Lock()
        self._waiting: list[_Turn[T]] = []
        self._is_busy = False

    def submit(self, work: Sequence[T]) -> None:
        """Do this work, alone or with that of others; returns when it is done.

        Raises
        ------
        Exception
            Whatever `commit` raises in this thread. Work that another thread should
            have done and has not, because it was interrupted, is left undone.
        """
        turn = _Turn(work)
        with self._lock:
            if self._is_busy:
                self._waiting.append(turn)
            else:
                self._is_busy = turn.leads = True
        if not turn.leads:
            try:
                turn.comes.wait()
            except BaseException:
                self._withdraw(turn)
                raise
        if turn.leads:
            self._lead(turn)

    def after_fork(self) -> None:
        """Forget, in the child of a fork, the threads of the parent."""
        self._lock = threading.Lock()
        self._waiting = []
        self._is_busy = False

    def _lead(self, own: _Turn[T]) -> None:
        with self._lock:
            turns = [own, *self._waiting]
            self._waiting = []
        try:
            self._commit([work for turn in turns for work in turn.work])
        finally:
            for turn in turns:
                turn.comes.set()
            self._pass_on()

    def _pass_on(self) -> None:
        """Let the next one lead, if anybody waits."""
        with self._lock:
            if self._waiting:
                turn = self._waiting.pop(0)
                turn.leads = True
                turn.comes.set()
            else:
                self._is_busy = False

    def _withdraw(self, turn: _Turn[T]) -> None:
        """Leave before one's turn has come, or as it comes."""
        with self._lock:
            if turn in self._waiting:
                self._waiting.remove(turn)
        if turn.leads:
            self._pass_on()


class _Turn(Generic[T]):
    """The work of one thread, and its place in the line."""

    def __init__(self, work: Sequence[T]) -> None:
        self.work = work
        self.leads = False
        self.comes = threading.Event()
