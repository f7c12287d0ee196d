"""The plain index: the definition, applied to every stored fingerprint."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from zsm_store.model.distance import Neighbor, fingerprint_distance

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zsm_store.model.fingerprint import SchemaFingerprint


class ScanIndex:
    """Compares a query with every fingerprint. See `FingerprintIndex`."""

    def __init__(self) -> None:
        self._by_hash: dict[str, SchemaFingerprint] = {}

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

    def put(self, fingerprint: SchemaFingerprint) -> None:
        """Add a fingerprint, in place of the one with its hash."""
        self._by_hash[fingerprint.schema_hash] = fingerprint

    def remove(self, schema_hash: str) -> None:
        """Forget a fingerprint; nothing happens where there is none."""
        self._by_hash.pop(schema_hash, None)

    def __len__(self) -> int:
        return len(self._by_hash)

    def __contains__(self, schema_hash: object) -> bool:
        return schema_hash in self._by_hash
