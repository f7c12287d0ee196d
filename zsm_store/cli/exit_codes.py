"""What a command's exit code means. The library knows nothing of it."""

from __future__ import annotations

import errno
from enum import IntEnum

from zsm_store.errors import (
    AmbiguousRefError,
    ArtifactNotFoundError,
    ConflictError,
    FormatError,
    GitError,
    InvalidArtifactError,
    NotInGitError,
    RegistryLockedError,
    StorageError,
    TableError,
    ZsmError,
)


class ExitCode(IntEnum):
    """Exit codes of `zsm`; `docs/cli.md` lists them, too."""

    DONE = 0
    UNEXPECTED = 1
    USAGE = 2
    NOT_FOUND = 3
    """No such artifact or file, or several artifacts answer."""
    DAMAGED = 4
    CONFLICT = 5
    UNREACHABLE = 6
    """The lock was not free in time, or the file system refused something."""
    WARM_START = 10
    """Only of ``zsm lookup --exit-code``, where a warm load is 0."""
    COLD_START = 11
    """Only of ``zsm lookup --exit-code``."""
    INTERRUPTED = 130
    """Ctrl-C, as shells report SIGINT."""
    BROKEN_PIPE = 141
    """The reader of the output went away, as shells report SIGPIPE."""


# The first class that fits counts, so a subclass stands before its base.
_BY_CLASS: tuple[tuple[type[ZsmError], ExitCode], ...] = (
    (ArtifactNotFoundError, ExitCode.NOT_FOUND),
    (AmbiguousRefError, ExitCode.NOT_FOUND),
    (ConflictError, ExitCode.CONFLICT),
    (FormatError, ExitCode.DAMAGED),
    (TableError, ExitCode.DAMAGED),
    (InvalidArtifactError, ExitCode.DAMAGED),
    (RegistryLockedError, ExitCode.UNREACHABLE),
    (StorageError, ExitCode.UNREACHABLE),
    (NotInGitError, ExitCode.NOT_FOUND),
    (GitError, ExitCode.UNREACHABLE),
)

# A file that the user named and that is not there is not found, rather than damaged or
# unreachable; a directory in its place is a slip of the command line.
_BY_ERRNO = {
    errno.ENOENT: ExitCode.NOT_FOUND,
    errno.EISDIR: ExitCode.USAGE,
    errno.ENOTDIR: ExitCode.USAGE,
    errno.EEXIST: ExitCode.CONFLICT,
    errno.EACCES: ExitCode.UNREACHABLE,
    errno.EPERM: ExitCode.UNREACHABLE,
    errno.EIO: ExitCode.UNREACHABLE,
}
_ACTIONS_ON_NAMED_FILES = {"open", "pack into"}


def exit_code_of(error: ZsmError) -> ExitCode:
    """Return the exit code that an error of the library ends a command with."""
    number = _errno(error)
    if number in _BY_ERRNO:
        return _BY_ERRNO[number]
    for kind, code in _BY_CLASS:
        if isinstance(error, kind):
            return code
    return ExitCode.UNEXPECTED


def _errno(error: ZsmError) -> int | None:
    if isinstance(error, StorageError):
        named = error.action in _ACTIONS_ON_NAMED_FILES or error.errno != errno.ENOENT
        return error.errno if named else None
    if isinstance(error, TableError) and isinstance(error.__cause__, OSError):
        return error.__cause__.errno
    return None
