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
from zsm_store.storage.patience import PASSING, SHARED_S, Patience
from zsm_store.storage.regular_file import open_regular, read_regular

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
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
_PIECE_BYTES = 1 << 20


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
        earlier = self.versions(schema_hash)
        if not earlier:
            # Whoever made the folders may have died before they were synced.
            sync_directory(self.path)
            sync_directory(self.path.parent)
        target = folder / _next_name(earlier)
        if earlier and _is_same(earlier[0].path, current):
            # By a save that came to nothing: it was not replaced then, but now. Twice,
            # it would push an older one out.
            _rename(earlier[0].path, target)
        elif not _place(current, target, staging_dir):
            return
        _sync(target)
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
        kept = []
        for name in sorted(_names(folder, _NAME), reverse=True):
            with suppress(ValueError):  # digits, but no date
                kept.append(KeptVersion(_time(name), folder / name))
        return kept

    def schema_hashes(self) -> list[str]:
        """List the artifacts of which there are versions, sorted.

        Raises
        ------
        StorageError
            They cannot be listed.
        """
        _refuse_link(self.path)
        return sorted(_names(self.path, _HASH))

    def read(self, kept: KeptVersion, limit: int) -> bytes:
        """Read one version, at most one byte more than `limit`.

        Raises
        ------
        StorageError
            It cannot be read, or is gone by now.
        """
        patience = Patience(SHARED_S)
        while True:
            try:
                return read_regular(kept.path, limit)
            except OSError as error:
                if error.errno not in PASSING or not patience.wait():
                    raise StorageError.of("read", kept.path, error) from error

    def _folder(self, schema_hash: str) -> Path:
        folder = self.path / schema_hash
        for path in (self.path, folder):
            _refuse_link(path)
        return folder


def _refuse_link(path: Path) -> None:
    try:
        if not path.is_symlink():
            return
    except OSError as error:
        raise StorageError.of("use", path, error) from error
    message = "a symbolic link, which a registry does not follow"
    raise StorageError.of("use", path, OSError(errno.ELOOP, message))


def _names(folder: Path, pattern: re.Pattern[str]) -> list[str]:
    try:
        names = os.listdir(folder)  # noqa: PTH208  # names, not paths
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StorageError.of("list", folder, error) from error
    return [name for name in names if pattern.fullmatch(name)]


def _next_name(earlier: Sequence[KeptVersion]) -> str:
    now = datetime.now(UTC)
    for last in earlier[:1]:
        # In order, even where the clock of this host is behind that of another.
        with suppress(OverflowError):  # the end of time is no reason not to save
            now = max(now, last.replaced_at + _TICK)
    return f"{now.strftime(_FORMAT)}.json"


def _rename(kept: Path, target: Path) -> None:
    try:
        kept.rename(target)
    except OSError as error:
        raise StorageError.of("keep", target, error) from error


def _place(current: Path, target: Path, staging_dir: Path) -> bool:
    """Give a file a second name; False if it is gone, so that nothing is replaced."""
    patience = Patience(SHARED_S)
    while True:
        try:
            _link(current, target, staging_dir)
        except StorageError:
            raise
        except OSError as error:
            # Network drives hide files for moments. To take that for the truth would
            # lose what is replaced next.
            is_missing = error.errno == errno.ENOENT
            if (is_missing or error.errno in PASSING) and patience.wait():
                make_directory(target.parent)
                continue
            if is_missing and not os.path.lexists(current):
                return False
            raise StorageError.of("keep", target, error) from error
        return True


def _link(current: Path, target: Path, staging_dir: Path) -> None:
    try:
        os.link(current, target, follow_symlinks=False)
    except FileExistsError:
        # A drive whose server did it, lost the answer and was asked again.
        if not _is_same(current, target):
            raise
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        _copy(current, target, staging_dir)


def _copy(current: Path, target: Path, staging_dir: Path) -> None:
    """Do without links, which not all network drives have."""
    fd, _ = open_regular(current)
    try:
        with staged(_pieces(fd), target.name, staging_dir) as staging:
            publish(staging, target)
    finally:
        os.close(fd)


def _pieces(fd: int) -> Iterator[bytes]:
    while piece := os.read(fd, _PIECE_BYTES):
        yield piece


def _sync(path: Path) -> None:
    """Make a content survive a power cut that somebody may have written unsynced."""
    try:
        fd, _ = open_regular(path)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as error:
        raise StorageError.of("keep", path, error) from error


def _is_same(one: Path, other: Path) -> bool:
    try:
        size = os.lstat(one).st_size
        # By content: not all drives number files in a way that could be relied on.
        return size == os.lstat(other).st_size and (
            read_regular(one, size) == read_regular(other, size)
        )
    except OSError:
        return False


def _time(name: str) -> datetime:
    return datetime.fromisoformat(f"{name[:15]}.{name[15:21]}Z")
