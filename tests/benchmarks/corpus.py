"""The stored fingerprints: families of near-duplicates, the same for the same seed."""

from __future__ import annotations

import random
import zlib
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

from tests.benchmarks.fast_build import Column, build_fingerprint
from tests.benchmarks.vocabulary import Style, Vocabulary
from zsm_store.model.schema import FieldKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.vocabulary import FamilyNames
    from zsm_store.model.fingerprint import SchemaFingerprint

_KINDS = tuple(FieldKind)
_KIND_FLIPS = 0.02
_FEWEST, _MOST, _MEAN = 4, 60, 12.0
_SPREAD = 0.55
_FAMILY_EXPONENT = 1.3
_LARGEST_FAMILY = 300
_EDITS = 3
_COMPLETE = 0.8
"""Share of columns without a missing value."""
_RATES = tuple(step / 4096 for step in range(4097))
"""Null rates that float32 holds exactly."""
_JITTER = 0.15


class Family(NamedTuple):
    """Tables that descend from one."""

    names: FamilyNames
    first: list[Column]
    """The columns of that one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """Fingerprints of distinct hashes, and the families they come from."""

    style: Style
    seed: int
    stored: list[SchemaFingerprint]
    extra: list[SchemaFingerprint]
    """More of the same families, not stored: what updates put."""
    families: list[Family]
    """One per stored fingerprint, the same object for relatives."""
    vocabulary: Vocabulary

    @property
    def fields(self) -> int:
        """Fields of all stored fingerprints."""
        return sum(len(one.field_stats) for one in self.stored)

    @property
    def names(self) -> int:
        """Distinct field names."""
        return len({stats.name for one in self.stored for stats in one.field_stats})


def make_corpus(style: Style, size: int, seed: int, extra: int = 0) -> Corpus:
    """Return `size` fingerprints, half of them without statistics."""
    rng = random.Random(f"{style}/{size}/{seed}")  # noqa: S311  # repeatable, no secret
    vocabulary = Vocabulary(style, size)
    made: dict[str, tuple[SchemaFingerprint, Family]] = {}
    for columns, family in _tables(rng, vocabulary):
        fingerprint = build_fingerprint(columns, sample_size(rng, with_stats=None))
        made.setdefault(fingerprint.schema_hash, (fingerprint, family))
        if len(made) == size + extra:
            break
    everything = list(made.values())
    # Else the extra ones would all belong to the last families.
    rng.shuffle(everything)
    return Corpus(
        style=style,
        seed=seed,
        stored=[fingerprint for fingerprint, _ in everything[:size]],
        extra=[fingerprint for fingerprint, _ in everything[size:]],
        families=[family for _, family in everything[:size]],
        vocabulary=vocabulary,
    )


def first_table(rng: random.Random, names: FamilyNames) -> list[Column]:
    """Return the columns of the first table of a family."""
    log_mean = -(_SPREAD**2) / 2
    width = round(_MEAN * rng.lognormvariate(log_mean, _SPREAD))
    return add_columns([], min(max(width, _FEWEST), _MOST), rng, names)


def add_columns(
    columns: list[Column], number: int, rng: random.Random, names: FamilyNames
) -> list[Column]:
    """Return the columns and `number` new ones."""
    taken = {column.name for column in columns}
    added = list(columns)
    while number:
        name = names.draw(rng)
        if name not in taken:
            taken.add(name)
            added.append(_new_column(name, rng))
            number -= 1
    return added


def jitter(column: Column, rng: random.Random) -> Column:
    """Return the column with the statistics of another sample."""
    null_rate = column.null_rate
    if null_rate:
        null_rate = _RATES[int(null_rate * 4096 * rng.uniform(1 - _JITTER, 1))]
    grown = rng.uniform(1 - _JITTER, 1 + _JITTER)
    return column._replace(
        null_rate=null_rate, cardinality=max(1, int(column.cardinality * grown))
    )


def sample_size(rng: random.Random, *, with_stats: bool | None) -> int:
    """Return a record count: 0, not 0, or each half of the time."""
    if with_stats is None:
        with_stats = rng.random() < 0.5
    return rng.randint(50, 1_000) if with_stats else 0


def _tables(
    rng: random.Random, vocabulary: Vocabulary
) -> Iterator[tuple[list[Column], Family]]:
    for number in count():
        names = vocabulary.family(rng, f"own{number}")
        family = Family(names, first_table(rng, names))
        size = min(int(rng.paretovariate(_FAMILY_EXPONENT)), _LARGEST_FAMILY)
        yield family.first, family
        for _ in range(size - 1):
            yield _relative(family, rng), family


def _relative(family: Family, rng: random.Random) -> list[Column]:
    """Return a near-duplicate: up to 3 fields more or less, other statistics."""
    edits = rng.randint(-_EDITS, _EDITS)
    kept = [_flip(jitter(column, rng), rng) for column in family.first]
    if edits < 0:
        fewer = max(_FEWEST, len(kept) + edits)
        kept = rng.sample(kept, min(fewer, len(kept)))
    return add_columns(kept, min(max(edits, 0), _MOST - len(kept)), rng, family.names)


def _flip(column: Column, rng: random.Random) -> Column:
    if rng.random() < _KIND_FLIPS:
        return column._replace(kind=rng.choice(_KINDS))
    return column


def _new_column(name: str, rng: random.Random) -> Column:
    # One name mostly has one kind, wherever it occurs.
    kind = _KINDS[zlib.crc32(name.encode()) % len(_KINDS)]
    null_rate = 0.0 if rng.random() < _COMPLETE else _RATES[int(rng.random() * 4096)]
    cardinality = int(10 ** rng.uniform(0, 3))
    return Column(name, kind, null_rate, cardinality)
