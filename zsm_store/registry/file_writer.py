"""Artifacts written to the files of a directory."""

from __future__ import annotations

import errno
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from zsm_store.codec import artifact_json
from zsm_store.errors import StorageError, ZsmError
from zsm_store.registry.store import Saved, check_precondition
from zsm_store.storage.group_commit import GroupCommit
from zsm_store.storage.history import History

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from zsm_store.model.artifact import ModelArtifact
    from zsm_store.registry.file_reader import FileReader
    from zsm_store.registry.settings import RegistrySettings
    from zsm_store.registry.site import RegistrySite
    from zsm_store.storage.directory import ArtifactDirectory

_AT_ONCE = 256
"""Artifacts of one call that are published under one lock: others want it, too."""
_SYNCING = 8
"""Threads that sync files: a disk writes many at once in about the time of one."""
_LOCK_TRIES = 3
_NO_FILE = frozenset({errno.ELOOP, errno.EINVAL, errno.EISDIR, errno.ENXIO})
"""A link, a pipe and so on where an artifact should be: nothing to keep."""


class Durability(StrEnum):
    """What a save that returned survives."""

    FULL = "full"
    """A power cut."""
    RENAME = "rename"
    """The end of every process, but not a power cut: many times faster."""


@dataclass(slots=True, eq=False)
class _Change:
    """One save, on its way."""

    schema_hash: str
    data: bytes
    digest: str
    if_match: str | None
    if_absent: bool
    staging: Path | None = None
    is_begun: bool = False
    """Maybe visible: whoever was about to publish it may have been interrupted."""
    published: Saved | None = None
    """Visible, but it may not survive a power cut yet."""
    outcome: Saved | ZsmError | None = None


class FileWriter:
    """Saves and deletes, one writer at a time."""

    def __init__(
        self, site: RegistrySite, reader: FileReader, durability: Durability
    ) -> None:
        self._site = site
        self._reader = reader
        self._is_durable = durability is Durability.FULL
        self._history = History(site.path)
        self._group = GroupCommit(self._commit)

    def save_all(
        self,
        artifacts: Sequence[ModelArtifact],
        *,
        if_match: str | None,
        if_absent: bool,
    ) -> Iterator[Saved | ZsmError]:
        """Save artifacts, each of them wholly or not at all.

        Yields
        ------
        Saved or ZsmError
            For each artifact, in their order, when its fate is known.
        """
        directory = self._site.open_for_writing()
        for start in range(0, len(artifacts), _AT_ONCE):
            changes = [
                self._prepare(artifact, if_match=if_match, if_absent=if_absent)
                for artifact in artifacts[start : start + _AT_ONCE]
            ]
            with ExitStack() as cleanup:
                self._stage(directory, changes, cleanup)
                while left := [one for one in changes if one.outcome is None]:
                    # Again where a thread that should have done it was interrupted.
                    self._group.submit(left)
            for change in changes:
                if change.outcome is None:
                    raise AssertionError
                yield change.outcome

    def delete(self, schema_hash: str, *, if_match: str | None) -> bool:
        """Delete a file. Raises as `ArtifactStore.delete`."""
        directory = self._site.open_for_writing()
        # Before anything is created: there may be nothing to delete.
        self._check(schema_hash, if_match=if_match, if_absent=False)
        if directory.read(schema_hash, limit=0) is None:
            return False
        for _ in range(_LOCK_TRIES):
            with self._site.locked() as (lock, settings):
                self._check(schema_hash, if_match=if_match, if_absent=False)
                if lock.is_lost():
                    continue
                keep = 0 if settings is None else settings.keep
                if keep:
                    self._keep(directory, schema_hash)
                deleted = directory.delete(schema_hash)
                if keep:
                    self._prune(schema_hash, keep)
                return deleted
        raise _lost(self._site.path)

    def after_fork(self) -> None:
        """Make the child of a fork independent of the parent's threads."""
        self._group.after_fork()

    def _prepare(
        self, artifact: ModelArtifact, *, if_match: str | None, if_absent: bool
    ) -> _Change:
        key = artifact.schema_hash
        change = _Change(key, b"", "", if_match, if_absent)
        try:
            change.data, change.digest = artifact_json.encode_with_digest(artifact)
            # Before anything is created; and once more under the lock, where it counts.
            self._check(key, if_match=if_match, if_absent=if_absent)
        except ZsmError as error:
            change.outcome = error
        return change

    def _stage(
        self,
        directory: ArtifactDirectory,
        changes: Sequence[_Change],
        cleanup: ExitStack,
    ) -> None:
        def stage(change: _Change) -> None:
            staged = directory.staged(
                change.schema_hash, change.data, sync=self._is_durable
            )
            try:
                change.staging = cleanup.enter_context(staged)
            except ZsmError as error:
                change.outcome = error

        left = [change for change in changes if change.outcome is None]
        if len(left) == 1 or not self._is_durable:
            for change in left:
                stage(change)
            return
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  # of many

        with ThreadPoolExecutor(_SYNCING, "zsm-write") as threads:
            list(threads.map(stage, left))

    def _commit(self, changes: list[_Change]) -> None:
        """Publish what is staged, under one lock and with one sync; of all threads."""
        directory = self._site.open_for_writing()
        try:
            for _ in range(_LOCK_TRIES):
                with self._site.locked() as (lock, stored):
                    settings = stored or self._site.write_default(directory)
                    for change in changes:
                        if lock.is_lost():
                            break
                        self._publish(directory, change, settings)
                if all(change.outcome or change.published for change in changes):
                    break
            else:
                raise _lost(self._site.path)
            published = [change for change in changes if change.published]
            if self._is_durable and published:
                directory.sync(change.schema_hash for change in published)
            for change in published:
                change.outcome = change.published
        except ZsmError as error:
            for change in changes:
                change.outcome = change.outcome or error

    def _publish(
        self,
        directory: ArtifactDirectory,
        change: _Change,
        settings: RegistrySettings,
    ) -> None:
        if change.outcome or change.published or change.staging is None:
            return
        key = change.schema_hash
        try:
            if change.is_begun and self._reader.digest_now(key) == change.digest:
                # By a thread that was interrupted before it could say so. Its own
                # digest would not be the one that `if_match` wants.
                change.published = Saved(change.digest, directory.version(key))
                return
            self._check(key, if_match=change.if_match, if_absent=change.if_absent)
            if settings.keep:
                self._keep(directory, key, but_not=change.data)
            change.is_begun = True
            directory.publish(change.staging, key, change.data)
        except ZsmError as error:
            change.outcome = error
            return
        # Before the next writer may replace it.
        change.published = Saved(change.digest, directory.version(key))
        if settings.keep:
            self._prune(key, settings.keep)

    def _keep(
        self, directory: ArtifactDirectory, schema_hash: str, *, but_not: bytes = b""
    ) -> None:
        """Keep what is about to be replaced, unless it is the same."""
        try:
            found = directory.read_changed(schema_hash, None, limit=len(but_not))
        except StorageError as error:
            if error.errno in _NO_FILE:
                return
            raise
        if found is None or found[1] == but_not:
            return
        current = directory.place(schema_hash, found[0])
        self._history.keep(current, schema_hash, directory.private.make())

    def _prune(self, schema_hash: str, count: int) -> None:
        # Not before there is one more: a save that fails must not cost a version.
        with suppress(StorageError):
            self._history.prune(schema_hash, count)

    def _check(
        self, schema_hash: str, *, if_match: str | None, if_absent: bool
    ) -> None:
        if if_match is None and not if_absent:
            return
        found = self._reader.digest_now(schema_hash)
        check_precondition(schema_hash, found, if_match=if_match, if_absent=if_absent)


def _lost(path: Path) -> StorageError:
    message = (
        "its lock was taken away again and again, by somebody who removes '.zsm' or "
        "takes this process for dead; nothing was changed: try again"
    )
    return StorageError.of("lock", path, OSError(errno.EBUSY, message))
