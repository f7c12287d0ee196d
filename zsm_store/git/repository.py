"""The git repository around a path. Whatever runs git, runs it here."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

from zsm_store.errors import GitError, NotInGitError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

# Set in hooks and aliases, for the directory that these run in; ours is found anew.
_PLACES = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_COMMON_DIR",
    "GIT_PREFIX",
    "GIT_INTERNAL_SUPER_PREFIX",
)
# These must be kept in a hook: `git commit -a` fills an index of its own, and a push
# keeps its objects apart until it is accepted.
_CONTENTS = (
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
)
_SAYS = ("fatal: ", "error: ")
_PATHS = 3


@dataclass(frozen=True, kw_only=True)
class Repository:
    """A work tree and its repository."""

    top: Path
    """The work tree, without symbolic links."""
    git_dir: Path
    """What this work tree has for itself, such as its index."""
    common_dir: Path
    """What all work trees of the repository share, such as its branches."""
    environment: Mapping[str, str]
    """In which git is run."""

    @classmethod
    def around(cls, path: Path | str) -> Self:
        """Find the work tree that a directory, or the directory of a file, is in.

        Raises
        ------
        NotInGitError
            It is in none.
        GitError
            git is not installed, or refuses the repository.
        """
        place = Path(path)
        place = place if place.is_dir() else place.parent
        environment = _environment()
        found = _git(
            place,
            environment,
            ("rev-parse", "--path-format=absolute", "--show-toplevel"),
            ("--git-dir", "--git-common-dir"),
        )
        paths = [Path(os.fsdecode(line)) for line in found.split(b"\n")[:-1]]
        if len(paths) != _PATHS:
            raise GitError(
                f"cannot use the repository of '{place}': a line end in its path"
            )
        top, git_dir, common_dir = paths
        if not _is_meant(git_dir):
            for name in _CONTENTS:
                environment.pop(name, None)
        return cls(
            top=top, git_dir=git_dir, common_dir=common_dir, environment=environment
        )

    def run(
        self,
        *args: str,
        input: bytes | None = None,  # noqa: A002  # as subprocess calls it
        expect: Collection[int] = (0,),
    ) -> bytes:
        """Run git at the top of the work tree and return what it prints.

        Paths are taken literally; put ``--`` before them, and ask for ``-z``.

        Parameters
        ----------
        input
            What git reads.
        expect
            Exit codes that are no error.

        Raises
        ------
        GitError
            Any other exit code; says what git said.
        """
        return _git(self.top, self.environment, args, input=input, expect=expect)

    def blobs(self, ids: Iterable[str]) -> dict[str, bytes]:
        """Read the contents of blobs by id, all with one process.

        Raises
        ------
        GitError
            One is missing, or no blob.
        """
        wanted = list(dict.fromkeys(ids))
        if not wanted:
            return {}
        names = "".join(f"{name}\n" for name in wanted).encode()
        output = self.run("cat-file", "--batch", "--buffer", input=names)
        found, start = {}, 0
        for name in wanted:
            end = output.index(b"\n", start)
            header = output[start:end].split(b" ")
            if len(header) != 3 or header[1] != b"blob":  # noqa: PLR2004  # id type size
                what = output[start:end].decode(errors="replace")
                raise GitError(f"git cat-file: {what}, but a file is needed")
            start, end = end + 1, end + 1 + int(header[2])
            found[name] = output[start:end]
            start = end + 1
        return found

    @cached_property
    def is_shallow(self) -> bool:
        """Whether older commits are missing in this clone."""
        return self.run("rev-parse", "--is-shallow-repository").strip() == b"true"

    def relative(self, path: Path | str) -> str:
        """Return a path as git names it: from the top, with slashes; the top is ``.``.

        A link to a file is not followed: git does not, either.

        Raises
        ------
        NotInGitError
            It is outside of the work tree.
        """
        place = Path(path)
        is_whole = place.is_dir() or place.name == ".."
        real = place.resolve() if is_whole else place.parent.resolve() / place.name
        if not real.is_relative_to(self.top):
            raise NotInGitError(f"not in the work tree '{self.top}': '{path}'")
        return real.relative_to(self.top).as_posix()

    def git_path(self, name: str) -> Path:
        """Return where git has one of its own files, such as ``info/attributes``."""
        found = self.run("rev-parse", "--path-format=absolute", "--git-path", name)
        return Path(os.fsdecode(found.removesuffix(b"\n")))


def run_git(directory: Path, *args: str, expect: Collection[int] = (0,)) -> bytes:
    """Run git where there need not be a repository. See `Repository.run`."""
    return _git(directory, _environment(), args, expect=expect)


def _environment() -> dict[str, str]:
    environment = {k: v for k, v in os.environ.items() if k not in _PLACES}
    # A lock that nobody needs would make a command of somebody else fail.
    environment.update(LC_ALL="C", GIT_OPTIONAL_LOCKS="0")
    for name in _CONTENTS[:2]:
        if value := environment.get(name):
            environment[name] = str(Path(value).absolute())
    return environment


def _is_meant(git_dir: Path) -> bool:
    """Whether what the environment says of an index is about this repository."""
    if not any(name in os.environ for name in _CONTENTS):
        return True
    surroundings = {**os.environ, "LC_ALL": "C"}
    try:
        found = _git(Path.cwd(), surroundings, ("rev-parse", "--absolute-git-dir"))
    except GitError:
        return False
    return Path(os.fsdecode(found.removesuffix(b"\n"))) == git_dir


def _git(
    directory: Path,
    environment: Mapping[str, str],
    args: tuple[str, ...],
    more: tuple[str, ...] = (),
    *,
    input: bytes | None = None,  # noqa: A002  # as subprocess calls it
    expect: Collection[int] = (0,),
) -> bytes:
    line = ["git", "-C", str(directory), "--no-pager", "--literal-pathspecs"]
    try:
        done = subprocess.run(  # noqa: S603  # a list of arguments, no shell
            [*line, *args, *more],
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            env=dict(environment),
            check=False,
        )
    except OSError as error:
        why = "git is not installed" if isinstance(error, FileNotFoundError) else error
        raise GitError(f"cannot run git: {why}") from error
    if done.returncode in expect:
        return done.stdout
    said = _said(done.stderr)
    if said.startswith("not a git repository") or "in a work tree" in said:
        raise NotInGitError(f"not in a git work tree: '{directory}'")
    raise GitError(f"git {args[0]}: {said or f'exit code {done.returncode}'}")


def _said(errors: bytes) -> str:
    """Return the line of git's errors that says what is wrong."""
    lines = [line.strip() for line in errors.decode(errors="replace").splitlines()]
    for start in _SAYS:
        for line in lines:
            if line.startswith(start):
                return line.removeprefix(start).rstrip(".")
    return next(filter(None, lines), "")
