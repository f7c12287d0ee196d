"""What differs between two artifacts as the rows of tables, wherever they are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from zsm_store.cli.artifact_list import short_hashes
from zsm_store.cli.fact_text import NOTHING, fact_text, number, object_texts, texts
from zsm_store.cli.table import Column
from zsm_store.codec.artifact_json import DIGEST_PREFIX
from zsm_store.model.comparison import Presence

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from zsm_store.cli.named_artifact import NamedArtifact
    from zsm_store.model.comparison import Comparison, Fact, FieldChange, LevelChange
    from zsm_store.model.fingerprint import FieldStats

_LABELS = {
    "tag": "tag",
    "trained_on": "trained",
    "em_iterations": "EM iterations",
    "record_count": "records",
    "created_at": "sampled",
    "log_prior_odds": "prior log odds",
    "upper_threshold": "match from",
    "lower_threshold": "non-match below",
    "mappings": "mappings",
    "field_order": "order of fields",
}
_COUNTS = {"em_iterations", "record_count"}
_NUMBERS = {"log_prior_odds", "upper_threshold", "lower_threshold"}
_OBJECTS = {"context", "extra"}
_MOST_DIGITS = 9
"""Decimal digits that tell any two float32 apart."""

_SIDES = (Column(""), Column("artifact", least=8), Column("hash"), Column("digest"))
_FACTS = (Column(""), Column("before"), Column("after"), Column("change"))
_SHAPES = (Column("field", least=8), Column("is"), Column("kind"), Column("levels"))
_STATISTICS = (
    Column("field", least=8),
    Column("missing"),
    Column("distinct"),
    Column("most frequent", least=12),
)
_LEVELS = (
    Column("field", least=8),
    Column("level", right=True),
    Column("m"),
    Column("u"),
    Column("weight"),
    Column("change", right=True),
)


class DiffTable(NamedTuple):
    """One part of a comparison, with a title or none."""

    title: str
    columns: tuple[Column, ...]
    rows: Sequence[Sequence[str]]
    is_signed: bool = False
    """Whether the last column tells what went up and what went down."""


def sides_table(before: NamedArtifact, after: NamedArtifact) -> DiffTable:
    """Return which two artifacts are compared."""
    sides = {"before": before, "after": after}
    hashes = short_hashes(side.artifact.schema_hash for side in sides.values())
    digests = short_hashes(_digits(side.digest) for side in sides.values())
    rows = [
        [
            name,
            side.name,
            hashes[side.artifact.schema_hash],
            digests[_digits(side.digest)],
        ]
        for name, side in sides.items()
    ]
    return DiffTable("", _SIDES, rows)


def _digits(digest: str) -> str:
    return digest.removeprefix(DIGEST_PREFIX)


def difference_tables(comparison: Comparison) -> Iterator[DiffTable]:
    """Yield a table for each part in which there is a difference."""
    fields = comparison.fields
    facts = [row for fact in comparison.facts for row in _fact_rows(fact)]
    if facts:
        yield DiffTable("", _FACTS, facts)
    reshaped = [_shape_row(change) for change in fields if change.is_reshaped]
    if reshaped:
        yield DiffTable("fields", _SHAPES, reshaped)
    statistics = [row for change in fields for row in _statistics_row(change)]
    if statistics:
        yield DiffTable("statistics", _STATISTICS, statistics)
    levels = [
        _level_row(change.name, level)
        for change in fields
        for level in change.levels
        if level.differs
    ]
    if levels:
        title = "comparison levels, the field of the largest change of weight first"
        yield DiffTable(title, _LEVELS, levels, is_signed=True)


def _fact_rows(fact: Fact) -> Iterator[list[str]]:
    name, before, after = fact
    if name in _OBJECTS:
        yield from _object_rows(name, before, after)
    elif name in _LABELS:
        change = ""
        if name in _COUNTS:
            change = f"{after - before:+,}"
        elif name in _NUMBERS:
            change = f"{after - before:+.6g}"
        sides = [fact_text(name, before), fact_text(name, after)]
        if name in _NUMBERS and sides[0] == sides[1]:
            sides = [f"{before:.{_MOST_DIGITS}g}", f"{after:.{_MOST_DIGITS}g}"]
        yield [_LABELS[name], *sides, change]


def _object_rows(name: str, before: Any, after: Any) -> Iterator[list[str]]:
    """Yield a row for each key with another value."""
    old, new = object_texts(before), object_texts(after)
    for key in sorted({**old, **new}):
        sides = [old.get(key, NOTHING), new.get(key, NOTHING)]
        if old.get(key) != new.get(key):
            yield [f"{name} {key}", *sides, ""]
    if old == new:  # an empty object is not the same as none
        sides = [NOTHING if it is None else "{}" for it in (before, after)]
        yield [name, *sides, ""]


def _shape_row(change: FieldChange) -> list[str]:
    if change.presence is not Presence.KEPT:
        kind = _kind(change.before or change.after)
        return [change.name, change.presence.value, kind, str(len(change.levels))]
    kinds = _pair(_kind(change.before), _kind(change.after))
    before = sum(level.before is not None for level in change.levels)
    after = sum(level.after is not None for level in change.levels)
    return [change.name, "changed", kinds, _pair(str(before), str(after))]


def _kind(stats: FieldStats | None) -> str:
    return NOTHING if stats is None else stats.kind.value


def _statistics_row(change: FieldChange) -> Iterator[list[str]]:
    old, new = change.before, change.after
    if old is None or new is None:
        return
    rates = _numbers([old.null_rate * 100, new.null_rate * 100])
    cells = [
        _changed(*(f"{rate} %" for rate in rates)),
        _changed(f"{old.cardinality:,}", f"{new.cardinality:,}"),
        _changed(texts(old.top_k), texts(new.top_k)),
    ]
    if any(cells):
        yield [change.name, *cells]


def _level_row(name: str, level: LevelChange) -> list[str]:
    sides = level.before, level.after
    return [
        name,
        str(level.number),
        _pair(*_numbers([None if it is None else it.m for it in sides])),
        _pair(*_numbers([None if it is None else it.u for it in sides])),
        _pair(*(NOTHING if it is None else f"{it.weight:+.2f}" for it in sides)),
        NOTHING if None in sides else f"{level.shift:+.2f}",
    ]


def _numbers(values: list[float | None]) -> list[str]:
    """Return two numbers as text, which differs if they do."""
    said = [NOTHING if value is None else number(value) for value in values]
    if said[0] == said[1] and values[0] != values[1]:
        said = [f"{value:.{_MOST_DIGITS}g}" for value in values if value is not None]
    return said


def _pair(before: str, after: str) -> str:
    return before if before == after else f"{before} -> {after}"


def _changed(before: str, after: str) -> str:
    return "" if before == after else f"{before} -> {after}"
