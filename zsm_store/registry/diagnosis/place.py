"""Where the registry lies, and who may do what there."""

from __future__ import annotations

import os
import re
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from zsm_store.registry.diagnosis.finding import Finding, Status
from zsm_store.storage.known_limits import known_limits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zsm_store.registry.diagnosis.subject import Subject

_FILES_MOST = 2000
"""How many are looked at: enough to see a habit."""
_NAMED_MOST = 3


def count_artifacts(subject: Subject) -> Finding:
    """List the artifacts."""
    started = time.perf_counter()
    count = len(subject.directory.entries())
    took_ms = (time.perf_counter() - started) * 1e3
    message = f"{count:,}, listed in {took_ms:.1f} ms"
    return Finding(check="artifacts", status=Status.OK, message=message)


def check_file_system(subject: Subject) -> Finding:
    """Name the file system, and what it is known not to do."""
    mount = subject.mount
    if mount is None:
        return Finding(
            check="file system",
            status=Status.WARN,
            message="unknown on this operating system: taken for a shared drive",
        )
    message = f"{mount.type} on {mount.source} ({mount.options})"
    advice = []
    for limit in known_limits(subject.path):
        advice.append(limit.text)
        if limit.advice:
            advice.append(f"  {limit.advice}")
    if not subject.is_local and not subject.is_shared:
        advice.append("unknown to this package, which takes it for a shared drive")
    status = Status.WARN if advice else Status.OK
    return Finding(
        check="file system", status=status, message=message, advice=tuple(advice)
    )


def check_access(subject: Subject) -> Finding:
    """Say what this user may do, and what the group may not that should."""
    path = subject.path
    told = _described(path)
    if not os.access(path, os.R_OK | os.X_OK):
        return Finding(
            check="permissions",
            status=Status.FAIL,
            message=f"not readable: {told}",
            advice=("give this user permission to read and enter the directory",),
        )
    may_write = os.access(path, os.W_OK | os.X_OK)
    can = "readable and writable" if may_write else "readable, not writable"
    status = path.stat()
    is_shared = bool(status.st_mode & stat.S_IWGRP)
    advice = list(_group_problems(path, status)) if is_shared else []
    return Finding(
        check="permissions",
        status=Status.WARN if advice else Status.OK,
        message=f"{can}: {told}" + (", shared by the group" if is_shared else ""),
        advice=tuple(advice),
    )


def _described(path: Path) -> str:
    status = path.stat()
    owner, group = str(status.st_uid), str(status.st_gid)
    with suppress(KeyError, NotImplementedError):  # no such name, no such system
        owner = path.owner()
    with suppress(KeyError, NotImplementedError):  # no such name, no such system
        group = path.group()
    return f"{stat.filemode(status.st_mode)} {owner}:{group}"


def _group_problems(path: Path, registry: os.stat_result) -> Iterator[str]:
    """Find what keeps others of the group from reading or saving."""
    has_acl = _has_default_acl(path)
    if not has_acl and not registry.st_mode & stat.S_ISGID:
        yield f"new files get the group of their writer: chmod g+s '{path}'"
    umask = _umask()
    if not has_acl and umask is not None and umask & stat.S_IWGRP:
        yield (
            f"the umask {umask:04o} of this process keeps the group from writing into "
            "new folders: use 'umask 002' or a default ACL"
        )
    closed, foreign, unreadable = [], [], []
    for entry in _inside(path):
        status = entry.stat(follow_symlinks=False)
        is_folder = stat.S_ISDIR(status.st_mode)
        name = os.path.relpath(entry.path, path)
        if is_folder and not status.st_mode & stat.S_IWGRP:
            closed.append(name)
        elif is_folder and status.st_gid != registry.st_gid:
            foreign.append(name)
        elif stat.S_ISREG(status.st_mode) and not status.st_mode & stat.S_IRGRP:
            unreadable.append(name)
    if closed:
        yield f"the group may not write into {_some(closed)}: chmod g+w"
    if foreign:
        yield f"of another group: {_some(foreign)}: chgrp"
    if unreadable:
        yield f"the group may not read {_some(unreadable)}: chmod g+r"


def _inside(path: Path) -> Iterator[os.DirEntry[str]]:
    """Yield what the registry holds: two levels of folders, and not too many files."""
    left = _FILES_MOST
    waiting = [(str(path), 2)]
    while waiting and left:
        folder, depth = waiting.pop()
        with suppress(OSError), os.scandir(folder) as listing:
            for entry in listing:
                if not left or entry.name == ".git":
                    continue
                left -= 1
                if depth and entry.is_dir(follow_symlinks=False):
                    waiting.append((entry.path, depth - 1))
                yield entry


def _some(names: list[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in sorted(names)[:_NAMED_MOST])
    more = len(names) - _NAMED_MOST
    return shown + (f" and {more} more" if more > 0 else "")


def _has_default_acl(path: Path) -> bool:
    try:
        return bool(os.getxattr(path, "system.posix_acl_default"))
    except (OSError, AttributeError):  # none, none here, or not Linux
        return False


def _umask() -> int | None:
    """Return the mask without setting it, which other threads would notice."""
    with suppress(OSError):
        found = re.search(
            r"^Umask:\s+([0-7]+)$", Path("/proc/self/status").read_text(), re.MULTILINE
        )
        return int(found[1], 8) if found else None
    return None
