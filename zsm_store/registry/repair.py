"""Put away what `verify` calls an error: moved to the quarantine, never deleted."""

from __future__ import annotations

import errno
import getpass
import os
import stat
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from zsm_store.errors import (
    ArtifactFormatError,
    FormatError,
    ReadOnlyRegistryError,
    StorageError,
)
from zsm_store.registry.directory_store import DirectoryStore
from zsm_store.registry.problem import Problem, Severity
from zsm_store.registry.store import MAY_NOT_WRITE
from zsm_store.storage.file_clock import file_clock
from zsm_store.storage.listing import FAN_DIGITS
from zsm_store.storage.lock import LockStrategy
from zsm_store.storage.private import STALE_STAGING_S
from zsm_store.storage.quarantine import Quarantine
from zsm_store.storage.stale_lock import seen_lock

if TYPE_CHECKING:
    from zsm_store.registry.store import ArtifactStore
    from zsm_store.storage.directory import ArtifactDirectory

_ROUNDS = 4
"""Of one artifact two copies and a link may be bad; each shows when the one before it
is out of the way."""
_NEWER = "is newer than this package"
_ORDER = {"ZSM002": 0, "ZSM001": 2, "ZSM003": 3}
"""Which code is seen to first. A copy too many is not one any more when the other one
turns out to be damaged; that is 1, as all the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """One file that was put into the quarantine."""

    problem: Problem
    """What was wrong with it, and where it was."""
    to: str | None
    """Where it is now; None where it only would be moved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairReport:
    """What `SchemaRegistry.repair` did, and what it left to do."""

    moved: tuple[Moved, ...]
    problems: tuple[Problem, ...]
    """What `verify` finds now. The message of an error says why nothing was done."""
    swept: int
    """Staging files that were removed, which killed writers had left."""
    stale_lock: str | None
    """Who had left the lock that was taken away, and how."""


def repair(store: ArtifactStore, *, dry_run: bool) -> RepairReport:
    """See `SchemaRegistry.repair`."""
    if not isinstance(store, DirectoryStore):
        message = "only a registry in a directory can be"
        raise ReadOnlyRegistryError.of(
            "repair", store.location, OSError(errno.EROFS, message)
        )
    return _Repair(store, dry_run=dry_run).done()


class _Culprit(NamedTuple):
    """A problem as it is now, which may differ from how it was reported."""

    problem: Problem
    why_left: str = ""
    """Why its file must stay where it is; empty where it may be moved."""


class _Repair:
    def __init__(self, store: DirectoryStore, *, dry_run: bool) -> None:
        self._store = store
        self._dry_run = dry_run
        self._quarantine = Quarantine(store.site.path)
        self._moved: list[Moved] = []
        self._refused: dict[str, str] = {}
        """Why the file of a path stays; empty where it only would be moved."""

    def done(self) -> RepairReport:
        stale_lock = self._take_stale_lock()
        problems = self._verify()
        for _ in range(_ROUNDS):
            if not self._move_all(problems):
                break
            problems = self._verify()
        return RepairReport(
            moved=tuple(self._moved),
            problems=tuple(self._explained(problem) for problem in problems),
            swept=self._sweep(),
            stale_lock=stale_lock,
        )

    def _verify(self) -> list[Problem]:
        return list(self._store.verify())

    def _explained(self, problem: Problem) -> Problem:
        why = self._refused.get(problem.path)
        if not why or problem.severity is not Severity.ERROR:
            return problem
        return replace(problem, message=f"{problem.message}; left there: {why}")

    def _move_all(self, problems: list[Problem]) -> bool:
        """Put away what may be; whether the list of problems is another one now."""
        is_outdated = False
        errors = [one for one in problems if one.severity is Severity.ERROR]
        for problem in sorted(errors, key=lambda one: _ORDER.get(one.code, 1)):
            if problem.path in self._refused:
                continue
            # Without the lock first: most of what stays needs none to see that.
            culprit = self._look(problem)
            if culprit is None:
                is_outdated = True
            elif culprit.why_left:
                self._refused[problem.path] = culprit.why_left
            elif self._dry_run:
                self._refused[problem.path] = ""
                self._moved.append(Moved(problem=culprit.problem, to=None))
            else:
                self._move(problem)
                is_outdated |= problem.path not in self._refused
        return is_outdated

    def _move(self, problem: Problem) -> None:
        try:
            self._move_under_lock(problem)
        except FormatError as error:
            self._refused[problem.path] = str(error)
        except StorageError as error:
            # Of one file it is a fact to report; of all of them it is the answer.
            if error.errno in MAY_NOT_WRITE and not self._moved:
                raise
            self._refused[problem.path] = str(error)

    def _move_under_lock(self, problem: Problem) -> None:
        with self._store.site.locked() as (lock, _):
            # Somebody may have replaced it by a good one meanwhile.
            culprit = self._look(problem)
            if culprit is None or culprit.why_left or lock.is_lost():
                return
            path = Path(culprit.problem.path)
            to = self._quarantine.move_in(path, _reason(culprit.problem))
        self._moved.append(Moved(problem=culprit.problem, to=str(to)))

    def _look(self, problem: Problem) -> _Culprit | None:
        """Look again whether something is wrong; None where nothing is any more."""
        match problem.code:
            case "ZSM001" | "ZSM002":
                return _look_at_oddity(problem)
            case "ZSM003":
                return self._look_at_copy(problem)
            case "ZSM004":
                return _Culprit(
                    problem, "it may be a good one that this user cannot read"
                )
            case "ZSM050":
                return _Culprit(problem, "restore it, or delete it and run 'zsm init'")
            case _:
                return self._look_at_content(problem)

    def _look_at_content(self, problem: Problem) -> _Culprit | None:
        try:
            self._store.reader.digest_now(Path(problem.path).stem)
        except StorageError as error:
            return _Culprit(problem, str(error))
        except ArtifactFormatError as error:
            if error.code == "ZSM014" and _NEWER in error.reason:
                return _Culprit(problem, "it is good for those who have upgraded")
            found = replace(
                problem,
                path=str(error.source),
                line=error.line,
                column=error.column,
                code=error.code,
                message=str(error.args[1]),
            )
            return _Culprit(found)
        return None

    def _look_at_copy(self, problem: Problem) -> _Culprit | None:
        """Find the copy that is not served, which need not be the one reported."""
        directory = self._store.site.open()
        schema_hash = Path(problem.path).stem
        served = directory.locate(schema_hash)
        other = _other_place(directory, served)
        if not (served.is_file() and other.is_file()):
            return None
        try:
            self._store.reader.digest_now(schema_hash)
        except (StorageError, FormatError):
            return _Culprit(problem, f"'{served}' is no better")
        message = f"the same artifact lies at {served}, which is the one that counts"
        return _Culprit(replace(problem, path=str(other), message=message))

    def _take_stale_lock(self) -> str | None:
        """Let the lock's own rule take away what a dead writer has left of it."""
        site = self._store.site
        directory = site.open()
        try:
            settings = site.stored(directory) or site.default()
        except FormatError:  # reported as ZSM050
            return None
        if settings.lock is not LockStrategy.MARKER:
            return None
        seen = seen_lock(directory.private, self._now(directory))
        if seen is None or not seen.is_stale:
            return None
        if not self._dry_run:
            with site.locked():
                pass
        return str(seen)

    def _sweep(self) -> int:
        directory = self._store.site.open()
        staged = directory.private.staged()
        if not staged:
            return 0
        now = self._now(directory)
        if not self._dry_run:
            return directory.private.sweep(now)
        return sum(now - modified > STALE_STAGING_S for _, modified in staged)

    def _now(self, directory: ArtifactDirectory) -> float:
        """Return the file system's time; this host's for who may not write."""
        staging_dir = directory.private.staging_dir
        if not self._dry_run and staging_dir.is_dir():
            try:
                return file_clock(staging_dir)
            except StorageError as error:
                if error.errno not in MAY_NOT_WRITE:
                    raise
        return time.time()


def _look_at_oddity(problem: Problem) -> _Culprit | None:
    try:
        mode = os.lstat(problem.path).st_mode
    except FileNotFoundError:
        return None
    except OSError as error:
        return _Culprit(problem, str(error))
    if stat.S_ISDIR(mode):
        return _Culprit(problem, "a directory may hold more than anybody looked at")
    if stat.S_ISREG(mode) and problem.code == "ZSM002":
        return None
    if stat.S_ISLNK(mode):
        message = f"{problem.message}; it leads to {Path(problem.path).readlink()}"
        return _Culprit(replace(problem, message=message))
    return _Culprit(problem)


def _other_place(directory: ArtifactDirectory, served: Path) -> Path:
    if served.parent != directory.path:
        return directory.path / served.name
    return directory.path / served.name[:FAN_DIGITS] / served.name


def _reason(problem: Problem) -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in containers
        user = f"user {os.geteuid()}"
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    host = os.uname().nodename
    facts = {
        "what is wrong": f"{problem.code} {problem.message}",
        "where": f"line {problem.line}, column {problem.column}",
        "it was": problem.path,
        "moved": f"{moment} by {user}, process {os.getpid()} on {host}",
    }
    lines = [f"{name + ':':<15}{_one_line(text)}" for name, text in facts.items()]
    return "\n".join([*lines, "", _ADVICE])


_ADVICE = """\
'zsm verify --fix' has moved this file here, unchanged, because it was not served where
it was. To use it again, put right what is wrong and save it: 'zsm save FILE' checks it
first. Nothing needs this folder: delete it when you have no use for the file.
"""


def _one_line(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)
