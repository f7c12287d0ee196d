"""What has gathered around a registry, and what it runs on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from typing import TYPE_CHECKING

from zsm_store.registry.diagnosis.finding import Finding, Status
from zsm_store.registry.index_cache import KeptIndex, cache_directory, path_of
from zsm_store.storage.file_system import file_system_type, is_local
from zsm_store.storage.history import HISTORY_NAME, History
from zsm_store.storage.private import STALE_STAGING_S
from zsm_store.storage.quarantine import QUARANTINE_NAME, Quarantine

if TYPE_CHECKING:
    from pathlib import Path

    from zsm_store.registry.diagnosis.subject import Subject

_PACKAGES = ("zsm-store", "filelock", "watchdog", "orjson", "numpy", "click")


def check_staging(subject: Subject) -> Finding:
    """Count what killed writers have left."""
    own = subject.scratch_or_reason
    ages = [
        subject.now - modified
        for path, modified in subject.private.staged()
        if path != str(own)
    ]
    stale = sum(age > STALE_STAGING_S for age in ages)
    message = f"{len(ages):,} in use or left, {stale:,} of them for over an hour"
    if not stale:
        return Finding(check="staging", status=Status.OK, message=message)
    advice = "the next writer sweeps them; 'zsm verify --fix' does it now"
    return Finding(
        check="staging", status=Status.WARN, message=message, advice=(advice,)
    )


def check_quarantine(subject: Subject) -> Finding:
    """Count what was put away."""
    count = len(Quarantine(subject.path).folders())
    if not count:
        return Finding(check="quarantine", status=Status.OK, message="empty")
    return Finding(
        check="quarantine",
        status=Status.WARN,
        message=f"{count:,} damaged that were put away",
        advice=(
            f"'{QUARANTINE_NAME}/*/reason.txt' says why; delete what is of no use",
        ),
    )


def check_history(subject: Subject) -> Finding:
    """Say how many versions are kept."""
    keep = subject.settings.keep
    count = len(History(subject.path).schema_hashes())
    kept = f"keeps the last {keep} versions" if keep else "keeps no versions"
    have = f"; '{HISTORY_NAME}/' has some of {count:,} artifacts" if count else ""
    return Finding(check="history", status=Status.OK, message=kept + have)


def check_cache(subject: Subject) -> Finding:
    """Look at the cache of this registry's index, which is not in the registry."""
    try:
        directory = cache_directory()
    except RuntimeError as error:  # a user without a home
        return _cache(Status.WARN, str(error), "name a directory with ZSM_CACHE_DIR")
    registry = os.path.realpath(subject.path)
    path = path_of(registry)
    refused = _refused(directory)
    if refused:
        return _cache(Status.WARN, refused, "name another one with ZSM_CACHE_DIR")
    where = f"in '{directory}'"
    if not is_local(directory):
        kind = file_system_type(directory) or "an unknown file system"
        where += f" on {kind}"
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return _cache(Status.OK, f"none {where}; small registries need none")
    kept = KeptIndex.read(path, registry)
    if kept is None:
        told = f"of no use {where}; it is made anew when it is needed"
        return _cache(Status.OK, told)
    valid, outdated = kept.compared_with(subject.directory.entries())
    told = f"{size:,} bytes {where}; {len(valid):,} artifacts fit"
    return _cache(Status.OK, told + f", {len(outdated):,} do not" * bool(outdated))


def _cache(status: Status, message: str, *advice: str) -> Finding:
    return Finding(check="cache", status=status, message=message, advice=advice)


def _refused(directory: Path) -> str:
    """Say why nothing can be written there; empty if it can."""
    nearest = directory
    while not os.path.lexists(nearest) and nearest.parent != nearest:
        nearest = nearest.parent
    if not nearest.is_dir():
        return f"'{nearest}' is no directory"
    if not os.access(nearest, os.W_OK | os.X_OK):
        return f"'{nearest}' is not writable"
    return ""


def name_versions(_: Subject) -> Finding:
    """Name what this runs on."""
    system = os.uname()
    found = [f"{package} {_version(package)}" for package in _PACKAGES]
    found += [
        f"Python {platform.python_version()}",
        f"{system.sysname} {system.release}",
    ]
    return Finding(check="versions", status=Status.OK, message=", ".join(found))


def _version(package: str) -> str:
    try:
        return version(package)
    except (ImportError, OSError):  # vendored, or packed into one file
        return "unknown"
