"""Indexes of large registries, kept in the user's cache directory.

To read a hundred thousand artifacts takes seconds; to see that none of them has changed
takes a tenth of that. So the index of a registry is kept in a file, beside the version
of each artifact in it. It is disposable: whatever is in it counts only for artifacts
that still have that very version, and without it answers are the same, only later.

Never in the registry itself: that is shared, by hosts and by users, and versioned.
"""

from __future__ import annotations

import hashlib
import logging
import marshal
import os
import time
from array import array
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import orjson

from zsm_store.errors import StorageError
from zsm_store.index.image import VERSION, base_of_image, hashes_of, image_of
from zsm_store.storage.cache_file import read_cache_file, write_cache_file
from zsm_store.storage.listing import list_artifacts

if TYPE_CHECKING:
    from collections.abc import Container, Hashable, Iterator, Mapping

    from zsm_store.index.interface import FingerprintIndex
    from zsm_store.index.rare_first import RareFirstIndex
    from zsm_store.storage.cache_file import Columns
    from zsm_store.storage.listing import FileVersion

logger = logging.getLogger(__name__)

DIRECTORY_VARIABLE = "ZSM_CACHE_DIR"

_FORMAT = "zsm-index-cache/1"
_SUFFIX = ".zsmindex"
_NAME_DIGITS = 32

_FEWEST_LOADED = 64
_SHARE_LOADED = 16
"""A cache is written when so many artifacts had to be loaded, and one in so many: then
writing it takes about as long as that did."""

_MOST_OUTDATED = 4
"""With more than one outdated artifact in so many, a cache is of no use."""

_VERSION_COLUMNS = {
    "mtime_ns": "q",
    "ctime_ns": "q",
    "size": "q",
    "inode": "Q",
    "in_folder": "B",
}
"""Parts of a `FileVersion`."""
_NO_VERSION = 0, 0, 0, 0, False
"""That of no file: no inode has the number 0."""
_TAGS = "tags"


class CacheInfo(NamedTuple):
    """One cache, for people."""

    path: Path
    registry: str
    """Path of the registry's directory."""
    artifacts: int
    size: int
    """In bytes."""
    saved_at: float
    """Unix time in seconds."""
    fits: bool
    """Whether it would be used for the registry that is there now."""
    note: str
    """Why not, or how many of its artifacts are outdated."""


class IndexCache:
    """The cache of one registry.

    Parameters
    ----------
    registry
        The registry's directory.
    """

    def __init__(self, registry: Path) -> None:
        self._registry = registry
        self._loaded = 0

    def restore(
        self, versions: Mapping[str, Hashable]
    ) -> tuple[FingerprintIndex, dict[str, Hashable], dict[str, str]] | None:
        """Return what is in the cache, as far as it is still true.

        Parameters
        ----------
        versions
            Those of the artifacts that are there now.

        Returns
        -------
        index, versions, tags
            Of artifacts that have not changed since. None if they are too few.
        """
        registry = os.path.realpath(self._registry)
        kept = _Kept.read(_path_of(registry), registry)
        if kept is None:
            return None
        valid, outdated = kept.compared_with(versions)
        if len(outdated) * _MOST_OUTDATED > len(valid) + len(outdated):
            return None
        # Here: who has no cache needs no index yet.
        from zsm_store.index.rare_first import RareFirstIndex  # noqa: PLC0415

        index = RareFirstIndex.of_base(*kept.image)
        index.update((), outdated)
        tags = {key: tag for key, tag in kept.tags() if key in valid}
        return index, valid, tags

    def offer(
        self,
        index: FingerprintIndex,
        listing: Mapping[str, Hashable],
        unsettled: Container[str],
        tags: Mapping[str, str],
        loaded: int,
    ) -> None:
        """Write the cache, if that is worth it. No trouble with it troubles the caller.

        Parameters
        ----------
        index, listing, tags
            What is known of the registry.
        unsettled
            Artifacts whose version may not show a further change: nobody else may rely
            on it.
        loaded
            How many artifacts had to be loaded since the last call.
        """
        self._loaded += loaded
        if self._loaded < max(_FEWEST_LOADED, len(listing) // _SHARE_LOADED):
            return
        self._loaded = 0
        try:
            self._write(cast("RareFirstIndex", index), listing, unsettled, tags)
        except (StorageError, OSError) as error:
            logger.info("no index cache: %s", error)

    def _write(
        self,
        index: RareFirstIndex,
        listing: Mapping[str, Hashable],
        unsettled: Container[str],
        tags: Mapping[str, str],
    ) -> None:
        live = index.live_base()
        if live is None:  # so few that they are read as fast as a cache
            return
        if len(live[2]) * _SHARE_LOADED < len(index) * (_SHARE_LOADED - 1):
            # Much is beside the arrays, and would have to be loaded again.
            index.compact()
            live = index.live_base()
            if live is None:
                return
        base, vocabulary, rows = live
        columns, numbers = image_of(base, vocabulary)
        alive = set(rows)
        hashes = hashes_of(base)
        versions = [_NO_VERSION] * len(hashes)
        for place, row in enumerate(base.by_digest.tolist()):
            key = hashes[place]
            if row in alive and key not in unsettled:
                versions[place] = cast("FileVersion", listing.get(key, _NO_VERSION))
        parts = zip(*versions, strict=True)
        for (name, form), part in zip(_VERSION_COLUMNS.items(), parts, strict=True):
            columns[name] = memoryview(array(form, part))
        places = {key: place for place, key in enumerate(hashes) if key in tags}
        columns[_TAGS] = memoryview(
            orjson.dumps([[place, tags[key]] for key, place in places.items()])
        )
        is_whole = len(hashes) == len(listing) and _NO_VERSION not in versions
        registry = os.path.realpath(self._registry)
        head = {
            "format": _FORMAT,
            "image": VERSION,
            "registry": registry,
            "saved_at": time.time(),
            "numbers": numbers,
            "listing": _digest_of(listing) if is_whole else None,
        }
        path = _path_of(registry)
        # Of nobody else's business: it holds names of columns.
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_cache_file(path, head, columns)


class _Kept:
    """What is in a cache file, right or wrong."""

    def __init__(self, head: dict[str, Any], columns: Columns) -> None:
        self.head = head
        self._columns = columns
        other = {_TAGS, *_VERSION_COLUMNS}
        self.image = base_of_image(
            {name: column for name, column in columns.items() if name not in other},
            head["numbers"],
        )

    @cached_property
    def hashes(self) -> list[str]:
        """Schema hashes, rising."""
        return hashes_of(self.image[0])

    @classmethod
    def read(cls, path: Path, registry: str | None = None) -> _Kept | None:
        """Read a cache file; None where it is of no use, for `registry` if given."""
        found = read_cache_file(path)
        if found is None:
            return None
        head, columns = found
        if (head.get("format"), head.get("image")) != (_FORMAT, VERSION):
            return None
        if registry is not None and head.get("registry") != registry:
            return None
        try:
            return cls(head, columns)
        except (ValueError, TypeError, KeyError) as error:
            logger.info("ignored the index cache '%s': %s", path, error)
            return None

    def compared_with(
        self, versions: Mapping[str, Hashable]
    ) -> tuple[dict[str, Hashable], list[str]]:
        """Return the versions that still hold, and the hashes of the others."""
        # Before anything is made of the columns: in the common case nothing has to be.
        if self.head["listing"] == _digest_of(versions):
            return dict(versions), []
        valid: dict[str, Hashable] = {}
        outdated = []
        parts = [self._columns[name].tolist() for name in _VERSION_COLUMNS]
        for key, *version in zip(self.hashes, *parts, strict=True):
            found = versions.get(key)
            if found == tuple(version):
                valid[key] = found
            else:
                outdated.append(key)
        return valid, outdated

    def tags(self) -> Iterator[tuple[str, str]]:
        """Yield hash and tag of those that have one."""
        tagged = orjson.loads(self._columns[_TAGS])
        for place, tag in tagged:
            yield self.hashes[place], tag


def _digest_of(versions: Mapping[str, Hashable]) -> str:
    """Return what is the same for the same files, listed in the same order.

    A directory that has not changed is listed in the same order every time, mostly.
    """
    # Version 2 of marshal writes what a value is, and not how often it is held.
    data = marshal.dumps(list(versions.items()), 2)
    return hashlib.sha256(data).hexdigest()


def cache_directory() -> Path:
    """Return where caches are kept: ``ZSM_CACHE_DIR``, else the user's own place."""
    chosen = os.environ.get(DIRECTORY_VARIABLE)
    if chosen:
        return Path(chosen)
    users = os.environ.get("XDG_CACHE_HOME", "")
    # A relative one is invalid and must be ignored, says the XDG specification.
    parent = Path(users) if os.path.isabs(users) else Path.home() / ".cache"  # noqa: PTH117  # it may be empty
    return parent / "zsm-store"


def list_caches() -> list[CacheInfo]:
    """Return what is in the cache directory, by path of the registry.

    Raises
    ------
    StorageError
        It cannot be listed.
    """
    found = [info for path in _cache_files() if (info := _info(path)) is not None]
    return sorted(found, key=lambda info: (info.registry, info.path))


def drop_caches(registry: Path | None) -> list[Path]:
    """Remove the cache of a registry, or all caches, and return what was removed.

    Raises
    ------
    StorageError
        It cannot be removed.
    """
    paths = _cache_files()
    if registry is not None:
        wanted = _path_of(os.path.realpath(registry))
        paths = [path for path in paths if path.name.startswith(wanted.name)]
    dropped = []
    for path in paths:
        try:
            path.unlink()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise StorageError.of("delete", path, error) from error
        dropped.append(path)
    return dropped


def _cache_files() -> list[Path]:
    """Return all cache files, and what a killed writer has left of one."""
    directory = cache_directory()
    try:
        return sorted(directory.glob(f"*{_SUFFIX}*"))
    except OSError as error:
        raise StorageError.of("list", directory, error) from error


def _path_of(registry: str) -> Path:
    digest = hashlib.sha256(os.fsencode(registry)).hexdigest()
    return cache_directory() / f"{digest[:_NAME_DIGITS]}{_SUFFIX}"


def _info(path: Path) -> CacheInfo | None:
    try:
        size = path.stat().st_size
    except OSError:  # dropped by somebody else
        return None
    kept = _Kept.read(path)
    if kept is None:
        note = "damaged, unfinished or of another version"
        return CacheInfo(path, "", 0, size, path.stat().st_mtime, False, note)
    head = kept.head
    registry = str(head["registry"])
    fits, note = _fit(kept, Path(registry))
    return CacheInfo(
        path=path,
        registry=registry,
        artifacts=len(kept.hashes),
        size=size,
        saved_at=float(head["saved_at"]),
        fits=fits,
        note=note,
    )


def _fit(kept: _Kept, registry: Path) -> tuple[bool, str]:
    versions: dict[str, FileVersion] = {}
    with suppress(StorageError):
        versions = list_artifacts(registry, fan_out=False)
    if not versions:
        return False, "there is no registry any more"
    valid, outdated = kept.compared_with(versions)
    new = len(versions) - len(valid)
    if len(outdated) * _MOST_OUTDATED > len(kept.hashes):
        return False, f"{len(outdated)} of {len(kept.hashes)} changed since"
    return True, f"{new} new or changed since" if new else ""
