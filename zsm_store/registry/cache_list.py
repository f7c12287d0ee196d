"""The caches of all registries, for people who look at them or need the room."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from zsm_store.errors import StorageError
from zsm_store.registry.index_cache import (
    MOST_OUTDATED,
    SUFFIX,
    KeptIndex,
    cache_directory,
    path_of,
)
from zsm_store.storage.listing import list_artifacts

if TYPE_CHECKING:
    from zsm_store.storage.listing import FileVersion


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
        wanted = path_of(os.path.realpath(registry))
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
        return sorted(directory.glob(f"*{SUFFIX}*"))
    except OSError as error:
        raise StorageError.of("list", directory, error) from error


def _info(path: Path) -> CacheInfo | None:
    try:
        status = path.stat()
    except OSError:  # dropped by somebody else
        return None
    kept = KeptIndex.read(path)
    if kept is None:
        note = "damaged, unfinished or of another version"
        return CacheInfo(path, "", 0, status.st_size, status.st_mtime, False, note)
    head = kept.head
    registry = str(head["registry"])
    fits, note = _fit(kept, Path(registry))
    return CacheInfo(
        path=path,
        registry=registry,
        artifacts=len(kept.hashes),
        size=status.st_size,
        saved_at=float(head["saved_at"]),
        fits=fits,
        note=note,
    )


def _fit(kept: KeptIndex, registry: Path) -> tuple[bool, str]:
    versions: dict[str, FileVersion] = {}
    with suppress(StorageError):
        versions = list_artifacts(registry, fan_out=False)
    if not versions:
        return False, "there is no registry any more"
    valid, outdated = kept.compared_with(versions)
    new = len(versions) - len(valid)
    if len(outdated) * MOST_OUTDATED > len(kept.hashes):
        return False, f"{len(outdated)} of {len(kept.hashes)} changed since"
    return True, f"{new} new or changed since" if new else ""
