"""Where files go that cannot be used: moved, never deleted.

``quarantine/<time>-<digits>/``: a folder of its own for each file, which keeps its name
there, beside a text for people that says what was wrong with it. To create a folder
that must not exist is exclusive on every file system, so nothing is ever overwritten.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from zsm_store.errors import StorageError
from zsm_store.storage.atomic import make_directory, publish, staged, sync_directory

if TYPE_CHECKING:
    from pathlib import Path

QUARANTINE_NAME = "quarantine"
REASON_NAME = "reason.txt"

_FORMAT = "%Y%m%dT%H%M%S%fZ"
_NAME_TRIES = 16


class Quarantine:
    """The files of one registry that were moved out of the way.

    Parameters
    ----------
    registry
        The registry's directory.
    """

    def __init__(self, registry: Path) -> None:
        self._registry = registry
        self.path = registry / QUARANTINE_NAME

    def move_in(self, path: Path, reason: str) -> Path:
        """Move a file here, durably; hold the lock.

        Parameters
        ----------
        path
            A file in the registry's directory or in a folder of the fan-out; a symbolic
            link is moved as the link that it is.
        reason
            What to write beside it.

        Returns
        -------
        Path
            Where it is now.

        Raises
        ------
        StorageError
            The file system refuses it, or a symbolic link leads out of the registry: it
            is where it was. Or it was moved, and may be back after a power cut.
        """
        self._refuse_links(path)
        make_directory(self.path)
        folder = self._new_folder()
        target = folder / path.name
        try:
            # First: a file that nobody knows the story of is worth little.
            with staged((reason.encode(errors="replace"),), "text", folder) as text:
                publish(text, folder / REASON_NAME)
            path.rename(target)
        except OSError as error:
            with suppress(OSError):
                (folder / REASON_NAME).unlink(missing_ok=True)
                folder.rmdir()
            if isinstance(error, StorageError):
                raise
            raise StorageError.of("move", path, error) from error
        # Where it is before where it was: a power cut must not leave it in neither.
        for directory in (folder, self.path, path.parent):
            sync_directory(directory)
        if path.parent != self._registry:
            # A copy in the other layout may count from now on; lookups have to see it.
            with suppress(OSError):
                os.utime(self._registry)
        return target

    def folders(self) -> list[Path]:
        """List what was moved here, a folder for each file, oldest first.

        Raises
        ------
        StorageError
            It cannot be listed.
        """
        try:
            return sorted(self.path.iterdir())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StorageError.of("list", self.path, error) from error

    def _refuse_links(self, path: Path) -> None:
        for directory in (self.path, path.parent):
            if directory != self._registry and directory.is_symlink():
                message = "a symbolic link, which a registry does not follow"
                raise StorageError.of("use", directory, OSError(errno.ELOOP, message))

    def _new_folder(self) -> Path:
        for _ in range(_NAME_TRIES):
            stamp = datetime.now(UTC).strftime(_FORMAT)
            folder = self.path / f"{stamp}-{os.urandom(2).hex()}"
            try:
                folder.mkdir()
            except FileExistsError:
                continue
            except OSError as error:
                raise StorageError.of("create directory", folder, error) from error
            return folder
        raise StorageError.of("create directory", folder, OSError(errno.EEXIST, ""))
