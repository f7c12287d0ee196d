"""The immutable part of the index: columns of numbers, one entry per row or per key.

Every column is a memoryview: a short slice of one is read faster than of an array, and
a reader that reads few postings needs no numpy. `base_arrays` builds the columns.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    Column = memoryview[int]
    FloatColumn = memoryview[float]

DIGEST_SIZE = 32

_FEW = 8
"""Hashes up to which they are compared one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """Rows sorted by number of fields, then by digest. A row's number is its place.

    So the rows of a posting list, which are in rising order, are in order of size, and
    those of a range of sizes are a slice.
    """

    count: int
    """Rows."""
    offsets: Column
    """(row + 1,) uint32: where the keys of each row begin."""
    keys: Column
    """(field,) int32: the keys of each row."""
    stat_offsets: Column
    """(row + 1,) uint32: where the statistics of each row begin."""
    null_rates: FloatColumn
    """(field of a sampled row,) float32."""
    cardinalities: FloatColumn
    """(field of a sampled row,) float32."""
    sampled: Column
    """(row,) uint8: 1 with statistics, 0 without."""
    posting_offsets: Column
    """(key + 1,) uint32: where the posting list of each key begins."""
    postings: Column
    """(field,) int32: the rows that hold each key, rising."""
    size_starts: Column
    """(size + 1,) int32: the first row of at least that many fields."""
    digests: bytes
    """32 bytes of each row's schema hash."""
    by_digest: Column
    """(row,) int32: the rows by rising digest."""
    ranks: Column
    """(row,) int32: the place of each row in `by_digest`."""
    digest_starts: Column
    """(2**digest_bits + 1,) int32: where in `by_digest` the digests begin whose first
    bits are at least this number. As many buckets as rows: SHA-256 fills them evenly,
    so that one hash is looked up in a row or two."""
    digest_bits: int
    """At most 32."""

    @classmethod
    def empty(cls) -> Base:
        """Return a base of no rows."""
        ints: Column = memoryview(array("i", [0]))
        none: Column = memoryview(array("i"))
        no_floats: FloatColumn = memoryview(array("f"))
        return cls(
            count=0,
            offsets=ints,
            keys=none,
            stat_offsets=ints,
            null_rates=no_floats,
            cardinalities=no_floats,
            sampled=none,
            posting_offsets=ints,
            postings=none,
            size_starts=memoryview(array("i", [0, 0])),
            digests=b"",
            by_digest=none,
            ranks=none,
            digest_starts=memoryview(array("i", [0, 0])),
            digest_bits=0,
        )

    def find(self, digest: bytes) -> int:
        """Return the row of a schema hash, -1 if there is none."""
        bucket = int.from_bytes(digest[:4]) >> (32 - self.digest_bits)
        start, end = self.digest_starts[bucket], self.digest_starts[bucket + 1]
        if end - start > _FEW:  # hashes that no SHA-256 made may be crowded
            start = bisect_left(self.by_digest, digest, start, end, key=self.digest_of)
            end = min(start + 1, end)
        for row in self.by_digest[start:end]:
            if self.digests[row * DIGEST_SIZE : (row + 1) * DIGEST_SIZE] == digest:
                return row
        return -1

    def digest_of(self, row: int) -> bytes:
        """Return the 32 bytes of a row's schema hash."""
        return self.digests[row * DIGEST_SIZE : (row + 1) * DIGEST_SIZE]

    def keys_of(self, row: int) -> list[int]:
        """Return the keys of a row."""
        return self.keys[self.offsets[row] : self.offsets[row + 1]].tolist()

    def statistics_of(self, row: int) -> tuple[Sequence[float], Sequence[float]]:
        """Return the null rates and cardinalities of a sampled row, per key."""
        start, end = self.stat_offsets[row], self.stat_offsets[row + 1]
        return (
            self.null_rates[start:end].tolist(),
            self.cardinalities[start:end].tolist(),
        )

    def posting_range(self, key: int) -> tuple[int, int]:
        """Return where in `postings` the rows with a key begin and end."""
        if key + 1 >= len(self.posting_offsets):  # a name that came later
            return 0, 0
        return self.posting_offsets[key], self.posting_offsets[key + 1]

    def rows_of_size(self, low: int, high: int | None) -> tuple[int, int]:
        """Return the first row of `low` fields and the first of more than `high`."""
        last = len(self.size_starts) - 1
        end = self.count if high is None else self.size_starts[min(high + 1, last)]
        return self.size_starts[min(low, last)], end
