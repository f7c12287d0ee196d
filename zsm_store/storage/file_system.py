"""What is known of the file system that a path lies on."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

LOCAL_GRANULARITY_S = 0.02
"""Local file systems of Linux: older kernels stamp files with a tick of up to 10 ms."""
COARSE_GRANULARITY_S = 2.1
"""Everywhere else: some network drives stamp whole seconds, FAT every other one."""
NO_GRANULARITY_S = 0.0
"""Linux 6.13 and newer: a file whose stamps somebody has looked at gets different ones
at its next change, however soon that is."""

_MOUNTS = "/proc/self/mountinfo"
_LOCAL = frozenset(
    {"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "tmpfs", "xfs"}
    | {"zfs"}
)
_SHARED = frozenset(
    {"9p", "afs", "beegfs", "ceph", "gpfs", "lustre", "orangefs", "pvfs2", "vboxsf"}
    | {"cifs", "ncpfs", "nfs", "nfs4", "smb3", "smbfs", "virtiofs"}
    | {"fuse.ceph-fuse", "fuse.glusterfs", "fuse.juicefs", "fuse.mfs", "fuse.moosefs"}
    | {"fuse.rclone", "fuse.s3fs", "fuse.sshfs", "fuse.vmhgfs-fuse"}
)
_MULTIGRAIN = frozenset({"btrfs", "ext4", "tmpfs", "xfs"})
_MULTIGRAIN_SINCE = (6, 13)
_ESCAPE = re.compile(r"\\([0-7]{3})")


def clock_granularity_s(path: Path) -> float:
    """Seconds after which a further change surely has a later time stamp.

    Of a state that was looked at: the looking may be what makes the difference.
    """
    found = file_system_type(path)
    if found in _MULTIGRAIN and _kernel() >= _MULTIGRAIN_SINCE:
        return NO_GRANULARITY_S
    return LOCAL_GRANULARITY_S if found in _LOCAL else COARSE_GRANULARITY_S


def is_local(path: Path) -> bool:
    """Whether only this host can change what lies there, so that its kernel knows."""
    return file_system_type(path) in _LOCAL


def is_shared(path: Path) -> bool:
    """Whether other hosts are known to change what lies there.

    Of a type that nobody has heard of, neither this nor `is_local` is true.
    """
    return file_system_type(path) in _SHARED


def file_system_type(path: Path) -> str | None:
    """Type of the file system, such as ``ext4`` or ``nfs4``; None where unknown."""
    mount = mount_of(path)
    return None if mount is None else mount.type


class Mount(NamedTuple):
    """One line of what is mounted where."""

    type: str
    """Such as ``ext4``, ``nfs4`` or ``fuse.sshfs``."""
    point: str
    source: str
    """A device, or a server and its export."""
    options: str
    """Of the mount and of the file system, separated by commas."""


def mount_of(path: Path) -> Mount | None:
    """Return what is mounted where a path lies; None where that is unknown.

    The path need not exist: then that of the nearest parent counts.
    """
    try:
        with open(_MOUNTS, encoding="utf-8", errors="surrogateescape") as mounts:  # noqa: PTH123  # no file of ours
            lines = mounts.readlines()
    except OSError:  # not Linux
        return None
    real = os.path.realpath(path)
    found, longest = None, -1
    for line in lines:
        before, _, _ = line.partition(" - ")
        point = _unescaped(before.split()[4])
        # Of several mounts on one point the last one is on top.
        if len(point) >= longest and _is_below(real, point):
            found, longest = line, len(point)
    return None if found is None else _mount(found)


def _mount(line: str) -> Mount:
    before, _, after = line.partition(" - ")
    fields, more = before.split(), after.split()
    options = ",".join(dict.fromkeys(",".join([fields[5], *more[2:3]]).split(",")))
    kind, source = more[0], _unescaped(more[1])
    subtype, mark, rest = source.partition("#")
    if kind == "fuse" and mark and subtype.isalnum():
        # How older programs of FUSE say what they are, as in "mfs#server:port".
        kind, source = f"fuse.{subtype}", rest
    return Mount(kind, _unescaped(fields[4]), source, options)


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda octal: chr(int(octal[1], 8)), text)


def _kernel() -> tuple[int, ...]:
    """Version of the Linux that runs, as (6, 13)."""
    numbers = re.match(r"(\d+)\.(\d+)", os.uname().release)
    return tuple(map(int, numbers.groups())) if numbers else (0, 0)


def _is_below(path: str, point: str) -> bool:
    return path == point or path.startswith(point.rstrip("/") + "/")
