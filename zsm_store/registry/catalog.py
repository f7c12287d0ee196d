"""The index of a store, kept in step with it."""

from __future__ import annotations

import logging
import math
import threading
import time
from typing import TYPE_CHECKING

from zsm_store.errors import ArtifactNotFoundError, FormatError, StorageError

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from zsm_store.index.interface import FingerprintIndex
    from zsm_store.model.distance import Neighbor
    from zsm_store.model.fingerprint import SchemaFingerprint
    from zsm_store.registry.store import ArtifactStore

logger = logging.getLogger(__name__)

_MAY_BE_UNFINISHED_S = 60.0
"""How long a damaged file is watched for somebody finishing it."""


class Catalog:
    """Fingerprints and tags of the artifacts that can be served.

    Nothing is trusted between two calls: every answer first asks the store whether what
    it listed still holds, else compares the versions of all entries with those it has
    seen, and loads what is new.
    """

    def __init__(self, store: ArtifactStore, index: FingerprintIndex) -> None:
        self._store = store
        self._index = index
        self._lock = threading.Lock()
        self._entries: Mapping[str, Hashable] = {}
        self._versions: dict[str, Hashable] = {}
        self._tags: dict[str, str] = {}
        self._relist_until = 0.0

    def nearest(
        self,
        fingerprint: SchemaFingerprint,
        k: int,
        max_distance: float | None = None,
        *,
        relist: bool = False,
    ) -> list[Neighbor]:
        """Return up to `k` neighbors that are stored now. Raises like `refresh`.

        Parameters
        ----------
        fingerprint, k, max_distance
            As in `FingerprintIndex.nearest`.
        relist
            Look at every entry, even if nothing seems to have changed: a file that is
            edited in place does not show in the state of its directory.
        """
        # All under one lock: another thread's refresh replaces an artifact by first
        # forgetting it, and a search in between would not find what was saved long ago.
        with self._lock:
            self._refresh(relist=relist)
            return self._index.nearest(fingerprint, k, max_distance)

    def tagged(self, tag: str) -> list[str]:
        """Return the hashes of the artifacts with a tag. Raises like `refresh`."""
        with self._lock:
            self._refresh()
            return [key for key, found in self._tags.items() if found == tag]

    def count(self) -> int:
        """Return the number of artifacts as of the last answer."""
        return len(self._index)

    def __len__(self) -> int:
        with self._lock:
            self._refresh()
            return len(self._index)

    def __contains__(self, schema_hash: object) -> bool:
        with self._lock:
            self._refresh()
            return schema_hash in self._index

    def refresh(self) -> None:
        """Bring the index in step with the store.

        Raises
        ------
        StorageError
            The store cannot be listed. One bad artifact is only skipped, with a line in
            the log.
        """
        with self._lock:
            self._refresh()

    def _refresh(self, *, relist: bool = False) -> None:
        relist = relist or time.monotonic() < self._relist_until
        entries = self._store.entries(None if relist else self._entries)
        if entries is self._entries and not relist:
            return
        if self._relist_until == math.inf:  # whatever was unreadable is tried again
            self._relist_until = 0.0
        for schema_hash in self._versions.keys() - entries.keys():
            self._forget(schema_hash)
        for schema_hash, version in entries.items():
            if self._versions.get(schema_hash) != version:
                self._load(schema_hash, version)
        self._entries = entries

    def _load(self, schema_hash: str, version: Hashable) -> None:
        # Forget first: whatever goes wrong, an old version is not served any more.
        self._forget(schema_hash)
        try:
            artifact = self._store.load(schema_hash, listed=True)
        except ArtifactNotFoundError:  # deleted since it was listed
            return
        except StorageError as error:
            # No version is noted: it may be readable a moment later.
            logger.warning("skipped: %s", error)
            self._relist_until = math.inf
            return
        except FormatError as error:
            logger.warning("skipped: %s", error)
            # Somebody may be writing it in place, which does not show in the directory.
            self._relist_until = max(
                self._relist_until, time.monotonic() + _MAY_BE_UNFINISHED_S
            )
        else:
            self._index.put(artifact.fingerprint)
            if artifact.tag is not None:
                self._tags[schema_hash] = artifact.tag
        # The version that was listed, not the one that was read: if the file changed in
        # between, the next refresh sees a difference and loads it once more.
        self._versions[schema_hash] = version

    def _forget(self, schema_hash: str) -> None:
        self._index.remove(schema_hash)
        self._versions.pop(schema_hash, None)
        self._tags.pop(schema_hash, None)
