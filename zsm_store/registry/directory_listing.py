"""What is in a directory at one moment."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, cast

from zsm_store.errors import StorageError
from zsm_store.registry.store import MAY_NOT_WRITE, Listing
from zsm_store.storage.freshness import Reading, directory_state

if TYPE_CHECKING:
    from collections.abc import Hashable

    from zsm_store.registry.site import RegistrySite
    from zsm_store.storage.listing import FileVersion

_FREE_TRIES = 3
_PATIENT_TRIES = 100


class DirectoryListing:
    """Lists a registry's directory."""

    def __init__(self, site: RegistrySite) -> None:
        self._site = site

    def entries(self, known: Listing | None = None) -> Listing:
        """Return the identity of each file by hash, all of one moment.

        A directory is listed piece by piece, so what others do meanwhile can show by
        half: what is new not yet, what it replaces not any more. Such a listing is
        thrown away. If there are only such listings, writers have to wait for one.
        """
        before = None if known is None else known.state
        listing = self._try_to_list(before, _FREE_TRIES)
        if listing is None and not self._site.is_locked_here:
            try:
                with self._site.locked():
                    listing = self._try_to_list(before, _FREE_TRIES)
            except StorageError as error:
                if error.errno not in MAY_NOT_WRITE:
                    raise
        if listing is None:
            # Who may not lock, and who is disturbed by others than our writers.
            listing = self._try_to_list(before, _PATIENT_TRIES)
        if listing is None:
            busy = OSError(errno.EBUSY, "it changes faster than it can be listed")
            raise StorageError.of("list", self._site.path, busy)
        return listing

    def holds(self, listing: Listing) -> bool:
        """Whether the state of the directory says that nothing has changed."""
        reading = listing.state
        return isinstance(reading, Reading) and reading.holds(
            directory_state(self._site.path), self._site.granularity_s
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

    def _try_to_list(self, before: object, tries: int) -> Listing | None:
        """List until nobody disturbs it, `tries` times at most."""
        directory = self._site.open()
        for _ in range(tries):
            state = directory_state(self._site.path)
            seen = before if isinstance(before, Reading) else None
            reading = Reading.of(state, seen)
            versions = directory.entries()
            # Within a tick of the clock the same state proves nothing. To find the same
            # once more proves it, but for what was undone in time, twice.
            is_settled = reading.is_settled(self._site.granularity_s)
            if not is_settled and directory.entries() != versions:
                continue
            if directory_state(self._site.path) == state:
                return Listing(versions, reading)
        return None


def _changed_ns(version: Hashable) -> int:
    return cast("FileVersion", version)[1]


def _stamp_ns(version: Hashable) -> int:
    """Return when a file was changed, by the clock of its file system."""
    modified, changed, *_ = cast("FileVersion", version)
    return max(modified, changed)
