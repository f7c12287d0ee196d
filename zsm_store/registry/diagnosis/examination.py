"""All checks, one after the other; none of them is ever a traceback."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING

from zsm_store.errors import FormatError, StorageError
from zsm_store.registry.diagnosis.finding import Finding, Status
from zsm_store.registry.diagnosis.locking import check_lock, try_lock
from zsm_store.registry.diagnosis.place import (
    check_access,
    check_file_system,
    count_artifacts,
)
from zsm_store.registry.diagnosis.scratch import scratch_directory
from zsm_store.registry.diagnosis.subject import NotTried, Subject
from zsm_store.registry.diagnosis.surroundings import (
    check_cache,
    check_history,
    check_quarantine,
    check_staging,
    name_versions,
)
from zsm_store.registry.diagnosis.watching import expect_freshness, try_watcher
from zsm_store.registry.diagnosis.writing import (
    check_clock,
    time_syncs,
    try_names,
    try_rename,
)
from zsm_store.registry.site import SETTINGS_NAME, RegistrySite
from zsm_store.storage.directory import ArtifactDirectory
from zsm_store.storage.private import PrivateDirectory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from zsm_store.registry.settings import RegistrySettings

_CHECKS: tuple[tuple[str, Callable[[Subject], Finding]], ...] = (
    ("artifacts", count_artifacts),
    ("file system", check_file_system),
    ("permissions", check_access),
    ("clock", check_clock),
    ("lock", check_lock),
    ("lock test", try_lock),
    ("rename", try_rename),
    ("sync", time_syncs),
    ("names", try_names),
    ("watcher", try_watcher),
    ("freshness", expect_freshness),
    ("cache", check_cache),
    ("staging", check_staging),
    ("quarantine", check_quarantine),
    ("history", check_history),
    ("versions", name_versions),
)


def examine(path: Path) -> Iterator[Finding]:
    """Check whether a registry can do here what it promises.

    Takes a second or two. What is tried out is tried in a directory of its own among
    the staging files, which is gone afterwards; the registry is not changed.

    Raises
    ------
    StorageError
        There is no such directory.
    """
    try:
        with os.scandir(path):
            pass
    except PermissionError:  # that is a finding
        pass
    except OSError as error:
        raise StorageError.of("open", path, error) from error
    site = RegistrySite(path, 0)
    finding, settings = _settings(site)
    yield finding
    with ExitStack() as cleanup:
        scratch: Path | str
        try:
            scratch = cleanup.enter_context(scratch_directory(PrivateDirectory(path)))
        except StorageError as error:
            scratch = str(error)
        subject = Subject(path, settings, scratch)
        for name, check in _CHECKS:
            yield _checked(name, check, subject)


def _checked(
    name: str, check: Callable[[Subject], Finding], subject: Subject
) -> Finding:
    try:
        return check(subject)
    except NotTried as reason:
        return Finding(check=name, status=Status.SKIP, message=str(reason))
    except Exception as error:  # noqa: BLE001  # what goes wrong is what was asked for
        return Finding(check=name, status=Status.FAIL, message=_told(error))


def _settings(site: RegistrySite) -> tuple[Finding, RegistrySettings]:
    try:
        settings = site.stored(ArtifactDirectory(site.path))
    except (FormatError, StorageError) as error:
        finding = Finding(
            check="settings",
            status=Status.FAIL,
            message=str(error),
            advice=(f"restore {SETTINGS_NAME}, or delete it and run 'zsm init'",),
            is_damage=isinstance(error, FormatError),
        )
        return finding, site.default()
    if settings is None:
        message = f"no {SETTINGS_NAME} yet: the first save writes it"
        finding = Finding(check="settings", status=Status.OK, message=message)
        return finding, site.default()
    message = f"layout {settings.layout}, lock {settings.lock}, keep {settings.keep}"
    return Finding(check="settings", status=Status.OK, message=message), settings


def _told(error: Exception) -> str:
    text = str(error) or type(error).__name__
    return text if isinstance(error, OSError) else f"{type(error).__name__}: {text}"
