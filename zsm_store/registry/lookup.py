"""From a fingerprint to the nearest artifacts, and to how training begins."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, NamedTuple

from zsm_store.errors import StorageError
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
    from collections.abc import Collection, Sequence

    from zsm_store.model.fingerprint import SchemaFingerprint
    from zsm_store.registry.catalog import Catalog, View
    from zsm_store.registry.store import ArtifactStore

_TRIES = 30


def nearest_artifacts(
    store: ArtifactStore, catalog: Catalog, fingerprint: SchemaFingerprint, k: int
) -> list[NearestArtifact]:
    """Return the `k` nearest artifacts at some moment during the call.

    Raises
    ------
    StorageError
        The store cannot be read, or changes faster than that.
    """
    return _search(store, catalog, fingerprint, (k, None)).found


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
    scope = _scope(explain=explain)
    return _mode(wanted, _search(store, catalog, wanted, scope))


def startup_modes(
    store: ArtifactStore,
    catalog: Catalog,
    wanted: Sequence[SchemaFingerprint],
    *,
    explain: bool,
) -> list[StartupMode]:
    """Decide for many. Raises like `nearest_artifacts`."""
    scope = _scope(explain=explain)
    view = catalog.view()
    modes = []
    for one, neighbors in zip(
        wanted, view.moment.nearest_many(wanted, *scope), strict=True
    ):
        found, suspects = _confirmed(store, view, one, neighbors)
        answer = _Answer(found, len(view.moment))
        if suspects:  # they changed meanwhile
            answer = _search(store, catalog, one, scope, suspects)
        modes.append(_mode(one, answer))
    return modes


class _Answer(NamedTuple):
    """What a search found."""

    found: list[NearestArtifact]
    """In order."""
    stored: int
    """Artifacts that were searched."""


def _scope(*, explain: bool) -> tuple[int, float | None]:
    """Return how many artifacts a decision needs, and up to what distance."""
    return (2, None) if explain else (1, WARM_START_THRESHOLD)


def _search(
    store: ArtifactStore,
    catalog: Catalog,
    fingerprint: SchemaFingerprint,
    scope: tuple[int, float | None],
    suspects: Collection[str] = (),
) -> _Answer:
    for _ in range(_TRIES):
        view = catalog.view(suspects)
        neighbors = view.moment.nearest(fingerprint, *scope)
        found, suspects = _confirmed(store, view, fingerprint, neighbors)
        if not suspects:
            return _Answer(found, len(view.moment))
    busy = OSError(errno.EBUSY, "it changes faster than it can be read; try again")
    raise StorageError.of("look up in", store.location, busy)


def _confirmed(
    store: ArtifactStore,
    view: View,
    fingerprint: SchemaFingerprint,
    neighbors: list[Neighbor],
) -> tuple[list[NearestArtifact], set[str]]:
    """Load neighbors; also return which are not any more what the index saw.

    The index proposes, the definition decides: the file may be newer.
    """
    found, suspects = [], set()
    for neighbor in neighbors:
        key = neighbor.schema_hash
        artifact = store.load_version(key, view.listing.get(key), hurried=True)
        if (
            artifact is None
            or fingerprint_distance(artifact.fingerprint, fingerprint)
            != neighbor.distance
        ):
            suspects.add(key)
        else:
            found.append(NearestArtifact(artifact=artifact, distance=neighbor.distance))
    return found, suspects


def _mode(wanted: SchemaFingerprint, answer: _Answer) -> StartupMode:
    found = answer.found
    runner_up = None
    if len(found) > 1:
        runner_up = Neighbor(
            distance=found[1].distance, schema_hash=found[1].artifact.schema_hash
        )
    if not found or found[0].distance > WARM_START_THRESHOLD:
        return ColdStart(
            wanted=wanted,
            stored=answer.stored,
            nearest=found[0] if found else None,
            runner_up=runner_up,
        )
    artifact, distance = found[0].artifact, found[0].distance
    if artifact.schema_hash == wanted.schema_hash:
        return WarmLoad(wanted=wanted, artifact=artifact, runner_up=runner_up)
    return WarmStart(
        wanted=wanted, artifact=artifact, distance=distance, runner_up=runner_up
    )
