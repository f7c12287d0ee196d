"""A fingerprint as the index holds it: numbers instead of names."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from zsm_store.model.fingerprint import FieldStats
from zsm_store.model.float32 import float32_from_count
from zsm_store.model.schema import FieldKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from zsm_store.model.fingerprint import SchemaFingerprint

KINDS = len(FieldKind)
"""Keys per name."""

# By identity: the hash of an enum member is a function written in Python.
CODES = {id(kind): kind.code for kind in FieldKind}

_EXACT_IN_FLOAT32 = 1 << 24


class Vocabulary:
    """Numbers the field names. A number once given never changes.

    Readers ask while a writer adds: a name is there or not, nothing in between.
    """

    __slots__ = ("_numbers", "find")

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._numbers = {name: number for number, name in enumerate(names)}
        self.find = self._numbers.get
        """The number of a name, or None."""

    def number(self, name: str) -> int:
        """Return the number of a name; a new name gets the next one. Writers only."""
        return self._numbers.setdefault(name, len(self._numbers))

    def __len__(self) -> int:
        return len(self._numbers)

    def names(self) -> list[str]:
        """Return the names by rising number."""
        # Of a dict itself, list() is one step, whatever a writer adds meanwhile; of
        # something that iterates it would be many.
        return list(self._numbers)


class Row(NamedTuple):
    """A stored fingerprint. `keys`, `null_rates` and `cardinalities` are parallel."""

    digest: bytes
    """The 32 bytes of the schema hash; they sort as its digits do."""
    keys: tuple[int, ...]
    """Every (name, kind) once, as ``number * KINDS + code``."""
    sampled: bool
    """Whether there are statistics."""
    null_rates: tuple[float, ...]
    """Float32 values; empty unless sampled."""
    cardinalities: tuple[float, ...]
    """Float32 values; empty unless sampled. Of two kinds of one name, both have what
    counts for the name."""

    @classmethod
    def of(cls, fingerprint: SchemaFingerprint, vocabulary: Vocabulary) -> Row:
        """Convert a fingerprint, adding its names to the vocabulary."""
        fields = each_once(fingerprint.field_stats)
        sampled = fingerprint.record_count > 0
        return cls(
            bytes.fromhex(fingerprint.schema_hash),
            tuple(keys_of(fields, vocabulary)),
            sampled,
            tuple([one.null_rate for one in fields]) if sampled else (),
            tuple(cardinalities_of(fields)) if sampled else (),
        )


class Query:
    """A fingerprint that is looked for. Names that no row has are only counted."""

    __slots__ = ("_fields", "_numbers", "_statistics", "count", "keys", "sampled")

    def __init__(self, fingerprint: SchemaFingerprint, vocabulary: Vocabulary) -> None:
        find = vocabulary.find
        self._fields = fields = fingerprint.field_stats
        self._numbers = numbers = [find(one.name) for one in fields]
        self._statistics: list[tuple[int, float, float]] | None = None
        self.keys = frozenset(
            [
                number * KINDS + CODES[id(one.kind)]
                for number, one in zip(numbers, fields)  # noqa: B905  # as in `keys_of`
                if number is not None
            ]
        )
        self.count = len(self.keys)
        """Fields, unknown ones included."""
        if self.count < len(fields):
            self.count = len(each_once(fields))
        self.sampled = fingerprint.record_count > 0

    @property
    def statistics(self) -> list[tuple[int, float, float]]:
        """Number of the name, null rate, cardinality, in the order of summation.

        That is by code points of the names; each name once. Made when first asked for:
        most queries that find nothing never ask.
        """
        if self._statistics is None:
            counts = map(float, cardinalities_of(self._fields))
            known = {
                one.name: (number, one.null_rate, count)
                for number, one, count in zip(
                    self._numbers, self._fields, counts, strict=True
                )
                if number is not None
            }
            self._statistics = [known[name] for name in sorted(known)]
        return self._statistics


def each_once(fields: Sequence[FieldStats]) -> Sequence[FieldStats]:
    """Return one field per (name, kind), with the statistics that count for its name.

    Only foreign bundles hold a name twice: the fields are a set then, and of the
    statistics the last ones win, whatever their kind.
    """
    last = {one.name: one for one in fields}
    if len(last) == len(fields):
        return fields
    return [
        FieldStats(
            name=name,
            kind=kind,
            null_rate=last[name].null_rate,
            cardinality=last[name].cardinality,
        )
        for name, kind in dict.fromkeys((one.name, one.kind) for one in fields)
    ]


def keys_of(fields: Sequence[FieldStats], vocabulary: Vocabulary) -> list[int]:
    """Return the key of each field, adding its name to the vocabulary."""
    names = [one.name for one in fields]
    numbers = [number for number in map(vocabulary.find, names) if number is not None]
    if len(numbers) < len(names):
        numbers = list(map(vocabulary.number, names))
    return [
        number * KINDS + CODES[id(one.kind)]
        for number, one in zip(numbers, fields)  # noqa: B905  # to check is a fifth more
    ]


def cardinalities_of(fields: Sequence[FieldStats]) -> list[float]:
    """Return the cardinality of each field as a float32 value.

    The maximum of two float32 is the float32 of the maximum, and no count above 0
    becomes 0: nothing is lost by rounding once and early.
    """
    counts: list[float] = [one.cardinality for one in fields]
    if max(counts, default=0) <= _EXACT_IN_FLOAT32:
        return counts
    return [float32_from_count(one.cardinality) for one in fields]
