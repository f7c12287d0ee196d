"""The exception tree. Every error is one line: what failed, where, what to do."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class ZsmError(Exception):
    """Base of everything this package raises on purpose."""


class InvalidArtifactError(ZsmError, ValueError):
    """A value breaks a rule of the model: a schema, statistics or parameters."""


class TableError(ZsmError, ValueError):
    """A table, a schema file or a rules file cannot be used.

    Attributes
    ----------
    source : str or None
        The file as the user named it.
    line : int or None
        1-based line of the problem.
    """

    def __init__(
        self,
        message: str,
        *,
        source: str | Path | None = None,
        line: int | None = None,
    ) -> None:
        super().__init__(message)
        self.source = None if source is None else str(source)
        self.line = line

    def __str__(self) -> str:
        where = "" if self.source is None else f"cannot read {self.source!r}: "
        line = "" if self.line is None else f"line {self.line}: "
        return f"{where}{line}{self.args[0]}"


class ArtifactNotFoundError(ZsmError, KeyError):
    """No artifact answers to a reference.

    Attributes
    ----------
    ref : str
        The hash, prefix or tag that was asked for.
    """

    def __init__(self, ref: str, hint: str = "'zsm ls' lists what is there") -> None:
        super().__init__(ref, hint)
        self.ref = ref

    def __str__(self) -> str:
        return f"no artifact {self.ref!r}: {self.args[1]}"


class AmbiguousRefError(ZsmError, LookupError):
    """A prefix or tag that several artifacts answer to.

    Attributes
    ----------
    ref : str
        The prefix or tag.
    candidates : tuple of str
        Schema hashes of the artifacts, sorted.
    """

    def __init__(self, ref: str, candidates: Sequence[str]) -> None:
        super().__init__(ref, tuple(candidates))
        self.ref = ref
        self.candidates = tuple(candidates)

    def __str__(self) -> str:
        listed = ", ".join(self.candidates[:3])
        more = len(self.candidates) - 3
        rest = f" and {more} more" if more > 0 else ""
        return (
            f"{self.ref!r} means {len(self.candidates)} artifacts "
            f"({listed}{rest}): give more digits of the hash"
        )


class FormatError(ZsmError):
    """Bytes that are not what they should be.

    Attributes
    ----------
    source : Path or str or None
        The file, added by whoever knows it.
    """

    noun = "file"

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self.source: Path | str | None = None

    @property
    def reason(self) -> str:
        """What is wrong, without the file's name."""
        return str(self.args[0])

    def __str__(self) -> str:
        if self.source is None:
            return self.reason
        return f"cannot read {self.noun} '{self.source!s}': {self.reason}"


class ArtifactFormatError(FormatError):
    """A `<hash>.json` that cannot be trusted.

    Attributes
    ----------
    code : str
        The problem's code, as `verify` prints it (``ZSM020``).
    line, column : int
        1-based position of the problem; 1, 1 where the whole file is meant.
    """

    noun = "artifact"

    def __init__(self, code: str, message: str, line: int = 1, column: int = 1) -> None:
        super().__init__(code, message, line, column)
        self.code = code
        self.line = line
        self.column = column

    @property
    def reason(self) -> str:
        """What is wrong, and on which line where that helps."""
        where = f"line {self.line}: " if (self.line, self.column) != (1, 1) else ""
        return f"{where}{self.args[1]}"


class BundleFormatError(FormatError):
    """A `.zsm` bundle that cannot be trusted.

    Attributes
    ----------
    offset : int
        Byte at which reading failed.
    """

    noun = "bundle"

    def __init__(self, offset: int, expected: str, found: str) -> None:
        super().__init__(offset, expected, found)
        self.offset = offset

    @property
    def reason(self) -> str:
        """What was expected and found, and at which byte."""
        return f"expected {self.args[1]} at byte {self.offset}, found {self.args[2]}"


class SettingsFormatError(FormatError):
    """A `registry.json` that cannot be used.

    Attributes
    ----------
    is_newer : bool
        A newer version of this package wrote it, so nothing may be read, either.
    """

    noun = "registry settings"

    def __init__(self, message: str, *, is_newer: bool = False) -> None:
        super().__init__(message)
        self.is_newer = is_newer


class ConflictError(ZsmError):
    """A precondition of a save or delete did not hold; nothing was changed.

    Attributes
    ----------
    schema_hash : str
        The artifact in question.
    expected, found : str or None
        Digests; None means no artifact.
    """

    def __init__(
        self, schema_hash: str, expected: str | None, found: str | None
    ) -> None:
        super().__init__(schema_hash, expected, found)
        self.schema_hash = schema_hash
        self.expected = expected
        self.found = found

    def __str__(self) -> str:
        return (
            f"artifact {self.schema_hash} is not as expected: "
            f"expected {self.expected or 'none'}, found {self.found or 'none'}; "
            "look at the stored one and decide again"
        )


class RegistryLockedError(ZsmError, TimeoutError):
    """Another writer held the registry's lock for too long.

    Attributes
    ----------
    path : str
        What is locked.
    timeout_s : float
        Seconds waited.
    holder : str or None
        The process that holds it, as far as can be told.
    """

    def __init__(self, path: str, timeout_s: float, holder: str | None = None) -> None:
        super().__init__(path, timeout_s, holder)
        # OSError took the two arguments for these.
        self.errno, self.strerror = errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT)
        self.path = path
        self.timeout_s = timeout_s
        self.holder = holder

    def __str__(self) -> str:
        return (
            f"registry is locked: {self.holder or 'another writer'} held "
            f"'{self.path}' for more than {self.timeout_s:g} s; try again"
        )


class StorageError(ZsmError, OSError):
    """The file system refused something; `errno` says what.

    Attributes
    ----------
    action : str
        What was being done, to continue "cannot ...".
    """

    action = "use"

    @classmethod
    def of(cls, action: str, path: Path | str, error: OSError) -> Self:
        """Wrap what the operating system raised while doing `action` to `path`."""
        number = error.errno or 0
        text = error.strerror or str(error) or os.strerror(number)
        wrapped = cls(number, text, str(path))
        wrapped.action = action
        return wrapped

    def __str__(self) -> str:
        return f"cannot {self.action} '{self.filename}': {self.strerror}"


class ReadOnlyRegistryError(StorageError):
    """A change was asked of a registry that cannot be changed, such as a bundle."""


class GitError(ZsmError):
    """git refuses something, or is not installed; the message has what git said."""


class NotInGitError(GitError):
    """A path is in no work tree of git."""
