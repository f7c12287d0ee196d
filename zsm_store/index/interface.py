"""What a nearest index offers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zsm_store.model.distance import Neighbor
    from zsm_store.model.fingerprint import SchemaFingerprint


class FingerprintIndex(Protocol):
    """Finds the stored fingerprints nearest to one.

    Answers are exact: distances are `fingerprint_distance` bit for bit, ordered by an
    equal hash first, then by distance, then by hash.
    """

    def nearest(
        self,
        fingerprint: SchemaFingerprint,
        k: int = 1,
        max_distance: float | None = None,
    ) -> list[Neighbor]:
        """Return up to `k` neighbors, none farther than `max_distance`."""

    def nearest_many(
        self,
        fingerprints: Iterable[SchemaFingerprint],
        k: int = 1,
        max_distance: float | None = None,
    ) -> list[list[Neighbor]]:
        """Return what `nearest` returns, for each of `fingerprints`."""

    def put(self, fingerprint: SchemaFingerprint) -> None:
        """Add a fingerprint, in place of the one with its hash."""

    def remove(self, schema_hash: str) -> None:
        """Forget a fingerprint; nothing happens where there is none."""

    def __len__(self) -> int:
        """Return the number of fingerprints."""

    def __contains__(self, schema_hash: object) -> bool:
        """Whether a fingerprint with that hash is stored."""
