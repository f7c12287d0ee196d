"""What the file system does with what is written: tried out in a scratch directory."""

from __future__ import annotations

import os
import statistics
import threading
import time
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

from zsm_store.errors import StorageError
from zsm_store.registry.diagnosis.finding import Finding, Status
from zsm_store.storage.atomic import publish, staged, sync_directory

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from zsm_store.registry.diagnosis.subject import Subject

_RENAMING_S = 0.3
_CONTENT_BYTES = 4096
_SYNCS = 5
_FAR_OFF_S = 3.0
"""More than that is a clock; less may be the ticks of a file system's stamps."""


def check_clock(subject: Subject) -> Finding:
    """Compare this host's clock with the one that stamps files."""
    probe = subject.scratch / "clock"
    before = time.time()
    probe.write_bytes(b"\n")
    stamp, after = probe.stat().st_mtime, time.time()
    off_s = stamp - after if stamp > after else min(stamp - before, 0.0)
    if abs(off_s) <= _FAR_OFF_S:
        message = f"agrees with the file system's to {abs(off_s):.1f} s"
        return Finding(check="clock", status=Status.OK, message=message)
    side = "behind" if off_s > 0 else "ahead of"
    return Finding(
        check="clock",
        status=Status.WARN,
        message=f"{abs(off_s):.0f} s {side} the file system's",
        advice=("answers do not depend on it, but times that people read do: use NTP",),
    )


def try_rename(subject: Subject) -> Finding:
    """Replace a file again and again under the eyes of a reader."""
    target = subject.scratch / "renamed"
    target.write_bytes(b"a" * _CONTENT_BYTES)
    seen: Counter[str] = Counter()
    done = threading.Event()
    reader = threading.Thread(target=_read_on, args=(target, done, seen), daemon=True)
    reader.start()
    renames, refused = 0, 0
    end = time.monotonic() + _RENAMING_S
    try:
        while time.monotonic() < end:
            renames += 1
            content = bytes([97 + renames % 26]) * _CONTENT_BYTES
            with staged((content,), "new", subject.scratch, sync=False) as staging:
                try:
                    publish(staging, target)
                except StorageError:
                    refused += 1
    finally:
        done.set()
        reader.join()
    # A Counter counts what it is asked for as 0.
    facts = {
        "missing": seen["missing"],
        "torn": seen["torn"],
        "renames refused": refused,
    }
    told = ", ".join(f"{count} {what}" for what, count in facts.items() if count)
    message = f"{renames:,} times under {seen.total():,} readings: "
    status = Status.OK
    advice: tuple[str, ...] = ()
    if seen["torn"] and not subject.is_shared:
        status = Status.FAIL
        advice = ("a rename is not atomic here: use another file system",)
    elif told:
        status = Status.WARN
        advice = ("it is tried again where this happens to an artifact",)
    return Finding(
        check="rename",
        status=status,
        message=message + (told or "none missing, none torn"),
        advice=advice,
    )


def _read_on(path: Path, done: threading.Event, seen: Counter[str]) -> None:
    while not done.is_set():
        try:
            content = path.read_bytes()
        except OSError:
            seen["missing"] += 1
            continue
        is_whole = len(content) == _CONTENT_BYTES and len(set(content)) == 1
        seen["whole" if is_whole else "torn"] += 1


def time_syncs(subject: Subject) -> Finding:
    """Measure what a save waits for."""
    files, directories = [], []
    for number in range(_SYNCS):
        path = subject.scratch / f"synced {number}"
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            os.write(fd, b"z" * _CONTENT_BYTES)
            files.append(_timed(partial(os.fsync, fd)))
        finally:
            os.close(fd)
        directories.append(_timed(partial(sync_directory, subject.scratch)))
    message = (
        f"file {statistics.median(files) * 1e3:.2f} ms, "
        f"directory {statistics.median(directories) * 1e3:.2f} ms"
    )
    return Finding(check="sync", status=Status.OK, message=message)


def _timed(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def try_names(subject: Subject) -> Finding:
    """See whether a name is given once only, and whether a file can have two."""
    path = subject.scratch / "once"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    os.close(os.open(path, flags, 0o666))
    try:
        os.close(os.open(path, flags, 0o666))
    except FileExistsError:
        pass
    else:
        return Finding(
            check="names",
            status=Status.FAIL,
            message="a file that must not exist was created twice",
            advice=("writers overwrite each other here: use another file system",),
        )
    try:
        os.link(path, subject.scratch / "twice", follow_symlinks=False)
    except OSError as error:
        told = f"no hard links ({error.strerror}), so versions are kept as copies"
    else:
        told = "hard links, for versions that are kept"
    message = f"exclusive creation; {told}"
    return Finding(check="names", status=Status.OK, message=message)
