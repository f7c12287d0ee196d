"""What lies in a registry's directory, by name and identity."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from zsm_store.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FAN_DIGITS = 2

FileVersion = tuple[int, int, int, int, bool]
"""Identity of a file's content: time of modification and of change in ns, size in
bytes, inode, and whether it lies in a fan-out folder. Any publish changes it. A plain
tuple: a listing makes one for every file."""

_HASH_LENGTH = 64
_ARTIFACT = re.compile(r"[0-9a-f]{64}\.json\Z")
_ARTIFACT_LIKE = re.compile(r"[0-9a-f]{60,68}\.json\Z", re.IGNORECASE)
_FAN = re.compile(r"[0-9a-f]{2}\Z")


def file_version(status: os.stat_result, *, in_folder: bool) -> FileVersion:
    """Return the identity that a file's status tells."""
    return (
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_size,
        status.st_ino,
        in_folder,
    )


def list_artifacts(path: Path, *, fan_out: bool) -> dict[str, FileVersion]:
    """List the artifacts of both layouts by schema hash; empty where nothing exists.

    Parameters
    ----------
    path
        The registry's directory.
    fan_out
        Of two copies of one artifact the one in a folder counts, else the other one.

    Raises
    ------
    StorageError
        The directory or a part of it cannot be listed: never a partial answer.
    """
    flat: dict[str, FileVersion] = {}
    folders = [
        entry
        for entry in _add_artifacts(flat, path, "")
        if _FAN.match(entry.name) and entry.is_dir(follow_symlinks=False)
    ]
    if not folders:
        return flat
    in_folders: dict[str, FileVersion] = {}
    for folder in folders:
        _add_artifacts(in_folders, folder.path, folder.name)
    return {**flat, **in_folders} if fan_out else {**in_folders, **flat}


def oddities(path: Path) -> Iterator[tuple[str, str, str]]:
    """List what looks like an artifact and is none.

    Yields
    ------
    path, code, message
        As `verify` reports them.
    """
    seen: dict[str, str] = {}
    # Sorted, so that two reports can be compared; the flat layout comes first.
    for folder, entry in sorted(
        _all_entries(path), key=lambda found: (found[0], found[1].name)
    ):
        if not _ARTIFACT_LIKE.match(entry.name):
            continue
        if not _ARTIFACT.match(entry.name):
            message = "not named by 64 lower-case hex digits, so it is not served"
            yield entry.path, "ZSM001", message
        elif not entry.name.startswith(folder):
            message = f"lies in {folder!r}, which is not its first two digits"
            yield entry.path, "ZSM001", message
        elif entry.is_symlink():
            yield entry.path, "ZSM002", "a symbolic link, so it is not served"
        elif not entry.is_file(follow_symlinks=False):
            yield entry.path, "ZSM002", "not a regular file, so it is not served"
        elif entry.name in seen:
            message = f"the same artifact lies at {seen[entry.name]}, too"
            yield entry.path, "ZSM003", message
        else:
            seen[entry.name] = entry.path


def _add_artifacts(
    found: dict[str, FileVersion], path: str | Path, folder: str
) -> list[os.DirEntry[str]]:
    """Add the artifacts that lie in a directory, and return what else does.

    Parameters
    ----------
    found
        To add to.
    path
        The directory: the registry's, or a folder of the fan-out.
    folder
        Name of the folder; "" for the registry's directory.
    """
    is_artifact = _ARTIFACT.match
    in_folder = bool(folder)
    others = []
    try:
        # A hundred thousand times, maybe: no call that could be spared.
        with os.scandir(path) as listing:
            for entry in listing:
                name = entry.name
                if not is_artifact(name):
                    others.append(entry)
                elif entry.is_file(follow_symlinks=False) and name.startswith(folder):
                    try:
                        status = entry.stat(follow_symlinks=False)
                    except FileNotFoundError:  # deleted since it was listed
                        continue
                    found[name[:_HASH_LENGTH]] = (
                        status.st_mtime_ns,
                        status.st_ctime_ns,
                        status.st_size,
                        status.st_ino,
                        in_folder,
                    )
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StorageError.of("list", path, error) from error
    return others


def _all_entries(path: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield what lies in the directory, with "", and in fan-out folders."""
    for entry in _scan(path):
        if _FAN.match(entry.name) and entry.is_dir(follow_symlinks=False):
            for inner in _scan(entry.path):
                yield entry.name, inner
        else:
            yield "", entry


def _scan(path: str | Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as listing:
            return list(listing)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StorageError.of("list", path, error) from error
