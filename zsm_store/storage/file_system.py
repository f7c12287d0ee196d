"""What is known of the file system that a path lies on."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

LOCAL_GRANULARITY_S = 0.02
"""Local file systems of Linux: older kernels stamp files with a tick of up to 10 ms."""
COARSE_GRANULARITY_S = 2.1
"""Everywhere else: some network drives stamp whole seconds, FAT every other one."""

_MOUNTS = "/proc/self/mountinfo"
_LOCAL = frozenset(
    {"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "tmpfs", "xfs"}
    | {"zfs"}
)
_ESCAPE = re.compile(r"\\([0-7]{3})")


def clock_granularity_s(path: Path) -> float:
    """Seconds after which a further change surely has a later time stamp."""
    local = file_system_type(path) in _LOCAL
    return LOCAL_GRANULARITY_S if local else COARSE_GRANULARITY_S


def file_system_type(path: Path) -> str | None:
    """Type of the file system, such as ``ext4`` or ``nfs4``; None where unknown.

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
        before, _, after = line.partition(" - ")
        point = _ESCAPE.sub(lambda octal: chr(int(octal[1], 8)), before.split()[4])
        # Of several mounts on one point the last one is on top.
        if len(point) >= longest and _is_below(real, point):
            found, longest = after.split()[0], len(point)
    return found


def _is_below(path: str, point: str) -> bool:
    return path == point or path.startswith(point.rstrip("/") + "/")
