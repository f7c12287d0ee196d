"""What a nearest index offers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zsm_store.model.distance import Neighbor
    from zsm_store.model.fingerprint import SchemaFingerprint


class IndexMoment(Protocol):
    """What can be asked: an index, or what it held at one moment, for good."""

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

    def __len__(self) -> int:
        """Return the number of fingerprints."""

    def __contains__(self, schema_hash: object) -> bool:
        """Whether a fingerprint with that hash is stored."""


class FingerprintIndex(IndexMoment, Protocol):
    """Finds the stored fingerprints nearest to one.

    Answers are exact: distances are `fingerprint_distance` bit for bit, ordered by an
    equal hash first, then by distance, then by hash.
    """

    def moment(self) -> IndexMoment:
        """Return what is stored now."""

    def put(self, fingerprint: SchemaFingerprint) -> None:
        """Add a fingerprint, in place of the one with its hash."""

    def remove(self, schema_hash: str) -> None:
        """Forget a fingerprint; nothing happens where there is none."""

    def update(
        self, puts: Iterable[SchemaFingerprint], removals: Iterable[str] = ()
    ) -> None:
        """Put and remove many, as one change: a search sees all of it or nothing.

        What is in both is put; of those with the same hash the last one counts. `puts`
        is read before `removals` and not held on to, so that it may read files and find
        out what has to be removed; if it fails, nothing changes.
        """

    def tidy(self) -> None:
        """Do what has to be done now and then, before it holds up a change."""

    def after_fork(self) -> None:
        """Make the child of a fork independent of the parent's threads."""
