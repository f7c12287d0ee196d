"""What the next commit would have, which need not be what lies in the work tree."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from zsm_store.registry.file_checks import content_problems
from zsm_store.registry.named_file import (
    place_problem,
    settings_problems,
    twin_problem,
    unserved_problem,
)
from zsm_store.registry.problem import Problem
from zsm_store.registry.site import SETTINGS_NAME
from zsm_store.storage.listing import FAN_DIGITS
from zsm_store.storage.quarantine import QUARANTINE_NAME

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from zsm_store.git.repository import Repository

_ARTIFACT_LIKE = re.compile(r"[0-9a-f]{60,68}\.json", re.ASCII | re.IGNORECASE)
_OF_A_REGISTRY = b'"zsm-registry/'
_LINK, _FILES = "120000", {"100644", "100755"}
_GONE = "000000"
_AT_ONCE = 512
"""Blobs that are read by one process: a first commit may add a hundred thousand."""


class _Change(NamedTuple):
    path: str
    """From the top of the work tree."""
    mode: str
    blob: str
    is_unmerged: bool

    @property
    def is_file(self) -> bool:
        return self.mode in _FILES and not self.is_unmerged


def staged_problems(
    repository: Repository, below: Sequence[str] = ()
) -> tuple[list[str], list[Problem]]:
    """Check the artifacts in git's index that differ from HEAD.

    In a merge these are all that the other side brings, and all that was blended.

    Parameters
    ----------
    below
        Paths as git names them, files or directories; by default all there is.

    Returns
    -------
    names, problems
        The files that were checked, as seen from the current directory.

    Raises
    ------
    GitError
        git cannot say what is staged.
    """
    changes = list(_changes(repository, below))
    if not changes:
        return [], []
    index = _Index(repository)
    problems: list[Problem] = []
    for start in range(0, len(changes), _AT_ONCE):
        some = changes[start : start + _AT_ONCE]
        blobs = repository.blobs(change.blob for change in some if change.is_file)
        for change in some:
            problems += _problems(change, blobs.get(change.blob, b""), index)
    return [_shown(repository, change.path) for change in changes], [
        replace(problem, path=_shown(repository, problem.path)) for problem in problems
    ]


class _Index:
    """The names of all artifacts that the next commit would have."""

    def __init__(self, repository: Repository) -> None:
        names = repository.run("ls-files", "-z", "--cached").split(b"\0")
        self._paths = {
            os.fsdecode(name) for name in names if name.lower().endswith(b".json")
        }
        self._by_lower_case: defaultdict[str, list[str]] = defaultdict(list)
        for path in self._paths:
            self._by_lower_case[path.lower()].append(path)

    def has(self, place: PurePosixPath) -> bool:
        return str(place) in self._paths

    def clash(self, path: str) -> str | None:
        """Return a path that is another one only where case counts."""
        others = set(self._by_lower_case[path.lower()]) - {path}
        return min(others, default=None)


def _changes(repository: Repository, below: Sequence[str]) -> Iterator[_Change]:
    names = repository.run("rev-parse", "--verify", "-q", "HEAD", expect=(0, 1))
    # Before the first commit there is nothing to differ from.
    base = names.strip() or repository.run("hash-object", "-t", "tree", os.devnull)
    listed = repository.run(
        *("diff-index", "--cached", "--raw", "-z", "--no-abbrev"),
        *(base.decode().strip(), "--", *below),
    ).split(b"\0")
    for facts, name in zip(listed[:-1:2], listed[1::2], strict=True):
        _, mode, _, blob, status = facts.decode().split(" ")
        path = os.fsdecode(name)
        is_unmerged = status == "U"
        if (mode != _GONE or is_unmerged) and _is_ours(PurePosixPath(path)):
            yield _Change(path, mode, blob, is_unmerged)


def _is_ours(place: PurePosixPath) -> bool:
    if place.name == SETTINGS_NAME:
        return True
    is_put_away = place.parent.parent.name == QUARANTINE_NAME
    return _ARTIFACT_LIKE.fullmatch(place.name) is not None and not is_put_away


def _problems(change: _Change, data: bytes, index: _Index) -> Iterable[Problem]:
    path, place = change.path, PurePosixPath(change.path)
    if place.name == SETTINGS_NAME:
        # Others may have a file of this name, too.
        is_ours = change.is_file and _OF_A_REGISTRY in data
        return settings_problems(data, path) if is_ours else ()
    if change.is_unmerged:
        message = "an unresolved conflict: take one side whole"
        return [Problem(path=path, code="ZSM010", message=message)]
    if not change.is_file:
        return [unserved_problem(path, is_link=change.mode == _LINK)]
    found = list(_place_problems(place, path, index))
    return found or content_problems(data, place.stem, path)


def _place_problems(
    place: PurePosixPath, path: str, index: _Index
) -> Iterator[Problem]:
    is_root = index.has(place.parent / SETTINGS_NAME)
    misplaced = place_problem(place, path, is_root=is_root)
    if misplaced is not None:
        yield misplaced
    clash = index.clash(path)
    if clash is not None:
        message = f"{clash} has the same name where upper case does not count"
        yield Problem(path=path, code="ZSM001", message=message)
    folder = place.name[:FAN_DIGITS]
    if place.parent.name == folder:
        twin = place.parent.parent / place.name
    else:
        twin = place.parent / folder / place.name
    if index.has(twin):
        yield twin_problem(path, str(twin))


def _shown(repository: Repository, path: str) -> str:
    return os.path.relpath(repository.top / path)
