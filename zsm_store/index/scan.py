"""The plain index: the definition, applied to every stored fingerprint."""

from __future__ import annotations

import heapq
import threading
from typing import TYPE_CHECKING

from zsm_store.model.distance import Neighbor, fingerprint_distance

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zsm_store.index.interface import IndexMoment
    from zsm_store.model.fingerprint import SchemaFingerprint


class ScanIndex:
    """Compares a query with every fingerprint. See `FingerprintIndex`."""

    def __init__(self) -> None:
        self._by_hash: dict[str, SchemaFingerprint] = {}
        # An update replaces the dict: what others put meanwhile must not be lost.
        self._writing = threading.Lock()

    def nearest(
        self,
        fingerprint: SchemaFingerprint,
        k: int = 1,
        max_distance: float | None = None,
    ) -> list[Neighbor]:
        """Return up to `k` neighbors, none farther than `max_distance`."""
        ranked = (
            (
                stored.schema_hash != fingerprint.schema_hash,
                fingerprint_distance(stored, fingerprint),
                stored.schema_hash,
            )
            # A copy, taken at once: another thread may put while this one compares.
            for stored in list(self._by_hash.values())
        )
        near = (
            entry
            for entry in ranked
            if max_distance is None or entry[1] <= max_distance
        )
        return [
            Neighbor(distance=distance, schema_hash=schema_hash)
            for _, distance, schema_hash in heapq.nsmallest(k, near)
        ]

    def nearest_many(
        self,
        fingerprints: Iterable[SchemaFingerprint],
        k: int = 1,
        max_distance: float | None = None,
    ) -> list[list[Neighbor]]:
        """Return what `nearest` returns, for each of `fingerprints`."""
        return [self.nearest(one, k, max_distance) for one in fingerprints]

    def moment(self) -> IndexMoment:
        """Return what is stored now; later changes do not show in it."""
        found = ScanIndex()
        found._by_hash = dict(self._by_hash)
        return found

    def put(self, fingerprint: SchemaFingerprint) -> None:
        """Add a fingerprint, in place of the one with its hash."""
        with self._writing:
            self._by_hash[fingerprint.schema_hash] = fingerprint

    def remove(self, schema_hash: str) -> None:
        """Forget a fingerprint; nothing happens where there is none."""
        with self._writing:
            self._by_hash.pop(schema_hash, None)

    def update(
        self, puts: Iterable[SchemaFingerprint], removals: Iterable[str] = ()
    ) -> None:
        """Put and remove many, as one change: a search sees all of it or nothing."""
        added = {one.schema_hash: one for one in puts}
        removed = set(removals)
        with self._writing:
            kept = {
                schema_hash: one
                for schema_hash, one in self._by_hash.items()
                if schema_hash not in removed
            }
            self._by_hash = kept | added

    def tidy(self) -> None:
        """Nothing to do."""

    def after_fork(self) -> None:
        """Make the child of a fork independent of the parent's threads."""
        self._writing = threading.Lock()

    def __len__(self) -> int:
        return len(self._by_hash)

    def __contains__(self, schema_hash: object) -> bool:
        return schema_hash in self._by_hash
