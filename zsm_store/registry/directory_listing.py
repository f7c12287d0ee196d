"""What is in a directory at one moment."""

from __future__ import annotations

import errno
import logging
from typing import TYPE_CHECKING, cast

from zsm_store.errors import StorageError
from zsm_store.registry.store import MAY_NOT_WRITE, Listing
from zsm_store.storage.freshness import Reading, directory_state
from zsm_store.storage.patience import Patience
from zsm_store.storage.work_tree import GIT_S, WorkTree

if TYPE_CHECKING:
    from collections.abc import Hashable

    from zsm_store.registry.site import RegistrySite
    from zsm_store.storage.listing import FileVersion

logger = logging.getLogger(__name__)

_FREE_TRIES = 3
_PATIENT_TRIES = 100


class DirectoryListing:
    """Lists a registry's directory."""

    def __init__(self, site: RegistrySite) -> None:
        self._site = site
        self._tree: WorkTree | None = None

    def entries(self, known: Listing | None = None) -> Listing:
        """Return the identity of each file by hash, all of one moment.

        A directory is listed piece by piece, so what others do meanwhile can show by
        half: what is new not yet, what it replaces not any more. Such a listing is
        thrown away. If there are only such listings, writers have to wait for one.
        """
        self._tree = WorkTree.around(self._site.path)
        before = None if known is None else known.state
        patience = Patience(GIT_S)
        listing = self._try_to_list(before, _FREE_TRIES, patience)
        if listing is None and not self._site.is_locked_here:
            try:
                with self._site.locked():
                    # Who holds the lock does not wait for git: others wait for him.
                    listing = self._try_to_list(before, _FREE_TRIES, Patience(0))
            except StorageError as error:
                if error.errno not in MAY_NOT_WRITE:
                    raise
        if listing is None:
            # Who may not lock, and who is disturbed by others than our writers.
            listing = self._try_to_list(before, _PATIENT_TRIES, patience)
        if listing is None and self._tree is not None:
            if self._tree.is_busy:
                return self._beside_git(known)
            # It may have ended as the patience did.
            listing = self._try_to_list(before, _FREE_TRIES, patience)
        if listing is None:
            busy = OSError(errno.EBUSY, "it changes faster than it can be listed")
            raise StorageError.of("list", self._site.path, busy)
        return listing

    def holds(self, listing: Listing) -> bool:
        """Whether the state of the directory says that nothing has changed."""
        reading = listing.state
        return isinstance(reading, Reading) and reading.holds(
            self._state(), self._site.granularity_s
        )

    def unsettled(self, listing: Listing, schema_hashes: set[str]) -> set[str]:
        """Return files whose stamps are as new as any in the listing, or nearly."""
        if not self._site.granularity_s or not schema_hashes:
            return set()
        # The file system's own clock, as far as it shows: those of hosts differ. Not by
        # times of modification, which anybody may set to next year.
        newest = max(map(_changed_ns, listing.values()))
        limit = newest - self._site.granularity_s * 1e9
        return {key for key in schema_hashes if _stamp_ns(listing[key]) >= limit}

    def _state(self) -> Hashable:
        """Return what changes with every change that shows in it."""
        state = directory_state(self._site.path)
        # In a fan-out folder git changes files behind the directory's back.
        return state, None if self._tree is None else self._tree.state

    def _beside_git(self, known: Listing | None) -> Listing:
        """List in the middle of what git does; what it has removed is there as before.

        Nobody believes it for longer than the answer that asked for it.
        """
        logger.warning("git has been at '%s' for %g s", self._site.path, GIT_S)
        versions = self._site.open().entries()
        return Listing({**(known or {}), **versions}, None)

    def _try_to_list(
        self, before: object, tries: int, patience: Patience
    ) -> Listing | None:
        """List until nobody disturbs it, `tries` times at most."""
        directory, tree = self._site.open(), self._tree
        for _ in range(tries):
            if tree is not None and not tree.wait(patience):
                return None
            state = self._state()
            seen = before if isinstance(before, Reading) else None
            reading = Reading.of(state, seen)
            versions = directory.entries()
            # Within a tick of the clock the same state proves nothing. To find the same
            # once more proves it, but for what was undone in time, twice.
            is_settled = reading.is_settled(self._site.granularity_s)
            if not is_settled and directory.entries() != versions:
                continue
            if tree is not None and tree.is_busy:
                continue
            if self._state() == state:
                return Listing(versions, reading)
        return None


def _changed_ns(version: Hashable) -> int:
    return cast("FileVersion", version)[1]


def _stamp_ns(version: Hashable) -> int:
    """Return when a file was changed, by the clock of its file system."""
    modified, changed, *_ = cast("FileVersion", version)
    return max(modified, changed)
