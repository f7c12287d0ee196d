"""Files that were replaced, kept beside the registry's own.

``history/<hash>/<time>.json``, where the time is that of the replacement: names sort as
the versions followed each other, and two hosts, or two branches of a repository, do not
use one name for different contents.
"""

from __future__ import annotations

import errno
import os
import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from zsm_store.errors import StorageError
from zsm_store.storage.atomic import make_directory, publish, staged, sync_directory
from zsm_store.storage.regular_file import read_regular

if TYPE_CHECKING:
    from pathlib import Path

HISTORY_NAME = "history"

_NAME = re.compile(r"\d{8}T\d{12}Z\.json", re.ASCII)
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
_FORMAT = "%Y%m%dT%H%M%S%fZ"
_NO_LINKS = frozenset(
    {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
    | {errno.EXDEV, errno.EINVAL}
)
_TICK = timedelta(microseconds=1)


class KeptVersion(NamedTuple):
    """One file that was replaced."""

    replaced_at: datetime
    """UTC, by the clock of the host that replaced it."""
    path: Path


class History:
    """The replaced files of one registry.

    Parameters
    ----------
    registry
        The registry's directory.
    """

    def __init__(self, registry: Path) -> None:
        self.path = registry / HISTORY_NAME

    def keep(self, current: Path, schema_hash: str, staging_dir: Path) -> None:
        """Keep the content that a file has now, durably; hold the lock.

        It stays where it is, too: at no moment is there none, whoever dies.

        Raises
        ------
        StorageError
            It cannot be kept, so it must not be replaced.
        """
        folder = self._folder(schema_hash)
        make_directory(folder)
        now = datetime.now(UTC)
        for last in self.versions(schema_hash)[:1]:
            # In order, even where the clock of this host is behind that of another.
            now = max(now, last.replaced_at + _TICK)
        target = folder / f"{now.strftime(_FORMAT)}.json"
        try:
            os.link(current, target, follow_symlinks=False)
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise StorageError.of("keep", target, error) from error
            _copy(current, target, staging_dir)
        sync_directory(folder)

    def prune(self, schema_hash: str, keep: int) -> None:
        """Remove all but the last `keep` versions of an artifact; hold the lock."""
        for kept in self.versions(schema_hash)[keep:]:
            with suppress(OSError):  # it is there to be removed the next time
                kept.path.unlink()

    def versions(self, schema_hash: str) -> list[KeptVersion]:
        """List the versions of one artifact, the last one first.

        Raises
        ------
        StorageError
            They cannot be listed.
        """
        folder = self._folder(schema_hash)
        try:
            names = [path.name for path in folder.iterdir()]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StorageError.of("list", folder, error) from error
        kept = []
        for name in sorted(filter(_NAME.fullmatch, names), reverse=True):
            with suppress(ValueError):  # digits, but no date
                kept.append(KeptVersion(_time(name), folder / name))
        return kept

    def schema_hashes(self) -> list[str]:
        """List the artifacts of which there are versions, sorted."""
        try:
            names = [path.name for path in self.path.iterdir()]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StorageError.of("list", self.path, error) from error
        return sorted(filter(_HASH.fullmatch, names))

    def read(self, kept: KeptVersion, limit: int) -> bytes:
        """Read one version, at most one byte more than `limit`.

        Raises
        ------
        StorageError
            It cannot be read, or is gone by now.
        """
        try:
            return read_regular(kept.path, limit)
        except OSError as error:
            raise StorageError.of("read", kept.path, error) from error

    def _folder(self, schema_hash: str) -> Path:
        folder = self.path / schema_hash
        for path in (self.path, folder):
            if path.is_symlink():
                message = "a symbolic link, which a registry does not follow"
                raise StorageError.of("use", path, OSError(errno.ELOOP, message))
        return folder


def _copy(current: Path, target: Path, staging_dir: Path) -> None:
    """Do without links, which not all network drives have."""
    try:
        data = read_regular(current, os.stat(current).st_size)  # noqa: PTH116  # as above
    except OSError as error:
        raise StorageError.of("keep", current, error) from error
    with staged((data,), target.name, staging_dir) as staging:
        try:
            publish(staging, target)
        except FileNotFoundError as error:
            raise StorageError.of("keep", target, error) from error


def _time(name: str) -> datetime:
    moment = datetime.strptime(name.removesuffix(".json"), _FORMAT)  # noqa: DTZ007  # the next line says it
    return moment.replace(tzinfo=UTC)
