"""A trained Fellegi-Sunter model and what it was trained on."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from zsm_store.model.canonical import JsonObject
from zsm_store.model.fingerprint import SchemaFingerprint, check_u64
from zsm_store.model.schema import check_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zsm_store.model.alignment import AlignedParams
    from zsm_store.model.params import ModelParams
    from zsm_store.model.schema import Schema


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelArtifact:
    """One training run: fingerprint, parameters and where they come from."""

    fingerprint: SchemaFingerprint
    params: ModelParams
    em_iterations: int
    tag: str | None = None
    """A name for people, not necessarily unique."""
    trained_on: int = field(default_factory=lambda: int(time.time()))
    """Unix time in seconds."""
    extra: Mapping[str, Any] | None = None
    """A JSON object, held as `JsonObject`: the user's own facts, such as the settings
    of the trainer."""

    def __post_init__(self) -> None:
        check_u64("em_iterations", self.em_iterations)
        check_u64("trained_on", self.trained_on)
        if self.tag is not None:
            check_text("tag", self.tag)
        if self.extra is not None and not isinstance(self.extra, JsonObject):
            object.__setattr__(self, "extra", JsonObject(self.extra))

    @property
    def schema_hash(self) -> str:
        """Address of the artifact, 64 lower-case hex digits."""
        return self.fingerprint.schema_hash

    def params_for(
        self,
        schema: Schema | SchemaFingerprint,
        *,
        levels: int | Mapping[str, int] | None = None,
    ) -> AlignedParams:
        """Parameters in the order of another schema, aligned by field name.

        Use this, never the rows by position: columns move, and positional use after
        re-ordering links the wrong people.

        Parameters
        ----------
        schema
            The schema that is about to be trained or scored.
        levels
            Number of comparison levels of fields that are new, one for all or by name;
            the most frequent number in this artifact by default.

        Returns
        -------
        AlignedParams
            With the names of what was kept, filled from priors, and dropped.

        Raises
        ------
        InvalidArtifactError
            The artifact has not one row per field, so nobody knows whose rows they are.
        """
        # Here, since whoever only shows or copies artifacts need not wait for it.
        from zsm_store.model.alignment import align_params  # noqa: PLC0415  # see above

        return align_params(
            self.params, self.fingerprint.fields, schema.fields, levels=levels
        )
