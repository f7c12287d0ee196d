"""The immutable part of the index: columns of numbers, one entry per row or per key.

Every column is a memoryview: a short slice of one is read faster than of an array, and
a reader that reads few postings needs no numpy. `base_arrays` builds the columns.
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zsm_store.index.row import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Column = memoryview[int]
    FloatColumn = memoryview[float]

DIGEST_SIZE = 32

_first_32_bits = struct.Struct(">I").unpack_from

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
    digests: bytes | memoryview
    """32 bytes of each schema hash, rising."""
    by_digest: Column
    """(row,) int32: the row of each of `digests`."""
    ranks: Column
    """(row,) int32: the place of each row in `by_digest`."""
    digest_starts: Column
    """(bucket + 1,) uint32: where in `digests` those begin whose first 32 bits, shifted
    right by `digest_shift`, are at least this number. At least as many buckets as rows:
    SHA-256 fills them evenly, so that one hash is looked up among one or two."""
    digest_shift: int
    """0 to 32."""

    @property
    def names(self) -> int:
        """Number of names that keys may be of."""
        return (len(self.posting_offsets) - 1) // KINDS

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
            digest_shift=32,
        )

    def find(self, digest: bytes) -> int:
        """Return the row of a schema hash, -1 if there is none."""
        starts = self.digest_starts
        bucket: int = _first_32_bits(digest)[0] >> self.digest_shift
        place, end = starts[bucket], starts[bucket + 1]
        if end - place > _FEW:  # hashes that no SHA-256 made may be crowded
            place = bisect_left(range(end), digest, place, key=self._digest_at)
        digests = self.digests
        while place < end:
            start = place * DIGEST_SIZE
            if digests[start : start + DIGEST_SIZE] == digest:
                return self.by_digest[place]
            place += 1
        return -1

    def digest_of(self, row: int) -> bytes:
        """Return the 32 bytes of a row's schema hash."""
        return self._digest_at(self.ranks[row])

    def _digest_at(self, place: int) -> bytes:
        # bytes, because views cannot be sorted.
        return bytes(self.digests[place * DIGEST_SIZE : (place + 1) * DIGEST_SIZE])

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

    def unsampled(self) -> Iterator[int]:
        """Return the rows without statistics; fast where they are few."""
        sampled = bytes(self.sampled)
        row = sampled.find(0)
        while row >= 0:
            yield row
            row = sampled.find(0, row + 1)

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
