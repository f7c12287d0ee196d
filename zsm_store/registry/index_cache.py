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
from typing import TYPE_CHECKING, Any, cast

import orjson

from zsm_store.errors import StorageError
from zsm_store.index.image import VERSION, base_of_image, hashes_of, image_of
from zsm_store.storage.cache_file import read_cache_file, write_cache_file
from zsm_store.storage.private import STALE_STAGING_S

if TYPE_CHECKING:
    from collections.abc import Container, Hashable, Iterator, Mapping

    from zsm_store.index.interface import FingerprintIndex
    from zsm_store.index.rare_first import RareFirstIndex
    from zsm_store.storage.cache_file import Columns
    from zsm_store.storage.listing import FileVersion

logger = logging.getLogger(__name__)

DIRECTORY_VARIABLE = "ZSM_CACHE_DIR"

_FORMAT = "zsm-index-cache/1"
SUFFIX = ".zsmindex"
_NAME_DIGITS = 32

_FEWEST_LOADED = 64
_SHARE_LOADED = 16
"""A cache is written when so many artifacts had to be loaded, and one in so many: then
writing it takes about as long as that did."""

MOST_OUTDATED = 4
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
        kept = KeptIndex.read(path_of(registry), registry)
        if kept is None:
            return None
        valid, outdated = kept.compared_with(versions)
        if len(outdated) * MOST_OUTDATED > len(valid) + len(outdated):
            return None
        # Here: who has no cache needs no index yet.
        from zsm_store.index.rare_first import RareFirstIndex  # noqa: PLC0415

        index = RareFirstIndex.of_base(*kept.image)
        index.update((), outdated)
        tags = {key: tag for key, tag in kept.tags() if key in valid}
        return index, valid, tags

    def note_loaded(self, count: int) -> None:
        """Note that so many artifacts had to be loaded."""
        self._loaded += count

    def offer(
        self,
        index: FingerprintIndex,
        listing: Mapping[str, Hashable],
        unsettled: Container[str],
        tags: Mapping[str, str],
    ) -> None:
        """Write the cache, if that is worth it. No trouble with it troubles the caller.

        Parameters
        ----------
        index, listing, tags
            What is known of the registry.
        unsettled
            Artifacts whose version may not show a further change: nobody else may rely
            on it.
        """
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
        path = path_of(registry)
        # Of nobody else's business: it holds names of columns.
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_cache_file(path, head, columns)
        _sweep(path)


class KeptIndex:
    """What is in a cache file, right or wrong. Use `read`."""

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
    def read(cls, path: Path, registry: str | None = None) -> KeptIndex | None:
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


def path_of(registry: str) -> Path:
    """Return where the cache of a registry is, or would be, by its real path."""
    digest = hashlib.sha256(os.fsencode(registry)).hexdigest()
    return cache_directory() / f"{digest[:_NAME_DIGITS]}{SUFFIX}"


def _sweep(path: Path) -> None:
    """Remove what killed writers of this cache have left beside it."""
    for leftover in path.parent.glob(f"{path.name}.*"):
        with suppress(OSError):
            if time.time() - leftover.stat().st_mtime > STALE_STAGING_S:
                leftover.unlink()
