"""How a registry notices what others do, and how soon."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from zsm_store.registry.diagnosis.finding import Finding, Status
from zsm_store.storage.known_limits import freshness_bound
from zsm_store.storage.watch import LOOK_S

if TYPE_CHECKING:
    from zsm_store.registry.diagnosis.subject import Subject

_EVENT_S = 2.0


def try_watcher(subject: Subject) -> Finding:
    """Start what a long-lived registry watches with, and see whether it hears."""
    if not subject.is_local:
        message = (
            f"polling every {LOOK_S:g} s: the kernel does not tell of what other hosts "
            "do"
        )
        return Finding(check="watcher", status=Status.OK, message=message)
    from zsm_store.storage.observer import DirectoryObserver  # noqa: PLC0415  # slow to import

    scratch, heard = subject.scratch, threading.Event()
    try:
        observer = DirectoryObserver.start(
            scratch, heard.set, native=True, poll_s=LOOK_S
        )
    except OSError as error:
        return Finding(
            check="watcher",
            status=Status.WARN,
            message=f"polling every {LOOK_S:g} s: {error.strerror or error}",
            advice=(
                "raise fs.inotify.max_user_instances or max_user_watches with sysctl",
            ),
        )
    try:
        heard.clear()
        (scratch / "heard").touch()
        is_heard = heard.wait(_EVENT_S)
    finally:
        observer.stop()
    if is_heard:
        return Finding(check="watcher", status=Status.OK, message=observer.kind)
    return Finding(
        check="watcher",
        status=Status.WARN,
        message=f"{observer.kind} tells of no change within {_EVENT_S:g} s",
        advice=("the directory is looked at every second all the same",),
    )


def expect_freshness(subject: Subject) -> Finding:
    """Say how soon a lookup sees what others have saved."""
    here = "from this host at once"
    if subject.is_local:
        return Finding(check="freshness", status=Status.OK, message=here)
    bound = freshness_bound(subject.path)
    if bound is None:
        return Finding(
            check="freshness",
            status=Status.WARN,
            message=f"{here}; from others unknown",
            advice=("nobody has measured this kind of file system",),
        )
    message = f"{here}; from others {bound}"
    return Finding(check="freshness", status=Status.OK, message=message)
