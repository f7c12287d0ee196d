"""How far two schemas are apart: the definition, one pair at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zsm_store.model.float32 import float32, float32_from_count

if TYPE_CHECKING:
    from zsm_store.model.fingerprint import FieldStats, SchemaFingerprint

WARM_START_THRESHOLD = 0.25
"""Largest distance at which training starts from the neighbor's parameters."""

EXACT_MATCH_THRESHOLD = 0.0
"""Distance of equal schema hashes. Two different hashes may also be at distance 0 (same
fields, other mappings or context): that is a warm start, since only an equal hash is
an exact match."""

_STRUCTURE_WEIGHT = float32(0.7)
_STATISTICS_WEIGHT = float32(0.3)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Neighbor:
    """A stored fingerprint near a query. Sorts by distance, then by hash."""

    distance: float
    """A float32 value, 0 to 1."""
    schema_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DistanceParts:
    """A distance and the two parts it is the float32 sum of."""

    structure: float
    """``(1 - jaccard) * 0.7``: names and kinds. 0 to 0.7."""
    statistics: float
    """``(1 - stats) * 0.3``: null rates and cardinalities. 0 to 0.3."""

    @property
    def total(self) -> float:
        """The distance, a float32 value."""
        return float32(self.structure + self.statistics)


def fingerprint_distance(a: SchemaFingerprint, b: SchemaFingerprint) -> float:
    """Distance between two schemas.

    Returns
    -------
    float
        A float32 value, 0 (same schema hash) to 1, without unit:
        ``(1 - jaccard) * 0.7 + (1 - stats) * 0.3``. Without a sample on both sides
        `stats` is 1: unknown statistics cost nothing.

    Notes
    -----
    The peer's formula in the peer's precision (zer-schema 1.1.1): float64 can land on
    the other side of the threshold. The peer sums in hash-map order and varies by up to
    4 units in the last place; here the common names are summed in code-point order, so
    the distance is symmetric bit for bit.
    """
    return distance_parts(a, b).total


def distance_parts(a: SchemaFingerprint, b: SchemaFingerprint) -> DistanceParts:
    """Split the distance into what the structure and what the statistics cost."""
    if a.schema_hash == b.schema_hash:
        return DistanceParts(structure=0.0, statistics=0.0)
    return DistanceParts(
        structure=float32(float32(1 - _jaccard(a, b)) * _STRUCTURE_WEIGHT),
        statistics=float32(float32(1 - _stats_similarity(a, b)) * _STATISTICS_WEIGHT),
    )


def _jaccard(a: SchemaFingerprint, b: SchemaFingerprint) -> float:
    in_a = {(stats.name, stats.kind) for stats in a.field_stats}
    in_b = {(stats.name, stats.kind) for stats in b.field_stats}
    union = len(in_a | in_b)
    return float32(len(in_a & in_b) / union) if union else 1.0


def _stats_similarity(a: SchemaFingerprint, b: SchemaFingerprint) -> float:
    if a.record_count == 0 or b.record_count == 0:
        return 1.0
    # Of a name that stands twice (only the peer writes such), the last one counts.
    in_a = {stats.name: stats for stats in a.field_stats}
    in_b = {stats.name: stats for stats in b.field_stats}
    common = sorted(in_a.keys() & in_b.keys())
    if not common:
        return 0.0
    total = 0.0
    for name in common:
        total = float32(total + _field_similarity(in_a[name], in_b[name]))
    return float32(total / len(common))


def _field_similarity(a: FieldStats, b: FieldStats) -> float:
    drift = abs(a.null_rate - b.null_rate)
    # Not min(): the peer's minimum of NaN and 1 is 1.
    null_similarity = float32(1 - float32(drift)) if drift < 1 else 0.0
    if a.cardinality == b.cardinality == 0:
        cardinality_similarity = 1.0
    else:
        in_a = float32_from_count(a.cardinality)
        in_b = float32_from_count(b.cardinality)
        ratio = float32(float32(abs(in_a - in_b)) / max(in_a, in_b))
        cardinality_similarity = float32(1 - ratio)
    return float32(float32(null_similarity + cardinality_similarity) / 2)
