"""What git is in the middle of, and which commit each side of a conflict is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zsm_store.errors import GitError

if TYPE_CHECKING:
    from zsm_store.git.repository import Repository


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation that stopped at conflicts."""

    name: str
    """As git calls it; "merge" where git does not say."""
    ours: str
    """Which commit that is, for a person."""
    theirs: str
    goes_on: str
    """What to type when nothing is in conflict any more."""


def current_operation(repository: Repository) -> Operation:
    """Find out what is going on.

    In a rebase, "ours" is where the commits go, and "theirs" is one's own commit; in a
    revert, "theirs" is what was before the commit that is taken back.
    """
    head = _described(repository, "HEAD", _branch(repository))
    if (repository.git_dir / "rebase-apply" / "applying").is_file():
        return Operation("am", head, "the patch", "git am --continue")
    for folder in ("rebase-merge", "rebase-apply"):
        if (repository.git_dir / folder).is_dir():
            mine = _described(repository, "REBASE_HEAD", "your commit")
            return Operation("rebase", head, mine, "git rebase --continue")
    for name, ref, what in (
        ("merge", "MERGE_HEAD", "the branch that is merged"),
        ("cherry-pick", "CHERRY_PICK_HEAD", "the commit that is picked"),
        ("revert", "REVERT_HEAD", "what was before"),
    ):
        if (repository.git_dir / ref).is_file():
            theirs = _described(repository, ref, what)
            return Operation(name, head, theirs, f"git {name} --continue")
    # A stash, a squashed branch or local changes that were taken along.
    return Operation("merge", head, "what is merged into it", "git status")


def _branch(repository: Repository) -> str:
    found = repository.run("symbolic-ref", "-q", "--short", "HEAD", expect=(0, 1))
    return found.decode(errors="replace").strip() or "where git is"


def _described(repository: Repository, revision: str, what: str) -> str:
    try:
        found = repository.run("log", "-1", "--format=%h %s", revision, "--")
    except GitError:  # an apply has no commit, and a new branch has none yet
        return what
    return f"{what} ({found.decode(errors='replace').strip()})"
