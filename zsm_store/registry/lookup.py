"""From a fingerprint to the nearest artifacts, and to how training begins."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from zsm_store.errors import ArtifactNotFoundError, FormatError, StorageError
from zsm_store.model.distance import (
    WARM_START_THRESHOLD,
    Neighbor,
    fingerprint_distance,
)
from zsm_store.model.startup import (
    ColdStart,
    NearestArtifact,
    StartupMode,
    WarmLoad,
    WarmStart,
)

if TYPE_CHECKING:
    from zsm_store.model.fingerprint import SchemaFingerprint
    from zsm_store.registry.catalog import Catalog
    from zsm_store.registry.store import ArtifactStore

_TRIES = 10


def nearest_artifacts(
    store: ArtifactStore, catalog: Catalog, fingerprint: SchemaFingerprint, k: int
) -> list[NearestArtifact]:
    """Return the `k` nearest artifacts, as they are in the store now.

    Raises
    ------
    StorageError
        The store cannot be read, or changes faster than that.
    """
    for attempt in range(_TRIES):
        neighbors = catalog.nearest(fingerprint, k, relist=attempt > 0)
        found = [_confirm(store, fingerprint, neighbor) for neighbor in neighbors]
        confirmed = [nearest for nearest in found if nearest is not None]
        if len(confirmed) == len(neighbors):
            return confirmed
    busy = OSError(errno.EBUSY, "it changes faster than it can be read; try again")
    raise StorageError.of("look up in", store.location, busy)


def decide(
    wanted: SchemaFingerprint,
    first: NearestArtifact | None = None,
    second: NearestArtifact | None = None,
) -> StartupMode:
    """Decide how training begins, given the two nearest artifacts."""
    runner_up = None
    if second is not None:
        runner_up = Neighbor(
            distance=second.distance, schema_hash=second.artifact.schema_hash
        )
    if first is None or first.distance > WARM_START_THRESHOLD:
        return ColdStart(wanted=wanted, nearest=first, runner_up=runner_up)
    if first.artifact.schema_hash == wanted.schema_hash:
        return WarmLoad(wanted=wanted, artifact=first.artifact, runner_up=runner_up)
    return WarmStart(
        wanted=wanted,
        artifact=first.artifact,
        distance=first.distance,
        runner_up=runner_up,
    )


def _confirm(
    store: ArtifactStore, fingerprint: SchemaFingerprint, neighbor: Neighbor
) -> NearestArtifact | None:
    """Load a neighbor; None if it is not any more what the index saw.

    The index proposes, the definition decides: the file may be newer.
    """
    try:
        artifact = store.load(neighbor.schema_hash, listed=True)
    except (ArtifactNotFoundError, FormatError):
        return None
    distance = fingerprint_distance(artifact.fingerprint, fingerprint)
    if distance != neighbor.distance:
        return None
    return NearestArtifact(artifact=artifact, distance=distance)
