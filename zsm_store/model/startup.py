"""How a training run begins, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from zsm_store.model.distance import WARM_START_THRESHOLD, Neighbor, distance_parts

if TYPE_CHECKING:
    from zsm_store.model.alignment import AlignedParams
    from zsm_store.model.artifact import ModelArtifact
    from zsm_store.model.fingerprint import SchemaFingerprint
    from zsm_store.model.schema import FieldKind


@dataclass(frozen=True, slots=True, kw_only=True)
class KindChange:
    """A field of the same name and another kind."""

    name: str
    stored: FieldKind
    wanted: FieldKind


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldDrift:
    """How the statistics of a common field moved between the two samples."""

    name: str
    null_rate: float
    """Wanted less stored, -1 to 1."""
    stored_cardinality: int
    wanted_cardinality: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A stored fingerprint beside the wanted one."""

    schema_hash: str
    """The stored one."""
    distance: float
    structure: float
    """Part of the distance that names and kinds cost, 0 to 0.7."""
    statistics: float
    """Part of the distance that null rates and cardinalities cost, 0 to 0.3."""
    kept: tuple[str, ...]
    """Fields of the same name and kind, in the order of the wanted schema."""
    added: tuple[str, ...]
    """Fields that only the wanted schema has."""
    removed: tuple[str, ...]
    """Fields that only the stored schema has."""
    kind_changed: tuple[KindChange, ...]
    drift: tuple[FieldDrift, ...]
    """Of common names whose statistics differ; empty without samples on both sides."""


def explain(wanted: SchemaFingerprint, stored: SchemaFingerprint) -> Explanation:
    """Say what two fingerprints share and where they differ."""
    parts = distance_parts(wanted, stored)
    in_stored = {stats.name: stats for stats in stored.field_stats}
    in_wanted = {stats.name: stats for stats in wanted.field_stats}
    common = [name for name in in_wanted if name in in_stored]
    sampled = wanted.record_count > 0 and stored.record_count > 0
    pairs = [(in_stored[name], in_wanted[name]) for name in common]
    return Explanation(
        schema_hash=stored.schema_hash,
        distance=parts.total,
        structure=parts.structure,
        statistics=parts.statistics,
        kept=tuple(new.name for old, new in pairs if old.kind is new.kind),
        added=tuple(name for name in in_wanted if name not in in_stored),
        removed=tuple(name for name in in_stored if name not in in_wanted),
        kind_changed=tuple(
            KindChange(name=new.name, stored=old.kind, wanted=new.kind)
            for old, new in pairs
            if old.kind is not new.kind
        ),
        drift=tuple(
            FieldDrift(
                name=new.name,
                null_rate=new.null_rate - old.null_rate,
                stored_cardinality=old.cardinality,
                wanted_cardinality=new.cardinality,
            )
            for old, new in pairs
            if sampled
            and (old.null_rate, old.cardinality) != (new.null_rate, new.cardinality)
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class NearestArtifact:
    """A stored artifact and how far it is from a query."""

    artifact: ModelArtifact
    distance: float
    """A float32 value, 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Warm:
    """What a warm load and a warm start have in common."""

    wanted: SchemaFingerprint
    artifact: ModelArtifact
    runner_up: Neighbor | None = None
    """The next nearest artifact; None without one, or if the lookup was not asked to
    explain."""

    @property
    def explanation(self) -> Explanation:
        """What the two fingerprints share and where they differ."""
        return explain(self.wanted, self.artifact.fingerprint)

    def aligned(self) -> AlignedParams:
        """Parameters in the order of the wanted fields, matched by name."""
        return self.artifact.params_for(self.wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmLoad(_Warm):
    """The very same schema was trained before: use its parameters, no EM at all."""

    name: ClassVar[str] = "warm_load"
    distance: ClassVar[float] = 0.0

    @property
    def reason(self) -> str:
        """One line that says why."""
        return "the very same schema was trained before"


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmStart(_Warm):
    """A similar schema was trained before: start EM from its parameters."""

    name: ClassVar[str] = "warm_start"

    distance: float
    """0 to `WARM_START_THRESHOLD`."""

    @property
    def reason(self) -> str:
        """One line that says why."""
        return (
            f"a similar schema was trained before, at distance {self.distance:.4g} "
            f"(at most {WARM_START_THRESHOLD})"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ColdStart:
    """Nothing near was trained before: full EM."""

    name: ClassVar[str] = "cold_start"

    wanted: SchemaFingerprint
    stored: int
    """How many artifacts there were to start from."""
    nearest: NearestArtifact | None = None
    """The closest artifact, too far to start from; None in an empty registry, or if the
    lookup was not asked to explain."""
    runner_up: Neighbor | None = None
    """The next nearest artifact, as `nearest`."""

    @property
    def distance(self) -> float | None:
        """Distance of `nearest`."""
        return None if self.nearest is None else self.nearest.distance

    @property
    def reason(self) -> str:
        """One line that says why."""
        if not self.stored:
            return "the registry holds no usable artifact"
        if self.nearest is None:
            return f"no artifact of {self.stored:,} is within {WARM_START_THRESHOLD}"
        return (
            f"the nearest artifact is at distance {self.nearest.distance:.4g}, "
            f"above {WARM_START_THRESHOLD}"
        )

    @property
    def explanation(self) -> Explanation | None:
        """How the closest artifact differs."""
        if self.nearest is None:
            return None
        return explain(self.wanted, self.nearest.artifact.fingerprint)


StartupMode = WarmLoad | WarmStart | ColdStart
