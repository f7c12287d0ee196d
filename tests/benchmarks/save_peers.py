"""What a save is compared with: the plain calls it is made of, and the peer's way."""

from __future__ import annotations

import os


def raw_save(staging: str, path: str, data: bytes) -> None:
    """Save a file by the calls that no durable save can do without, and by no others.

    Write, sync, rename, and sync of the directory.
    """
    raw_publish(staging, path, data, sync=True)
    sync_directory(path.rpartition("/")[0])


def raw_publish(staging: str, path: str, data: bytes, *, sync: bool) -> None:
    """Write and rename, as a part of a durable save or as one that is not durable."""
    fd = os.open(staging, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        os.write(fd, data)
        if sync:
            os.fsync(fd)
    finally:
        os.close(fd)
    os.rename(staging, path)  # noqa: PTH104  # a Path takes longer than some of the calls


def sync_directory(directory: str) -> None:
    """Make the names in a directory survive a power cut."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def rewrite_everything(path: str, data: bytes, artifacts: int) -> None:
    """Save one artifact as the Rust library does: write all of them to one file.

    An imitation, and a kind one: nothing is synced, as the peer syncs nothing, and what
    it does besides, to read the whole file and to serialize every artifact anew, 2 to
    5 us each, is left out.
    """
    at_once = 1_000
    staging = f"{path}.tmp"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    fd = os.open(staging, flags, 0o666)
    try:
        many = data * min(artifacts, at_once)
        for left in range(artifacts, 0, -at_once):
            os.write(fd, many if left >= at_once else data * left)
    finally:
        os.close(fd)
    os.rename(staging, path)  # noqa: PTH104  # see above
