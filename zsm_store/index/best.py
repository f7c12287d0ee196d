"""The best neighbors found so far, and the bound that follows from them."""

from __future__ import annotations

from bisect import bisect_left

from zsm_store.model.distance import Neighbor

_new = object.__new__
_set_distance = Neighbor.__dict__["distance"].__set__
_set_schema_hash = Neighbor.__dict__["schema_hash"].__set__


def neighbor(distance: float, schema_hash: str) -> Neighbor:
    """Return what the constructor does, in half the time: a tenth of an exact hit."""
    made = _new(Neighbor)
    _set_distance(made, distance)
    _set_schema_hash(made, schema_hash)
    return made


class Best:
    """Up to `k` neighbors in order: by distance, then by digest.

    Parameters
    ----------
    k
        At least 1.
    bound
        No distance above it is of interest.
    """

    __slots__ = ("_entries", "bound", "k")

    def __init__(self, k: int, bound: float) -> None:
        self._entries: list[tuple[float, bytes]] = []
        self.k = k
        self.bound = bound
        """Whatever is farther is not among the best. Equally far may be: its digest may
        be smaller."""

    def offer(self, distance: float, digest: bytes) -> bool:
        """Take a row in, and say whether it is among the best.

        Offering a row again changes nothing. Once a row is refused, so would be all
        that are equally far or farther and have a larger digest.
        """
        if distance > self.bound:
            return False
        entries = self._entries
        entry = (distance, digest)
        place = bisect_left(entries, entry)
        if place == self.k:
            return False
        if place == len(entries) or entries[place] != entry:
            entries.insert(place, entry)
            del entries[self.k :]
            if len(entries) == self.k:
                self.bound = entries[-1][0]
        return True

    def neighbors(self) -> list[Neighbor]:
        """Return the neighbors in order."""
        return [neighbor(distance, digest.hex()) for distance, digest in self._entries]
