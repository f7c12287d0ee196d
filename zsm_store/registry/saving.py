"""Save many artifacts for the price of few."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zsm_store.errors import InvalidArtifactError, ZsmError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from zsm_store.model.artifact import ModelArtifact
    from zsm_store.registry.store import ArtifactStore, Saved


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveReport:
    """What `save_many` did with each artifact: one of the two."""

    saved: Mapping[str, str]
    """Digest by schema hash, in the order of the artifacts."""
    failed: Mapping[str, ZsmError]
    """The error that `save` would have raised, by schema hash."""


def save_many(
    store: ArtifactStore, artifacts: Sequence[ModelArtifact], *, if_absent: bool
) -> Iterator[tuple[ModelArtifact, Saved | ZsmError]]:
    """Save, and yield each artifact with its outcome, in order.

    Raises
    ------
    InvalidArtifactError
        Two of them are of one schema; nothing was saved.
    """
    counts = Counter(artifact.schema_hash for artifact in artifacts)
    for schema_hash, count in counts.items():
        if count > 1:
            message = f"{count} artifacts of schema {schema_hash}: which one is meant?"
            raise InvalidArtifactError(message)
    outcomes = store.save_many(artifacts, if_absent=if_absent)
    yield from zip(artifacts, outcomes, strict=True)
