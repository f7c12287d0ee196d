"""The index of a store, kept in step with it."""

from __future__ import annotations

import errno
import math
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from zsm_store.errors import StorageError
from zsm_store.registry.loading import Loading

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Iterator
    from pathlib import Path

    from zsm_store.index.interface import FingerprintIndex, IndexMoment
    from zsm_store.model.fingerprint import SchemaFingerprint
    from zsm_store.registry.index_cache import IndexCache
    from zsm_store.registry.store import ArtifactStore, Listing

_ROUNDS = 100
"""How often what was just listed may change before it is loaded."""
_PATIENCE_S = 2.0
"""How long a call waits for what is listed and cannot be read: on network drives that
is over after a second or two."""
_SHORTEST_WAIT_S, _LONGEST_WAIT_S = 0.001, 0.05
"""Between two tries, from the second one on."""


class View(NamedTuple):
    """What can be served of a store at one moment."""

    listing: Listing
    """Versions of all artifacts, damaged ones included."""
    moment: IndexMoment
    """The index of those that can be served, in just these versions."""


class Catalog:
    """Fingerprints and tags of the artifacts that can be served.

    Nothing is trusted between two calls: each first asks the store whether what it
    listed still holds, else compares the versions of all entries with those it has
    seen, and loads what is new.

    Parameters
    ----------
    store
        Where the artifacts are.
    new_index
        Makes an empty index, when one is first needed; `RareFirstIndex` by default.
    cached
        The registry whose index is kept for other processes. None for none.
    """

    def __init__(
        self,
        store: ArtifactStore,
        new_index: Callable[[], FingerprintIndex] | None = None,
        *,
        cached: Path | None = None,
    ) -> None:
        self._store = store
        self._new_index = new_index or _rare_first_index
        self._cached = cached
        self._lock = threading.Lock()
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._view: View | None = None
        self._listing: Listing | None = None
        """What was taken in last; that of the view, once there is one."""
        self._index: FingerprintIndex | None = None
        self._cache: IndexCache | None = None
        self._versions: dict[str, Hashable] = {}
        """What was loaded, damaged ones included."""
        self._tags: dict[str, str] = {}
        self._own_changes = 0
        """Of this process: by them the index may be ahead of the view."""
        self._unindexed: set[str] = set()
        """Loaded, but for their tags alone."""
        self._unsettled: dict[str, float] = {}
        """Loaded so soon after they changed that a further change might not show, and
        when they were first seen like that."""
        self._relist_until = 0.0
        """Until when, on the monotonic clock, an unchanged listing proves nothing."""

    def view(self, suspects: Collection[str] = ()) -> View:
        """Return what can be served at some moment during the call.

        Parameters
        ----------
        suspects
            Artifacts to load again, even if nothing seems to have changed.

        Raises
        ------
        StorageError
            The store cannot be listed, or changes faster than that. One bad artifact is
            only skipped, with a line in the log.
        """
        # Before the look at the store: what is returned must be what was found to hold,
        # whatever other threads do to the index meanwhile. No lock is needed for that.
        view = self._view
        if (
            view is not None
            and not suspects
            and not self._is_relist_due()
            and self._store.holds(view.listing)
        ):
            return view
        with self._lock:
            return self._renewed_view(set(suspects))

    def tagged(self, tag: str) -> list[str]:
        """Return the hashes of the artifacts with a tag. Raises like `view`."""
        with self._lock:
            # Who only wants to know the tags gets no index; but one that is there is
            # kept in step.
            self._renew(set(), indexed=self._view is not None)
            return sorted(key for key, found in self._tags.items() if found == tag)

    def refresh(self) -> None:
        """Bring the index in step with the store, on a thread that nobody waits for.

        Raises like `view`.
        """
        view, own_changes, index = self.view(), self._own_changes, self._index
        if index is None:  # it was closed meanwhile
            return
        index.tidy()
        with self._lock:
            if self._view is view and self._own_changes == own_changes:
                self._view = View(view.listing, index.moment())

    def note_saved(
        self, fingerprint: SchemaFingerprint, tag: str | None, version: Hashable
    ) -> None:
        """Take in what this process has saved, so that it need not be read again.

        Nobody relies on it: the next answer compares versions as always. So it does not
        wait either, while another thread loads a large registry.
        """
        key = fingerprint.schema_hash
        with self._at_once() as index:
            if index is not None and version is not None:
                index.update([fingerprint], [])
                self._versions[key] = version
                self._tags.pop(key, None)
                if tag is not None:
                    self._tags[key] = tag
                if self._store.granularity_s:
                    self._unsettled[key] = time.monotonic()

    def note_deleted(self, schema_hash: str) -> None:
        """Forget what this process has deleted. See `note_saved`."""
        with self._at_once() as index:
            if index is not None:
                index.update([], [schema_hash])
                self._versions.pop(schema_hash, None)
                self._tags.pop(schema_hash, None)

    def close(self) -> None:
        """Let go of everything; a later call begins anew."""
        with self._lock:
            self._begin_anew()

    def after_fork(self) -> None:
        """Make the child of a fork independent of the parent's threads."""
        is_half_done = self._lock.locked()
        self._lock = threading.Lock()
        if is_half_done:  # and whoever was at it does not exist here
            self._begin_anew()
        elif self._index is not None:
            self._index.after_fork()

    @contextmanager
    def _at_once(self) -> Iterator[FingerprintIndex | None]:
        """Hold the lock and give the index, if both are to be had without waiting."""
        if self._view is None or not self._lock.acquire(blocking=False):
            yield None
            return
        try:
            self._own_changes += 1
            yield self._index
        finally:
            self._lock.release()

    def _is_relist_due(self) -> bool:
        return self._relist_until != 0 and time.monotonic() < self._relist_until

    def _renewed_view(self, suspects: set[str]) -> View:
        listing = self._renew(suspects, indexed=True)
        if self._view is None or self._view.listing is not listing:
            self._view = View(listing, self._the_index.moment())
        return self._view

    def _renew(self, suspects: set[str], *, indexed: bool) -> Listing:
        """Take in what is stored now, and return its listing, of one moment."""
        listing = self._listing
        if (
            listing is not None
            and not suspects
            and not (indexed and self._unindexed)
            and not self._is_relist_due()
            and self._store.holds(listing)
        ):
            return listing
        patient_until = time.monotonic() + _PATIENCE_S
        wait_s = 0.0
        for _ in range(_ROUNDS):
            is_patient = time.monotonic() < patient_until
            listing = self._listed(listing)
            loading = Loading(self._store, listing, is_patient=is_patient)
            self._take_in(listing, loading, suspects, indexed=indexed)
            if self._cache is not None:
                self._cache.note_loaded(len(loading.versions))
            if not loading.is_disturbed:
                self._listing = listing
                self._offer_to_cache(listing)
                return listing
            suspects = set()
            if loading.is_waiting:
                time.sleep(wait_s)
                wait_s = min(2 * wait_s + _SHORTEST_WAIT_S, _LONGEST_WAIT_S)
        busy = OSError(errno.EBUSY, "it changes faster than it can be read; try again")
        raise StorageError.of("read", self._store.location, busy)

    def _listed(self, known: Listing | None) -> Listing:
        listing = self._store.entries(known)
        if self._cache is None and self._cached is not None:
            # Here: who only shows or lists artifacts needs neither index nor cache.
            from zsm_store.registry.index_cache import IndexCache  # noqa: PLC0415

            self._cache = IndexCache(self._cached)
            restored = self._cache.restore(listing)
            if restored is not None:
                self._index, self._versions, self._tags = restored
        return listing

    def _offer_to_cache(self, listing: Listing) -> None:
        if self._cache is None or self._index is None or self._unindexed:
            return
        self._cache.offer(self._index, listing, self._unsettled, self._tags)

    @property
    def _the_index(self) -> FingerprintIndex:
        if self._index is None:
            self._index = self._new_index()
        return self._index

    def _take_in(
        self, listing: Listing, loading: Loading, suspects: set[str], *, indexed: bool
    ) -> None:
        """Load what is new; everything changes at once, when all of it is loaded."""
        seen_at = time.monotonic()
        versions = self._versions
        changed = set()
        if versions != listing:  # quickly found out, also of a hundred thousand
            changed = {
                key for key, version in listing.items() if versions.get(key) != version
            }
        wanted = changed.union(suspects, self._unsettled)
        if indexed:
            wanted |= self._unindexed
        wanted &= listing.keys()
        removed = (versions.keys() | suspects) - listing.keys()
        loading.unusable.update(removed)
        fingerprints = loading.fingerprints(wanted)
        if indexed:
            # It asks for what is unusable when it has seen all that is usable.
            self._the_index.update(fingerprints, loading.dropped())
            self._unindexed.clear()
        else:
            for _ in fingerprints:
                pass
            if self._index is not None:  # from the cache
                self._index.update((), loading.dropped())
            self._unindexed |= wanted
        for key in wanted | removed:
            versions.pop(key, None)
            self._tags.pop(key, None)
        versions.update(loading.versions)
        self._tags.update(loading.tags)
        self._note_unsettled(listing, changed, seen_at)
        # What was unreadable was tried again.
        before = 0.0 if self._relist_until == math.inf else self._relist_until
        self._relist_until = max(before, loading.relist_until)

    def _note_unsettled(
        self, listing: Listing, changed: set[str], seen_at: float
    ) -> None:
        """Remember what may change once more without another version."""
        for key, since in list(self._unsettled.items()):
            is_over = seen_at >= since + self._store.granularity_s
            if is_over or key in changed or key not in listing:
                del self._unsettled[key]
        for key in self._store.unsettled(listing, changed):
            self._unsettled[key] = seen_at


def _rare_first_index() -> FingerprintIndex:
    # Here: see IndexCache.
    from zsm_store.index.rare_first import RareFirstIndex  # noqa: PLC0415

    return RareFirstIndex()
