"""Load artifacts for the index: what counts only once all of them are loaded."""

from __future__ import annotations

import logging
import math
import time
from typing import TYPE_CHECKING

from zsm_store.errors import ArtifactNotFoundError, FormatError, StorageError
from zsm_store.storage.patience import PASSING

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterator

    from zsm_store.model.fingerprint import SchemaFingerprint
    from zsm_store.registry.store import ArtifactStore, Listing

logger = logging.getLogger(__name__)

_MAY_BE_UNFINISHED_S = 60.0
"""How long a damaged file is watched for somebody finishing it."""


class Loading:
    """Artifacts of one listing that are loaded together.

    Parameters
    ----------
    store, listing
        Where they are, and in which versions.
    is_patient
        Whether what may be over in a moment is waited for; else the others go on
        without.
    """

    def __init__(
        self, store: ArtifactStore, listing: Listing, *, is_patient: bool
    ) -> None:
        self._store = store
        self._listing = listing
        self._is_patient = is_patient
        self.versions: dict[str, Hashable] = {}
        """Of what need not be tried again, damaged ones included."""
        self.tags: dict[str, str] = {}
        self.unusable: set[str] = set()
        """What can't be served."""
        self.relist_until = 0.0
        """Until when, on the monotonic clock, an unchanged listing proves nothing."""
        self.is_disturbed = False
        """Whether something was not any more as it was listed."""
        self.is_waiting = False
        """Whether something could not be read that may be readable in a moment."""

    def fingerprints(
        self, schema_hashes: Collection[str]
    ) -> Iterator[SchemaFingerprint]:
        """Yield the fingerprints of those that can be served, and note the others."""
        for key, version, entry in self._store.index_entries(schema_hashes):
            if not isinstance(entry, Exception):
                if entry.tag is not None:
                    self.tags[key] = entry.tag
                yield entry.fingerprint
            else:
                self.unusable.add(key)
                if self._may_be_usable_later(entry):
                    continue
            self.versions[key] = version
            self.is_disturbed |= version != self._listing[key]

    def dropped(self) -> Iterator[str]:
        """Yield what can't be served; asks no sooner than somebody wants to know."""
        yield from self.unusable

    def _may_be_usable_later(self, error: Exception) -> bool:
        """Note why an artifact can't be served, and whether that may pass as it is."""
        if self._is_patient and _may_pass(error):
            # Deleted or replaced since it was listed, most probably; on a network drive
            # also for a second or so after that. The next listing tells.
            self.is_waiting = self.is_disturbed = True
            return True
        logger.warning("skipped: %s", error)
        if isinstance(error, FormatError):
            # Somebody may be writing it in place, which does not show in the state of
            # the directory.
            until = time.monotonic() + _MAY_BE_UNFINISHED_S
            self.relist_until = max(self.relist_until, until)
            return False
        self.relist_until = math.inf
        return True


def _may_pass(error: Exception) -> bool:
    is_passing = isinstance(error, StorageError) and error.errno in PASSING
    return is_passing or isinstance(error, ArtifactNotFoundError)
