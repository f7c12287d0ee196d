"""What a process has to do with its registries when it is the child of a fork."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Forked(Protocol):
    """Something with locks or threads."""

    def after_fork(self) -> None:
        """Make the child of a fork independent of the parent's threads."""


_followers: weakref.WeakSet[Forked] = weakref.WeakSet()


def follow_forks(follower: Forked) -> None:
    """Call its `after_fork` in every child, for as long as somebody holds it."""
    _followers.add(follower)


def _after_fork() -> None:
    for follower in list(_followers):
        follower.after_fork()


os.register_at_fork(after_in_child=_after_fork)
