"""What the writers store and the readers ask, in the test of fresh answers.

Everything follows from a key and the number of a version, so a log of numbers is enough
to say afterwards what any directory state held and what is right to answer.
"""

from __future__ import annotations

import random
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from tests.examples import CREATED_AT, trained
from zsm_store.model.fingerprint import FieldStats, SchemaFingerprint
from zsm_store.model.schema import Field, FieldKind, Schema

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zsm_store.model.artifact import ModelArtifact

WRITERS = 4
ASKED = "asked"
"""A name that is asked for and never stored."""

_COLUMNS = 6
_RECORDS = 1_000
_STEP = 0.05
"""Drifts are multiples of it, so that several keys are equally far."""
_CROWD_OF_EACH = 3
_FILLERS = 600
"""So many that the kernel returns a listing in parts, and that most of the index is in
arrays, of which there is a cache."""


class Key(NamedTuple):
    """An address in the registry. Keys of one family have the same fields."""

    family: str
    name: str


class Step(NamedTuple):
    """What a writer does next: save a version, or delete where there is none."""

    key: Key
    version: int | None


@cache
def fingerprint(key: Key, version: int) -> SchemaFingerprint:
    """Return what a version of a key looks like.

    Version 0 has not drifted; an even one is within the threshold of it, an odd one is
    not. Every eighth has no statistics: as near as can be, like every other such.
    """
    columns = _COLUMNS + (key.name == "wider")
    schema = Schema(
        Field(f"{key.family} {number}", FieldKind.NAME) for number in range(columns)
    )
    drift = _drift(key, version)
    bare = SchemaFingerprint.from_schema(
        schema, context={"name": key.name}, created_at=CREATED_AT
    )
    stats = tuple(
        FieldStats(
            name=field.name,
            kind=field.kind,
            null_rate=drift,
            cardinality=round(_RECORDS * (1 - drift)),
        )
        for field in bare.field_stats
    )
    records = 0 if version and version % 8 == 0 else _RECORDS + version
    return replace(bare, field_stats=stats, record_count=records)


def _drift(key: Key, version: int) -> float:
    if version == 0:
        return 0.0
    chosen = random.Random(f"{key} {version}")  # noqa: S311  # repeatable, no secret
    return _STEP * (chosen.randint(18, 20) if version % 2 else chosen.randint(0, 6))


def artifact(key: Key, version: int) -> ModelArtifact:
    """Return a version of a key as it is stored; its iterations are the version."""
    return trained(fingerprint(key, version), em_iterations=version)


@cache
def schema_hash(key: Key) -> str:
    """Return the address of a key."""
    return fingerprint(key, 0).schema_hash


def fillers() -> list[Key]:
    """Return what is stored from the beginning and is far from everything."""
    return [Key(f"filler {number}", "only") for number in range(_FILLERS)]


def owned(writer: int) -> list[Key]:
    """Return the keys that one writer saves and deletes, and nobody else."""
    crowd = [f"{writer}.{number}" for number in range(_CROWD_OF_EACH)]
    return [
        *(Key("crowd", name) for name in crowd),
        *(Key(f"pair {writer}", name) for name in ("one", "other")),
        *(Key(f"tide {writer}", name) for name in ("one", "wider")),
        Key(f"rare {writer}", "only"),
    ]


def queries() -> list[Key]:
    """Return what readers ask for: the neighbors of a family, and every key."""
    keys = [key for writer in range(WRITERS) for key in owned(writer)]
    families = dict.fromkeys(key.family for key in keys)
    return [*(Key(family, ASKED) for family in families), *keys]


def bursts(writer: int, rng: random.Random) -> Iterator[list[Step]]:
    """Yield without end what a writer does at once, before it rests."""
    *crowd, one, other, ebb, flow, rare = owned(writer)
    numbers = _Numbers()
    plays = [
        _crowd(crowd, numbers, rng),
        _pair(one, other, numbers),
        _tide(ebb, flow, numbers),
        _crowd([rare], numbers, rng),
    ]
    while True:
        play = rng.choice(plays)
        yield [next(play) for _ in range(rng.randint(1, 6))]


class _Numbers:
    """The next version of each key."""

    def __init__(self) -> None:
        self._last: dict[Key, int] = {}

    def near(self, key: Key) -> Step:
        return self._next(key, parity=0)

    def far(self, key: Key) -> Step:
        return self._next(key, parity=1)

    def _next(self, key: Key, parity: int) -> Step:
        last = self._last.get(key, 0)
        self._last[key] = last + 2 - (last + parity) % 2
        return Step(key, self._last[key])


def _crowd(keys: list[Key], numbers: _Numbers, rng: random.Random) -> Iterator[Step]:
    """Save, replace and delete at random."""
    present: set[Key] = set()
    while True:
        key = rng.choice(keys)
        if key in present and rng.random() < 0.4:
            present.remove(key)
            yield Step(key, None)
        else:
            present.add(key)
            yield numbers.near(key) if rng.random() < 0.7 else numbers.far(key)


def _pair(one: Key, other: Key, numbers: _Numbers) -> Iterator[Step]:
    """Keep at least one of two stored: whoever sees neither saw two moments mixed."""
    yield numbers.near(one)
    while True:
        yield numbers.near(other)
        yield Step(one, None)
        yield numbers.near(one)
        yield Step(other, None)


def _tide(ebb: Key, flow: Key, numbers: _Numbers) -> Iterator[Step]:
    """Keep at least one of two near, both being stored all the time."""
    yield numbers.near(ebb)
    yield numbers.near(flow)
    while True:
        yield numbers.far(ebb)
        yield numbers.near(ebb)
        yield numbers.far(flow)
        yield numbers.near(flow)
