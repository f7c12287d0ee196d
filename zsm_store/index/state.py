"""What a reader sees: base, delta, and the version up to which it looks."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from zsm_store.index.delta import NO_ROW, Delta

if TYPE_CHECKING:
    from zsm_store.index.base import Base
    from zsm_store.index.row import Row, Vocabulary


class State(NamedTuple):
    """One moment of the index.

    Base, delta, deaths and vocabulary are shared with the moments before and after;
    `version` and `visible` say how much of them belongs to this one. What is shared is
    only ever added to, so a moment looks the same however long somebody looks at it.
    """

    base: Base
    delta: Delta
    vocabulary: Vocabulary
    deaths: dict[int, int]
    """Version from which on a row is no more, by number of the row."""
    version: int
    visible: int
    """Rows with this number and above came later."""
    live: int
    """Rows that are alive."""
    unsampled: int
    """Rows that are alive and have no statistics."""

    @classmethod
    def of(cls, base: Base, vocabulary: Vocabulary) -> State:
        """Return the moment at which there is a base and nothing else."""
        return cls(
            base=base,
            delta=Delta(base.count),
            vocabulary=vocabulary,
            deaths={},
            version=0,
            visible=base.count,
            live=base.count,
            unsampled=bytes(base.sampled).count(0),
        )

    def is_live(self, row: int) -> bool:
        """Whether a visible row has been neither replaced nor removed."""
        death = self.deaths.get(row)
        return death is None or death > self.version

    def is_sampled(self, row: int) -> bool:
        """Whether a row has statistics."""
        if row < self.base.count:
            return bool(self.base.sampled[row])
        return self.delta.rows[row - self.base.count].sampled

    def digest_of(self, row: int) -> bytes:
        """Return the 32 bytes of a row's schema hash."""
        if row < self.base.count:
            return self.base.digest_of(row)
        return self.delta.rows[row - self.base.count].digest

    def keys_of(self, row: int) -> list[int] | tuple[int, ...]:
        """Return the keys of a row."""
        if row < self.base.count:
            return self.base.keys_of(row)
        return self.delta.rows[row - self.base.count].keys

    def size_of(self, row: int) -> int:
        """Return the number of keys of a row."""
        if row < self.base.count:
            return self.base.offsets[row + 1] - self.base.offsets[row]
        return len(self.delta.rows[row - self.base.count].keys)

    def find(self, digest: bytes) -> int:
        """Return the live row of a schema hash, `NO_ROW` if there is none."""
        if self.delta.latest:
            row = self._last_row(digest)
            while row >= self.visible:
                row = self.delta.previous[row - self.delta.first]
        else:  # the same, at once: an exact hit is little more than this
            row = self.base.find(digest)
        if row == NO_ROW or not self.deaths or self.is_live(row):
            return row
        return NO_ROW

    def after_put(self, row: Row) -> State:
        """Add a row in place of the one with its digest. Writers only."""
        before = self._last_row(row.digest)
        after = self
        if before != NO_ROW and self.is_live(before):
            after = self._after_death(before)
        # Before, dead or not: a reader of an earlier moment gets from here to the row
        # that was alive then.
        self.delta.append(row, before)
        return State(  # `_replace` takes twice as long
            self.base,
            self.delta,
            self.vocabulary,
            self.deaths,
            version=self.version + 1,
            visible=self.visible + 1,
            live=after.live + 1,
            unsampled=after.unsampled + (not row.sampled),
        )

    def after_removal(self, digest: bytes) -> State:
        """Forget the row with a digest, if there is one. Writers only."""
        row = self.find(digest)
        return self if row == NO_ROW else self._after_death(row)

    def apart(self) -> State:
        """Return the same moment, sharing nothing that a writer adds to.

        Without what a change that was not completed has left in the parts it shares.
        """
        delta = Delta(self.delta.first)
        for number in range(self.visible - self.delta.first):
            delta.append(self.delta.rows[number], self.delta.previous[number])
        deaths = {
            row: version
            for row, version in self.deaths.items()
            if version <= self.version
        }
        return self._replace(delta=delta, deaths=deaths)

    def _last_row(self, digest: bytes) -> int:
        row = self.delta.latest.get(digest)
        return self.base.find(digest) if row is None else row

    def _after_death(self, row: int) -> State:
        self.deaths[row] = self.version + 1
        return self._replace(
            version=self.version + 1,
            live=self.live - 1,
            unsampled=self.unsampled - (not self.is_sampled(row)),
        )
