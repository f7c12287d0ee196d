"""What differs between two artifacts: usually two trainings of one schema."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zsm_store.model.artifact import ModelArtifact
    from zsm_store.model.fingerprint import FieldStats


class Presence(StrEnum):
    """Which of the two artifacts has a field."""

    ADDED = "added"
    """Only the one after."""
    REMOVED = "removed"
    """Only the one before."""
    KEPT = "kept"


class Fact(NamedTuple):
    """A value of the whole artifact that is another one."""

    name: str
    """As in the artifact's file; ``field_order`` where the same fields stand in another
    order."""
    before: Any
    after: Any


class Level(NamedTuple):
    """What one artifact says of a comparison level."""

    m: float
    u: float
    weight: float
    """log2(m / u), in bits; may be infinite."""


class LevelChange(NamedTuple):
    """A comparison level of a field in both artifacts, the same or not."""

    number: int
    before: Level | None
    """None where the field has not so many levels."""
    after: Level | None

    @property
    def differs(self) -> bool:
        """Whether m or u is another one."""
        return self.before != self.after

    @property
    def shift(self) -> float:
        """Weight after less weight before, in bits; 0 where a side has no weight.

        From one infinite weight to itself it is 0, else infinite.
        """
        if self.before is None or self.after is None:
            return 0.0
        if self.before.weight == self.after.weight:  # both may be infinite
            return 0.0
        return self.after.weight - self.before.weight


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldChange:
    """A field that differs between two artifacts."""

    name: str
    presence: Presence
    before: FieldStats | None
    """None where it is added, or where a row of m belongs to no field."""
    after: FieldStats | None
    levels: tuple[LevelChange, ...]
    """All of them, in their order."""

    @property
    def largest_shift(self) -> float:
        """The largest change of a match weight, whatever its sign, in bits."""
        return max((abs(level.shift) for level in self.levels), default=0.0)

    @property
    def is_reshaped(self) -> bool:
        """Whether it is a change of what is compared, not only of numbers."""
        is_new_kind = (
            self.before is not None
            and self.after is not None
            and self.before.kind is not self.after.kind
        )
        return (
            self.presence is not Presence.KEPT
            or is_new_kind
            or any(None in (level.before, level.after) for level in self.levels)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What differs between two artifacts; it is empty if, and only if, nothing does."""

    facts: tuple[Fact, ...]
    fields: tuple[FieldChange, ...]
    """First those that are added, removed or of another shape, then by the largest
    change of a match weight."""

    @property
    def differs(self) -> bool:
        """Whether there is any difference."""
        return bool(self.facts or self.fields)


class _Column(NamedTuple):
    """A field with its rows of m, u and weights; or rows without a field."""

    stats: FieldStats | None
    levels: tuple[Level, ...]


_Key = tuple[str, int]
"""Name of a field, and which of that name: the peer may have stored one twice."""


def compare(before: ModelArtifact, after: ModelArtifact) -> Comparison:
    """Compare two artifacts field by field, aligned by name.

    Parameters
    ----------
    before, after
        As a registry serves them: m and u have the same shape.
    """
    old, new = _columns(before), _columns(after)
    facts = [
        Fact(name, first, second)
        for (name, first), (_, second) in zip(
            _facts(before), _facts(after), strict=True
        )
        if first != second
    ]
    if old.keys() == new.keys() and list(old) != list(new):
        names = (tuple(name for name, _ in columns) for columns in (old, new))
        facts.append(Fact("field_order", *names))
    changes = [
        _field_change(name, old.get((name, number)), new.get((name, number)))
        # In the order of the newer one, so that equal changes stand as its fields do.
        for name, number in {**new, **old}
    ]
    ordered = sorted(
        filter(_differs, changes),
        key=lambda change: (not change.is_reshaped, -change.largest_shift),
    )
    return Comparison(facts=tuple(facts), fields=tuple(ordered))


def _facts(artifact: ModelArtifact) -> Iterator[tuple[str, Any]]:
    fingerprint, params = artifact.fingerprint, artifact.params
    yield "schema_hash", artifact.schema_hash
    yield "tag", artifact.tag
    yield "trained_on", artifact.trained_on
    yield "em_iterations", artifact.em_iterations
    yield "record_count", fingerprint.record_count
    yield "created_at", fingerprint.created_at
    yield "log_prior_odds", params.log_prior_odds
    yield "upper_threshold", params.upper_threshold
    yield "lower_threshold", params.lower_threshold
    yield "mappings", fingerprint.mappings
    yield "context", fingerprint.context
    yield "extra", artifact.extra


def _columns(artifact: ModelArtifact) -> dict[_Key, _Column]:
    params, stats = artifact.params, artifact.fingerprint.field_stats
    weights = params.match_weights()
    rows = [
        tuple(map(Level, *row)) for row in zip(params.m, params.u, weights, strict=True)
    ]
    if len(rows) == len(stats):
        columns = list(map(_Column, stats, rows))
    else:
        # Whose rows they are is not known: compared by position, apart from the fields.
        columns = [_Column(field, ()) for field in stats]
        columns += [_Column(None, row) for row in rows]
    seen: Counter[str] = Counter()
    keyed = {}
    for place, column in enumerate(columns):
        stats_of = column.stats
        name = f"row {place - len(stats)}" if stats_of is None else stats_of.name
        keyed[name, seen[name]] = column
        seen[name] += 1
    return keyed


def _field_change(name: str, old: _Column | None, new: _Column | None) -> FieldChange:
    presence = Presence.KEPT
    if old is None or new is None:
        presence = Presence.ADDED if old is None else Presence.REMOVED
    pairs = zip_longest(
        () if old is None else old.levels, () if new is None else new.levels
    )
    return FieldChange(
        name=name,
        presence=presence,
        before=None if old is None else old.stats,
        after=None if new is None else new.stats,
        levels=tuple(LevelChange(number, *pair) for number, pair in enumerate(pairs)),
    )


def _differs(change: FieldChange) -> bool:
    return (
        change.presence is not Presence.KEPT
        or not _same_stats(change.before, change.after)
        or any(level.differs for level in change.levels)
    )


def _same_stats(before: FieldStats | None, after: FieldStats | None) -> bool:
    if before is None or after is None:
        return before is after
    rates = before.null_rate, after.null_rate
    # A NaN, which the peer may have stored, is not equal to itself.
    return (rates[0] == rates[1] or all(map(math.isnan, rates))) and (
        (before.kind, before.cardinality, before.top_k)
        == (after.kind, after.cardinality, after.top_k)
    )
