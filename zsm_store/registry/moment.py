"""See one moment of a store that others write to."""

from __future__ import annotations

import errno
import math
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from zsm_store.errors import FormatError, StorageError
from zsm_store.registry.store import EXHAUSTED, MAY_NOT_WRITE

if TYPE_CHECKING:
    from collections.abc import Hashable

    from zsm_store.model.artifact import ModelArtifact
    from zsm_store.registry.store import ArtifactStore, Listing

T = TypeVar("T")

_FREE_PASSES = 3
_PATIENT_PASSES = 100
_LOCKED_PASSES = 10
"""Under the lock only programs other than this package can disturb."""


class Seen(NamedTuple, Generic[T]):
    """What was read of one artifact."""

    value: T
    """What is wanted of it, or what is wrong with it; equal if that is the same when it
    is read again."""
    is_exact: bool = True
    """Whether it surely was in the version that was listed: not if it is unreadable."""


Reader = Callable[[str, "Hashable"], Seen[T] | None]
"""Reads the artifact of a hash and a listed version; None if it has another one now."""


def snapshot(store: ArtifactStore, read: Reader[T]) -> dict[str, T]:
    """Read every artifact as it was at one moment.

    The store is listed, which shows one moment of it, and what was read has to have the
    version that was listed. What was replaced in between is listed and read again: less
    from pass to pass, and what others write meanwhile does not matter. Only where it
    does not become less, writers have to wait for the last few. A reader who may not
    lock the store has to try on.

    Returns
    -------
    dict
        What was read, by schema hash, sorted.

    Raises
    ------
    StorageError
        The store cannot be read, or it can neither be locked nor comes to rest.
    """
    gathering = _Gathering(store, read)
    with ExitStack() as cleanup:
        passes_left, may_lock, is_locked = _PATIENT_PASSES, True, False
        while passes_left and not gathering.advance(is_locked=is_locked):
            passes_left -= 1
            is_due = passes_left <= _PATIENT_PASSES - _FREE_PASSES
            if may_lock and is_due and not gathering.is_shrinking:
                may_lock, is_locked = False, _locks(store, cleanup)
                if is_locked:
                    passes_left = _LOCKED_PASSES
        if passes_left:
            return gathering.result()
    busy = OSError(errno.EBUSY, "it changes faster than it can be read; try again")
    raise StorageError.of("read", store.location, busy)


def read_artifact(
    store: ArtifactStore, schema_hash: str, version: Hashable
) -> Seen[ModelArtifact | str] | None:
    """Read an artifact that was listed; of one that is not served, say why not."""
    try:
        artifact = store.load_version(schema_hash, version)
    except StorageError as error:
        if error.errno in EXHAUSTED:
            raise
        return Seen(str(error), is_exact=False)
    if artifact is not None:
        return Seen(artifact)
    ((_, found, entry),) = store.index_entries([schema_hash])
    if isinstance(entry, FormatError):
        return Seen(str(entry)) if found == version else None
    if isinstance(entry, Exception):
        # Deleted, most probably; but a drive may also list what cannot be read.
        return Seen(str(entry), is_exact=False)
    return None


class _Doubt(NamedTuple):
    """Why an artifact has to be read again: its version may not tell a change."""

    since: float
    """When it had been listed in this version, on the monotonic clock. More than a tick
    of the file system's clock later every change leads to another one. Never, if it is
    unreadable."""
    read_at: float


_NO_DOUBT = _Doubt(math.inf, math.inf)


class _Gathering(Generic[T]):
    """What was read so far, and of which versions."""

    def __init__(self, store: ArtifactStore, read: Reader[T]) -> None:
        self._store = store
        self._read = read
        self._listing: Listing | None = None
        self._versions: dict[str, Hashable] = {}
        """As they were listed before they were read."""
        self._values: dict[str, T] = {}
        self._doubts: dict[str, _Doubt] = {}
        self._last_count = math.inf
        self.is_shrinking = True
        """Whether the last pass read much less than the one before."""

    def advance(self, *, is_locked: bool) -> bool:
        """List, and read what is new or in doubt.

        Parameters
        ----------
        is_locked
            Whether writers are kept out until all is read.

        Returns
        -------
        bool
            Whether all that is listed was read as it was when it was listed.
        """
        begun_at = time.monotonic()
        listing = self._listing = self._store.entries(self._listing)
        listed_at = time.monotonic()
        for key in self._versions.keys() - listing.keys():
            self._forget(key)
        changed = {
            key
            for key, version in listing.items()
            if self._versions.get(key) != version
        }
        for key, doubt in list(self._doubts.items()):
            # Read so late that another listing of the same version was all it took.
            is_over = doubt.read_at >= doubt.since + self._store.granularity_s
            if is_over or key in changed:
                del self._doubts[key]
        wanted = changed | self._doubts.keys()
        recent = set() if is_locked else self._store.unsettled(listing, wanted)
        is_complete = True
        for key in sorted(wanted):
            read_at = time.monotonic()
            seen = self._read(key, listing[key])
            if seen is None:
                self._forget(key)
                is_complete = False
                continue
            since = self._doubts.pop(key, _NO_DOUBT).since
            is_over = begun_at >= since + self._store.granularity_s
            if not seen.is_exact or (key in recent and not is_over):
                # Read before the listing and after it, the same both times: so it was
                # that in between, but for what was undone in time, twice.
                is_complete &= key not in changed and self._values[key] == seen.value
                since = min(since, listed_at) if seen.is_exact else math.inf
                self._doubts[key] = _Doubt(since, read_at)
            self._versions[key], self._values[key] = listing[key], seen.value
        self.is_shrinking = 2 * len(wanted) <= self._last_count
        self._last_count = len(wanted)
        return is_complete

    def result(self) -> dict[str, T]:
        """Return what was read, sorted by schema hash."""
        return {key: self._values[key] for key in sorted(self._values)}

    def _forget(self, schema_hash: str) -> None:
        self._versions.pop(schema_hash, None)
        self._values.pop(schema_hash, None)
        self._doubts.pop(schema_hash, None)


def _locks(store: ArtifactStore, cleanup: ExitStack) -> bool:
    """Lock the store until `cleanup`; False for a reader who may not."""
    try:
        cleanup.enter_context(store.locked())
    except StorageError as error:
        if error.errno not in MAY_NOT_WRITE:
            raise
        return False
    return True
