"""`.zsm`: what git must not see, and what anybody may delete at any time."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from zsm_store.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path

PRIVATE_NAME = ".zsm"
STALE_STAGING_S = 3600.0
"""Age from which on a staging file is nobody's any more."""

_IGNORE = b"*\n"


class PrivateDirectory:
    """The private folder of a registry.

    Parameters
    ----------
    registry
        The registry's directory.
    """

    def __init__(self, registry: Path) -> None:
        self.registry = registry
        self.path = registry / PRIVATE_NAME
        self.staging_dir = self.path / "tmp"
        self._ignore = self.path / ".gitignore"

    def make(self) -> Path:
        """Create what is missing, and return the staging directory.

        Raises
        ------
        StorageError
            The file system refuses it, or a symbolic link leads elsewhere: what comes
            with a clone may not make us write outside of the registry.
        """
        try:
            if not self._is_complete():
                _ensure(self.path)
                # Empty: a full disk or a kill came between creating and writing it.
                if not _size(self._ignore):
                    _write(self._ignore, _IGNORE)
                _ensure(self.staging_dir)
        except OSError as error:
            raise StorageError.of("write", self.path, error) from error
        return self.staging_dir

    def sweep(self, now: float) -> int:
        """Remove staging files that are older than `STALE_STAGING_S`.

        Parameters
        ----------
        now
            Unix time of the file system, not of this host: clocks differ.

        Returns
        -------
        int
            How many were removed.
        """
        removed = 0
        for path, modified in self.staged():
            if now - modified > STALE_STAGING_S:
                with suppress(OSError):
                    os.unlink(path)  # noqa: PTH108  # listed as text, thousands of them
                    removed += 1
        return removed

    def staged(self) -> list[tuple[str, float]]:
        """List the staging files and the Unix times of their last changes."""
        found: list[tuple[str, float]] = []
        if _is_link(self.path) or _is_link(self.staging_dir):
            return found
        with suppress(OSError), os.scandir(self.staging_dir) as listing:
            for entry in listing:
                with suppress(OSError):
                    modified = entry.stat(follow_symlinks=False).st_mtime
                    found.append((entry.path, modified))
        return found

    def _is_complete(self) -> bool:
        if _is_link(self.path):
            _refuse_link()
        try:
            status = os.lstat(self.staging_dir)
            ignored = os.lstat(self._ignore)
        except OSError:
            return False
        return bool(stat.S_ISDIR(status.st_mode) and ignored.st_size)


def _ensure(directory: Path) -> None:
    # Not exist_ok: that looks again, and fails when somebody removes it in between.
    with suppress(FileExistsError):
        directory.mkdir()
    if _is_link(directory):
        _refuse_link()


def _refuse_link() -> None:
    message = "it is a symbolic link, which a registry does not follow"
    raise OSError(errno.ELOOP, message)


def _is_link(path: Path) -> bool:
    return os.path.islink(path)  # noqa: PTH114  # a method call more on every save


def _size(path: Path) -> int:
    try:
        return os.lstat(path).st_size
    except FileNotFoundError:
        return 0


def _write(path: Path, data: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(path, flags, 0o666)
    try:
        os.write(fd, data)
    finally:
        os.close(fd)
