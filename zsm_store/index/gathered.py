"""Fingerprints on their way into the index, flat: a few bytes per field of each."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Self

from zsm_store.index.base import DIGEST_SIZE
from zsm_store.index.row import (
    KINDS,
    Row,
    Vocabulary,
    cardinalities_of,
    each_once,
    keys_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from zsm_store.model.fingerprint import SchemaFingerprint


class Gathered:
    """Rows in the order of arrival, with a vocabulary of their own.

    So nothing of an index is touched, nor need anybody wait, while fingerprints come
    from wherever they come; and none of them is kept. A digest may stand here more than
    once: the last row counts.
    """

    __slots__ = (
        "cardinalities",
        "digests",
        "keys",
        "null_rates",
        "sampled",
        "sizes",
        "vocabulary",
    )

    def __init__(self) -> None:
        self.vocabulary = Vocabulary()
        self.digests = bytearray()
        """32 bytes per row."""
        self.sizes = array("i")
        """Number of keys of each row."""
        self.keys = array("i")
        self.sampled = bytearray()
        """Per row 1 with statistics, 0 without."""
        self.null_rates = array("f")
        """One per key of a sampled row."""
        self.cardinalities = array("f")
        """One per key of a sampled row."""

    @classmethod
    def of(cls, fingerprints: Iterable[SchemaFingerprint]) -> Self:
        """Gather fingerprints, keeping none of them."""
        gathered = cls()
        for one in fingerprints:
            gathered._add(one)
        return gathered

    def _add(self, fingerprint: SchemaFingerprint) -> None:
        fields = each_once(fingerprint.field_stats)
        self.digests += bytes.fromhex(fingerprint.schema_hash)
        self.sizes.append(len(fields))
        # Of a list at once: other iterables take arrays three times as long.
        self.keys.fromlist(keys_of(fields, self.vocabulary))
        sampled = fingerprint.record_count > 0
        self.sampled.append(sampled)
        if sampled:
            self.null_rates.fromlist([one.null_rate for one in fields])
            self.cardinalities.fromlist(cardinalities_of(fields))

    def append(self, row: Row) -> None:
        """Add a row that has its names from another vocabulary."""
        digest, keys, sampled, null_rates, cardinalities = row
        self.digests += digest
        self.sizes.append(len(keys))
        self.keys.extend(keys)
        self.sampled.append(sampled)
        self.null_rates.extend(null_rates)
        self.cardinalities.extend(cardinalities)

    def __len__(self) -> int:
        return len(self.sizes)

    def numbers(self, vocabulary: Vocabulary) -> list[int]:
        """Return the number in another vocabulary of each name, added where missing."""
        return list(map(vocabulary.number, self.vocabulary.names()))

    def rows(self, vocabulary: Vocabulary) -> Iterator[Row]:
        """Return the rows with their names as in `vocabulary`, added where missing."""
        numbers = self.numbers(vocabulary)
        start, stat = 0, 0
        for place, size in enumerate(self.sizes):
            sampled = bool(self.sampled[place])
            end, last = start + size, stat + size * sampled
            yield Row(
                bytes(self.digests[place * DIGEST_SIZE : (place + 1) * DIGEST_SIZE]),
                tuple(
                    [
                        numbers[key // KINDS] * KINDS + key % KINDS
                        for key in self.keys[start:end]
                    ]
                ),
                sampled,
                tuple(self.null_rates[stat:last]),
                tuple(self.cardinalities[stat:last]),
            )
            start, stat = end, last
