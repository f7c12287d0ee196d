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
    store: ArtifactStore,
    catalog: Catalog,
    fingerprint: SchemaFingerprint,
    k: int,
    max_distance: float | None = None,
) -> list[NearestArtifact]:
    """Return the `k` nearest artifacts, as they are in the store now.

    Raises
    ------
    StorageError
        The store cannot be read, or changes faster than that.
    """
    for attempt in range(_TRIES):
        neighbors = catalog.nearest(fingerprint, k, max_distance, relist=attempt > 0)
        found = [_confirm(store, fingerprint, neighbor) for neighbor in neighbors]
        confirmed = [nearest for nearest in found if nearest is not None]
        if len(confirmed) == len(neighbors):
            return confirmed
    busy = OSError(errno.EBUSY, "it changes faster than it can be read; try again")
    raise StorageError.of("look up in", store.location, busy)


def startup_mode(
    store: ArtifactStore,
    catalog: Catalog,
    wanted: SchemaFingerprint,
    *,
    explain: bool,
) -> StartupMode:
    """Decide how training begins. Raises like `nearest_artifacts`.

    That nothing is near enough is known long before what is nearest, so who does not
    ask for an explanation gets a bounded search.
    """
    k, bound = (2, None) if explain else (1, WARM_START_THRESHOLD)
    found = nearest_artifacts(store, catalog, wanted, k, bound)
    runner_up = None
    if len(found) > 1:
        runner_up = Neighbor(
            distance=found[1].distance, schema_hash=found[1].artifact.schema_hash
        )
    if not found or found[0].distance > WARM_START_THRESHOLD:
        return ColdStart(
            wanted=wanted,
            stored=catalog.count(),
            nearest=found[0] if found else None,
            runner_up=runner_up,
        )
    artifact, distance = found[0].artifact, found[0].distance
    if artifact.schema_hash == wanted.schema_hash:
        return WarmLoad(wanted=wanted, artifact=artifact, runner_up=runner_up)
    return WarmStart(
        wanted=wanted, artifact=artifact, distance=distance, runner_up=runner_up
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
