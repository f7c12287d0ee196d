"""System calls that fail when a test says so, below one directory."""

from __future__ import annotations

import builtins
import errno
import fcntl
import gc
import io
import os
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from tests.faults.power import Power

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import pytest

_BY_PATH = (
    *("open", "mkdir", "rmdir", "unlink", "remove", "replace", "rename", "link"),
    *("symlink", "utime", "chmod", "listdir", "stat", "lstat", "readlink", "truncate"),
)
_BY_DESCRIPTOR = ("write", "pwrite", "fsync", "fdatasync", "close", "fstat", "read")

_CREATES = frozenset({"create", "mkdir", "link", "symlink", "replace", "rename"})
_CHANGES = _CREATES | {"unlink", "remove", "rmdir", "utime", "chmod", "truncate"}
_STORES = frozenset({"write", "pwrite", "fsync", "fdatasync", "close"})
_LOOKS = frozenset(
    {"create", "open", "listdir", "scandir", "stat", "lstat", "readlink"}
)

MEANT = {
    errno.ENOSPC: _CREATES | _STORES,
    errno.EDQUOT: _CREATES | _STORES,
    errno.EROFS: _CHANGES,
    errno.EMFILE: frozenset({"create", "open", "listdir", "scandir"}),
    errno.EACCES: _CHANGES | _LOOKS,
    errno.ENOMEM: _CHANGES | _LOOKS | {"write", "read", "readdir", "flock"},
    errno.EIO: _CHANGES
    | _LOOKS
    | _STORES
    | {"read", "pread", "readdir", "fstat", "let go"},
    errno.ESTALE: _CHANGES | _LOOKS | _STORES | {"read", "readdir", "fstat", "let go"},
    errno.ENOLCK: frozenset({"flock"}),
}
"""Which calls an error number is met at. To open a file for writing is to `create`; to
close one that was only read is to let go of it."""
_CLOSES = frozenset({"close", "let go"})
_GIVES = frozenset({"create", "open", "scandir"})
"""Calls whose result nobody can give back if an error takes its place."""
_WRITES = os.O_WRONLY | os.O_RDWR


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What goes wrong, and at which of the calls that it is meant for."""

    number: int | None
    """An error number; None for Ctrl-C, which can come at any call."""
    nth: int
    """From 1."""
    is_lasting: bool = False
    """Whether all later calls that it is meant for fail as well."""
    is_late: bool = False
    """Whether the call has done its work nevertheless."""

    def is_meant_for(self, call: str) -> bool:
        return self.number is None or call in MEANT[self.number]

    def error(self) -> BaseException:
        if self.number is None:
            return KeyboardInterrupt()
        return OSError(self.number, os.strerror(self.number))


class SystemCalls:
    """The calls of this process about what lies below a directory.

    Parameters
    ----------
    root
        The directory.
    fault
        What is to go wrong; None for nothing.
    power
        Told of all calls that came to their end.
    """

    def __init__(self, root: Path, fault: Fault | None, power: Power) -> None:
        self.power = power
        self.fired: list[tuple[str, str]] = []
        """Calls that failed, each with its path."""
        self.descriptors: dict[int, str] = {}
        """What is open, and on which path."""
        self.writable: set[int] = set()
        """Descriptors, maybe of the past."""
        self._root = str(root)
        self._fault = fault
        self._seen = 0

    def path_of(self, where: Any, directory: int | None = None) -> str | None:
        """Return the path that an argument means, if it is below the root."""
        if isinstance(where, int):
            return self.descriptors.get(where)
        path = os.fsdecode(where)
        if directory is not None and not path.startswith("/"):
            path = f"{self.descriptors.get(directory, '')}/{path}"
        return path if f"{path}/".startswith(f"{self._root}/") else None

    def leaked(self) -> list[str]:
        """Close what nobody closes any more, and return the paths."""
        if self.descriptors:
            gc.collect()
        left = []
        for fd, path in self.descriptors.items():
            with suppress(OSError):  # garbage that closed itself
                os.close(fd)
                left.append(path)
        return left

    def call(self, name: str, path: str, work: Callable[[], Any]) -> Any:
        """Do a call, unless it is the one to fail."""
        fault = self._fault
        if fault is None or not fault.is_meant_for(name):
            return work()
        self._seen += 1
        is_hit = self._seen == fault.nth
        if not is_hit and not (fault.is_lasting and self._seen > fault.nth):
            return work()
        self.fired.append((name, path))
        # What close() says is said afterwards: the descriptor is gone in any case.
        if name in _CLOSES or (fault.is_late and name not in _GIVES):
            work()
        raise fault.error()


def without_frames(error: BaseException) -> BaseException:
    """Strip an error of what would keep open what somebody forgot to close."""
    one: BaseException | None = error
    while one is not None:
        one.__traceback__ = None
        one = one.__cause__ or one.__context__
    return error


@contextmanager
def failing(
    monkeypatch: pytest.MonkeyPatch,
    root: Path,
    fault: Fault | None,
    power: Power | None = None,
) -> Iterator[SystemCalls]:
    """Let a call below `root` fail, and note what would survive a power cut."""
    calls = SystemCalls(root, fault, power or Power())
    with monkeypatch.context() as patch:
        for name in _BY_PATH:
            patch.setattr(os, name, _by_path(calls, name))
        for name in _BY_DESCRIPTOR:
            patch.setattr(os, name, _by_descriptor(calls, name))
        patch.setattr(os, "pread", _by_descriptor(calls, "pread"))
        patch.setattr(fcntl, "flock", _flock(calls))
        patch.setattr(os, "scandir", _scandir(calls))
        opened = _open_file(calls)
        patch.setattr(io, "open", opened)
        patch.setattr(builtins, "open", opened)
        yield calls


def _by_path(calls: SystemCalls, name: str) -> Callable[..., Any]:
    real = getattr(os, name)

    def call(where: Any, *more: Any, **named: Any) -> Any:
        directory = named.get("dir_fd", named.get("src_dir_fd"))
        path = calls.path_of(where, directory)
        if path is None:
            return real(where, *more, **named)

        is_writing = name == "open" and bool(more and more[0] & _WRITES)

        def work() -> Any:
            found = real(where, *more, **named)
            if name in {"replace", "rename"}:
                target = calls.path_of(more[0], named.get("dst_dir_fd"))
                calls.power.note_rename(path, target or "")
            elif name == "open":
                calls.descriptors[found] = path
                calls.writable.discard(found)
                if is_writing:
                    calls.writable.add(found)
            elif name == "mkdir":
                calls.power.note_name(path)
            elif name == "link":
                calls.power.note_name(calls.path_of(more[0]) or "")
            elif name in {"unlink", "remove"}:
                calls.power.note_unlink(path)
            return found

        return calls.call("create" if is_writing else name, path, work)

    return call


def _by_descriptor(calls: SystemCalls, name: str) -> Callable[..., Any]:
    real = getattr(os, name)

    def call(fd: int, *more: Any, **named: Any) -> Any:
        path = calls.descriptors.get(fd)
        if path is None:
            return real(fd, *more, **named)

        def work() -> Any:
            if name in {"fsync", "fdatasync"}:
                # Not done: no power is cut here, and disks are slow.
                calls.power.note_sync(path)
                return None
            if name == "close":
                del calls.descriptors[fd]
            elif name in {"write", "pwrite"}:
                calls.power.note_write(path)
            return real(fd, *more, **named)

        is_read = name == "close" and fd not in calls.writable
        return calls.call("let go" if is_read else name, path, work)

    return call


def _flock(calls: SystemCalls) -> Callable[..., Any]:
    real = fcntl.flock

    def call(fd: Any, operation: int) -> None:
        path = calls.descriptors.get(fd)
        if path is None:
            real(fd, operation)
        else:
            calls.call("flock", path, lambda: real(fd, operation))

    return call


def _open_file(calls: SystemCalls) -> Callable[..., Any]:
    real = io.open

    def call(file: Any, mode: str = "r", *more: Any, **named: Any) -> Any:
        path = None if isinstance(file, int) else calls.path_of(file)
        if path is None:
            return real(file, mode, *more, **named)
        name = "open" if mode in {"r", "rb", "rt"} else "create"
        return calls.call(name, path, lambda: real(file, mode, *more, **named))

    return call


def _scandir(calls: SystemCalls) -> Callable[..., Any]:
    real = os.scandir

    def call(where: Any = ".") -> Any:
        path = calls.path_of(where)
        if path is None:
            return real(where)
        return calls.call("scandir", path, lambda: _Entries(calls, path, real(where)))

    return call


class _Entries:
    """Entries of a directory, which may fail to end."""

    def __init__(self, calls: SystemCalls, path: str, entries: Any) -> None:
        self._calls, self._path, self._entries = calls, path, entries

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._entries.close()

    def close(self) -> None:
        self._entries.close()

    def __iter__(self) -> _Entries:
        return self

    def __next__(self) -> os.DirEntry[str]:
        try:
            return next(self._entries)
        except StopIteration:
            # Only here: what was listed so far must not be taken for all there is.
            self._calls.call("readdir", self._path, lambda: None)
            raise
