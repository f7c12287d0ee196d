"""Whether the lock excludes, and whether somebody is in the way."""

from __future__ import annotations

import logging
import os
import select
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from zsm_store.errors import RegistryLockedError
from zsm_store.registry.diagnosis.finding import Finding, Status
from zsm_store.registry.diagnosis.lock_holder import HELD
from zsm_store.storage import marker_lock
from zsm_store.storage.directory_lock import DirectoryLock
from zsm_store.storage.lock import LockStrategy, write_lock
from zsm_store.storage.private import PrivateDirectory
from zsm_store.storage.stale_lock import seen_lock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from zsm_store.registry.diagnosis.subject import Subject

_START_S = 10.0
_RECOVERY_S = 5.0
_SLOW_S = 1.0
"""How long a dead holder on the same host may block others, as is promised."""


def check_lock(subject: Subject) -> Finding:
    """Say whether the recorded lock is the right one here, and who holds it."""
    strategy = subject.settings.lock
    try:
        strategy.check(subject.path)
    except OSError as error:
        return Finding(check="lock", status=Status.FAIL, message=str(error.strerror))
    fitting = LockStrategy.for_directory(subject.path)
    status, advice = Status.OK, []
    if strategy is not fitting:
        status = Status.WARN if strategy is LockStrategy.FLOCK else status
        advice.append(
            f"'{fitting}' is what suits this file system; 'zsm init --lock {fitting}' "
            "changes it for all"
        )
    message = f"{strategy}; free"
    if strategy is LockStrategy.FLOCK:
        holder = DirectoryLock(subject.path).holder()
        if holder is not None:
            message = f"{strategy}; held by {holder}"
    else:
        seen = seen_lock(subject.private, subject.now)
        if seen is not None:
            message = f"{strategy}; held by {seen}"
        if seen is not None and seen.is_stale:
            status = Status.WARN
            advice.append(
                "the next writer takes it over; 'zsm verify --fix' does it now"
            )
    return Finding(check="lock", status=status, message=message, advice=tuple(advice))


def try_lock(subject: Subject) -> Finding:
    """Let another process hold a lock of the same kind, and die."""
    directory = subject.scratch
    strategy = subject.settings.lock
    private = PrivateDirectory(directory)
    if strategy is LockStrategy.MARKER:
        private.make()
    with _silence(directory), _holder(directory, strategy) as process:
        try:
            with write_lock(private, strategy, 0):
                message = f"this process got it while process {process.pid} held it"
                advice = f"'{strategy}' does not exclude here: use another file system"
                return _finding(Status.FAIL, message, advice)
        except RegistryLockedError:
            pass
        process.kill()
        process.wait()
        started = time.monotonic()
        try:
            with write_lock(private, strategy, _RECOVERY_S):
                waited_s = time.monotonic() - started
        except RegistryLockedError:
            message = f"still held {_RECOVERY_S:g} s after its holder was killed"
            return _finding(Status.FAIL, message)
    message = (
        f"refused while another process held it, free {waited_s * 1e3:.1f} ms after "
        "that was killed"
    )
    return _finding(Status.WARN if waited_s > _SLOW_S else Status.OK, message)


def _finding(status: Status, message: str, *advice: str) -> Finding:
    return Finding(check="lock test", status=status, message=message, advice=advice)


@contextmanager
def _silence(directory: Path) -> Iterator[None]:
    """Let the lock not warn of a dead holder that was killed on purpose."""

    def is_another(record: logging.LogRecord) -> bool:
        return str(directory) not in record.getMessage()

    logger = logging.getLogger(marker_lock.__name__)
    logger.addFilter(is_another)
    try:
        yield
    finally:
        logger.removeFilter(is_another)


@contextmanager
def _holder(
    directory: Path, strategy: LockStrategy
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process that holds the lock; it is dead and reaped afterwards."""
    module = "zsm_store.registry.diagnosis.lock_holder"
    # -P, and the path as it is here: whatever lies in the current directory, which may
    # be anybody's registry, must not be imported.
    command = [sys.executable, "-P", "-m", module, str(directory.absolute()), strategy]
    paths = [os.path.abspath(path) for path in sys.path if path]  # noqa: PTH100  # no resolving of links
    with subprocess.Popen(  # noqa: S603  # our own module
        command,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            if process.stdout is None or process.stderr is None:
                raise AssertionError
            ready, _, _ = select.select([process.stdout], [], [], _START_S)
            if not ready:
                message = f"another process has not got it within {_START_S:g} s"
                raise TimeoutError(message)
            if process.stdout.readline() != HELD:
                said = process.stderr.read().decode(errors="replace").strip()
                message = f"another process cannot have it: {said.splitlines()[-1:]}"
                raise ChildProcessError(message)
            yield process
        finally:
            process.kill()
