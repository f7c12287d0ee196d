"""A disk whose power can be cut as often as one likes.

The file system under test lies in an image, and that on a file system which clones
files. A clone is made at one instant, so it holds what a disk holds after a power cut:
all that was written to it by then, and nothing of what the kernel still had in memory.
A disk that loses what it has acknowledged, in a cache of its own, is not imitated.
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FICLONE = 0x40049409
_HOST_SIZE = 4 << 30
"""Address space, not memory: blocks that nobody wrote take none."""


class DiskError(Exception):
    """A disk cannot be set up here, or what is on it cannot be mounted."""


class FileSystem(NamedTuple):
    """How a file system is made and mounted."""

    make: tuple[str, ...]
    options: str
    size: int


FILE_SYSTEMS = {
    "ext4": FileSystem(("mkfs.ext4", "-q", "-F"), "loop", 256 << 20),
    # A clone has the identity of its original, which XFS remembers.
    "xfs": FileSystem(("mkfs.xfs", "-q", "-f"), "loop,nouuid", 512 << 20),
    "btrfs": FileSystem(("mkfs.btrfs", "-q"), "loop", 512 << 20),
}
_HOST = FileSystem(("mkfs.xfs", "-q", "-f", "-m", "reflink=1"), "loop", _HOST_SIZE)


class Disk(NamedTuple):
    """A disk in use."""

    path: Path
    """Where it is mounted."""
    image: Path

    def cut(self, number: int) -> Path:
        """Return an image of what the disk holds now; writers go on."""
        copy = self.image.with_name(f"cut {number}")
        with self.image.open("rb") as source, copy.open("xb") as target:
            fcntl.ioctl(target, _FICLONE, source.fileno())
        return copy


@contextmanager
def disk(directory: Path, kind: FileSystem) -> Iterator[Disk]:
    """Make a disk in memory and mount it, for as long as the context lasts.

    Raises
    ------
    DiskError
        This machine does not allow it.
    """
    memory = directory / "memory"
    memory.mkdir()
    _run("mount", "-t", "tmpfs", "-o", f"size={_HOST_SIZE}", "tmpfs", memory)
    try:
        host_image = memory / "host"
        _make(_HOST, host_image)
        with mounted(_HOST, host_image, directory / "host") as host:
            image = host / "disk"
            _make(kind, image)
            with mounted(kind, image, directory / "disk") as path:
                yield Disk(path, image)
    finally:
        _unmount(memory)


@contextmanager
def mounted(kind: FileSystem, image: Path, path: Path) -> Iterator[Path]:
    """Mount an image for as long as the context lasts; log recovery comes first.

    Raises
    ------
    DiskError
        It cannot be mounted.
    """
    path.mkdir(exist_ok=True)
    _run("mount", "-o", kind.options, image, path)
    try:
        yield path
    finally:
        _unmount(path)


def _make(kind: FileSystem, image: Path) -> None:
    with image.open("xb") as file:
        file.truncate(kind.size)
    _run(*kind.make, image)


def _unmount(path: Path) -> None:
    # No DiskError, which says that the machine is to blame.
    subprocess.run([shutil.which("umount") or "umount", path], check=True)


def _run(name: str, *arguments: str | Path) -> None:
    program = shutil.which(name)
    if program is None:
        raise DiskError(f"not installed: {name}")
    ended = subprocess.run(
        [program, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise DiskError(f"{name}: {ended.stdout.strip()}")
