"""One training of a schema, as a registry remembers it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from zsm_store.model.artifact import ModelArtifact


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One training of a schema."""

    schema_hash: str
    replaced_at: datetime | None
    """When it was replaced or deleted, UTC; None for the version that is served."""
    digest: str | None
    """None where it cannot be read."""
    artifact: ModelArtifact | None
    problem: str = ""
    """Why it cannot be read."""

    @property
    def is_served(self) -> bool:
        """Whether a lookup may answer with it."""
        return self.replaced_at is None
