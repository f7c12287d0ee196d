"""Artifact files of one directory, read with care: anybody may be writing them."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from zsm_store.errors import StorageError
from zsm_store.storage.file_system import is_local
from zsm_store.storage.listing import FAN_DIGITS, file_version, list_artifacts
from zsm_store.storage.patience import LOCAL_S, PASSING, SHARED_S, Patience
from zsm_store.storage.regular_file import open_regular, read_open, read_regular

if TYPE_CHECKING:
    from zsm_store.storage.listing import FileVersion

_SMALL_FILE_BYTES = 1 << 20


class ArtifactFiles:
    """What is read of a registry's directory, in the flat or the fan-out layout.

    Both layouts are read at once; where an artifact lies in both, the one given counts.

    Parameters
    ----------
    path
        The registry's directory; need not exist.
    fan_out
        Look at ``ab/<hash>.json`` first, not at ``<hash>.json``.
    """

    def __init__(self, path: Path, *, fan_out: bool = False) -> None:
        self.path = path
        self.fan_out = fan_out
        self._prefix = f"{path}/"

    @cached_property
    def is_local(self) -> bool:
        """Whether only this host can change it. When first asked: that takes a look."""
        return is_local(self.path)

    @cached_property
    def _patience_s(self) -> float:
        return LOCAL_S if self.is_local else SHARED_S

    def entries(self) -> dict[str, FileVersion]:
        """List the artifacts by schema hash. See `list_artifacts`."""
        return list_artifacts(self.path, fan_out=self.fan_out)

    def read(
        self, schema_hash: str, *, limit: int, listed: bool = False
    ) -> bytes | None:
        """Read one artifact file; None where there is none.

        Parameters
        ----------
        schema_hash
            64 hex digits, already checked.
        limit
            Read at most one byte more than this.
        listed
            Somebody saw the file just now, so look again before believing that it is
            gone: network drives and `git checkout` hide files for milliseconds.

        Raises
        ------
        StorageError
            It cannot be read, is a symbolic link or no regular file.
        """
        found = self.read_changed(schema_hash, None, limit=limit, listed=listed)
        return None if found is None else found[1]

    def read_changed(
        self,
        schema_hash: str,
        known: FileVersion | None,
        *,
        limit: int,
        listed: bool = False,
        hurried: bool = False,
    ) -> tuple[FileVersion, bytes | None] | None:
        """Read one artifact file unless it is what it was; None where there is none.

        Parameters
        ----------
        known
            The version that the caller has the content of.
        schema_hash, limit, listed
            As in `read`, which also says what is raised.
        hurried
            Of many, so that the caller rather lists anew than waits for one.

        Returns
        -------
        version, content
            The content is None if the version is `known`.
        """
        patience: Patience | None = None
        while True:
            try:
                found = self._read_either(schema_hash, known, limit)
            except StorageError as error:
                if error.errno not in PASSING:
                    raise
                refused: StorageError | None = error
            else:
                if found is not None or not (listed or self._is_hidden(schema_hash)):
                    return found
                refused = None
            patience = patience or Patience(LOCAL_S if hurried else self._patience_s)
            if not patience.wait():
                if refused is not None:
                    raise refused
                return None

    def refresh(self, schema_hash: str) -> None:
        """Make a network drive's client look at the names of an artifact itself.

        It remembers for up to half a minute that a name did not exist (NFS), and for a
        second what a name meant that another host has replaced (GlusterFS). Only a
        listing tells it: to open the directory does not.
        """
        if not self.is_local:
            for path in self._paths(schema_hash):
                with suppress(OSError):
                    os.listdir(path.parent)  # noqa: PTH208  # nobody looks at it

    def _read_either(
        self, schema_hash: str, known: FileVersion | None, limit: int
    ) -> tuple[FileVersion, bytes | None] | None:
        """Read in the one layout or the other; None where it is in neither."""
        for in_folder in (self.fan_out, not self.fan_out):
            path = self._path(schema_hash, in_folder=in_folder)
            try:
                if in_folder:
                    self._refuse_linked_folder(path)
                return _read_changed(path, known, limit, in_folder=in_folder)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise StorageError.of("read", path, error) from error
        return None

    def _is_hidden(self, schema_hash: str) -> bool:
        """Whether a file that cannot be opened is there all the same.

        That is so on network drives, while somebody replaces it.
        """
        if self.is_local:
            return False
        name = f"{schema_hash}.json"
        for folder in (self.path, self.path / name[:FAN_DIGITS]):
            with suppress(OSError):
                if name in os.listdir(folder):  # noqa: PTH208  # names of thousands
                    return True
        return False

    def version(self, schema_hash: str) -> FileVersion | None:
        """Return the version of what was just published, if it shows; hold the lock."""
        path = self._path(schema_hash, in_folder=self.fan_out)
        try:
            return file_version(os.lstat(path), in_folder=self.fan_out)
        except OSError:  # a network drive may need a moment
            return None

    def place(self, schema_hash: str, version: FileVersion) -> Path:
        """Return the path of a file that had this version."""
        *_, in_folder = version
        return Path(self._path(schema_hash, in_folder=in_folder))

    def locate(self, schema_hash: str) -> Path:
        """Return the path that `read` reads, or would read."""
        preferred, other = self._paths(schema_hash)
        # Not Path.exists: what cannot be looked at is no reason to fail here.
        is_there = os.path.exists
        return other if is_there(other) and not is_there(preferred) else preferred

    def read_file(self, name: str) -> bytes | None:
        """Read a small file of the registry that is no artifact; None without one.

        Raises
        ------
        StorageError
            It cannot be read.
        """
        path = self.path / name
        try:
            return read_regular(path, _SMALL_FILE_BYTES)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError.of("read", path, error) from error

    def _refuse_linked_folder(self, path: str) -> None:
        if self._is_linked(path):
            message = "its folder is a symbolic link, which a registry does not follow"
            raise OSError(errno.ELOOP, message)

    def _is_linked(self, path: str) -> bool:
        """Whether a fan-out folder leads out of the registry; listings skip it."""
        folder, _, _ = path.removeprefix(self._prefix).rpartition("/")
        return folder != "" and os.path.islink(self._prefix + folder)  # noqa: PTH114  # a Path costs more than the read

    def _path(self, schema_hash: str, *, in_folder: bool) -> str:
        folder = f"{schema_hash[:FAN_DIGITS]}/" if in_folder else ""
        return f"{self._prefix}{folder}{schema_hash}.json"

    def _paths(self, schema_hash: str) -> tuple[Path, Path]:
        """Both places of an artifact, the one that writing uses first."""
        flat, fan = (
            Path(self._path(schema_hash, in_folder=in_folder))
            for in_folder in (False, True)
        )
        return (fan, flat) if self.fan_out else (flat, fan)


def _read_changed(
    path: str, known: FileVersion | None, limit: int, *, in_folder: bool
) -> tuple[FileVersion, bytes | None]:
    fd, status = open_regular(path)
    try:
        # Before the content: if that changes meanwhile, the next look sees another one.
        version = file_version(status, in_folder=in_folder)
        if version == known:
            return version, None
        return version, read_open(fd, status.st_size, limit)
    finally:
        os.close(fd)
