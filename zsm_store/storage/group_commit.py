"""Threads that write at the same time, and pay for it together."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")

_LOOK_S = 1.0


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
        try:
            with self._lock:
                if self._is_busy:
                    self._waiting.append(turn)
                else:
                    self._is_busy = turn.leads = True
            # Now and then: who interrupts a thread that wakes others may keep one of
            # them from hearing it.
            while not turn.leads and not turn.is_over:
                turn.comes.acquire(timeout=_LOOK_S)
            if turn.leads:
                self._lead(turn)
        except BaseException:
            self._withdraw(turn)
            raise

    def after_fork(self) -> None:
        """Forget, in the child of a fork, the threads of the parent."""
        self._lock = threading.Lock()
        self._waiting = []
        self._is_busy = False

    def _lead(self, own: _Turn[T]) -> None:
        turns = [own]
        try:
            with self._lock:
                turns += [turn for turn in self._waiting if turn is not own]
                self._waiting = []
            self._commit([work for turn in turns for work in turn.work])
        finally:
            try:
                _end(turns)
            except BaseException:  # Ctrl-C; nobody presses it twice at once
                _end(turns)
                raise
            self._pass_on(own)

    def _pass_on(self, own: _Turn[T]) -> None:
        """Let the next one lead, if anybody waits."""
        with self._lock:
            if not own.leads:
                return
            # In an order that can be interrupted anywhere and begun anew: to pass it on
            # twice makes two groups, to do it never would make none.
            while self._waiting and self._waiting[0].is_over:
                del self._waiting[0]
            if self._waiting:
                turn = self._waiting[0]
                turn.leads = True
                turn.wake()
                del self._waiting[0]
            else:
                self._is_busy = False
            own.leads = False

    def _withdraw(self, turn: _Turn[T]) -> None:
        """Leave before one's turn has come, or as it comes."""
        with self._lock:
            if turn in self._waiting:
                self._waiting.remove(turn)
        self._pass_on(turn)


def _end(turns: Sequence[_Turn[T]]) -> None:
    for turn in turns:
        turn.is_over = True
        turn.wake()


class _Turn(Generic[T]):
    """The work of one thread, and its place in the line."""

    def __init__(self, work: Sequence[T]) -> None:
        self.work = work
        self.leads = False
        self.is_over = False
        # Not an Event: that is written in Python, and Ctrl-C in the middle of it can
        # leave it locked for ever.
        self.comes = threading.Lock()
        self.comes.acquire()

    def wake(self) -> None:
        """Make the thread look what has become of its turn."""
        with suppress(RuntimeError):  # it is awake
            self.comes.release()
