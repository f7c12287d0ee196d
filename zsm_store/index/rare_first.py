"""The index that a registry uses: exact, sublinear, updatable."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from zsm_store.index.base import Base
from zsm_store.index.delta import NO_ROW, Delta
from zsm_store.index.row import Row, Vocabulary
from zsm_store.index.search import search
from zsm_store.index.state import State
from zsm_store.model.fingerprint import is_schema_hash

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zsm_store.model.distance import Neighbor
    from zsm_store.model.fingerprint import SchemaFingerprint

SMALLEST_LIMIT = 512
"""Changes that are kept beside the base before they are merged into it, at least."""

LARGEST_LIMIT = 4096
"""The same, at most."""


class RareFirstIndex:
    """Looks at few of the fingerprints. See `FingerprintIndex` and docs/nearest.md.

    Readers take no lock: they read one attribute, `_state`, which is one moment of the
    index and never changes for them. So an answer is that of the definition over the
    fingerprints of one moment between the beginning and the end of the call. Writers
    take turns. Any number of threads may do both.

    Without the global interpreter lock the same holds as far as CPython makes single
    operations on lists and dicts atomic, and publishes an object before the reference
    to it: readers rely on no more than ``dict.get``, ``list[i]`` and ``list(a_list)``
    seeing what was there when `_state` was assigned, and possibly later additions,
    which they pass over. No free-threaded build has been tested.

    What was put or removed lately is kept beside the arrays and costs every search
    a little; `compact` merges it. A put calls it when there is more of it than an
    eighth of the index, but at least 512 and at most 4096. Then that one put takes as
    long as `compact`, several microseconds per fingerprint; readers go on meanwhile,
    and so do other writers. numpy is imported by the first compaction, so an index of
    up to 512 fingerprints needs none.
    """

    def __init__(self) -> None:
        self._state = _state_of(Base.empty(), Vocabulary(), 0)
        self._writing = threading.Lock()
        self._compacting = threading.Lock()
        self._log: list[SchemaFingerprint | bytes] | None = None
        """During a compaction: what was put, and the digests of what was removed."""

    @classmethod
    def build(cls, fingerprints: Iterable[SchemaFingerprint]) -> RareFirstIndex:
        """Build an index of many at once; of those with the same hash the last one.

        Faster than to put them one by one, and what numpy can do it does at once.
        """
        index = cls()
        vocabulary = index._state.vocabulary
        rows = {one.schema_hash: Row.of(one, vocabulary) for one in fingerprints}
        if len(rows) <= SMALLEST_LIMIT:
            for row in rows.values():
                index._state = index._state.after_put(row)
            return index
        from zsm_store.index.base_arrays import base_of  # noqa: PLC0415

        base = base_of(list(rows.values()), vocabulary)
        unsampled = sum(not row.sampled for row in rows.values())
        index._state = _state_of(base, vocabulary, unsampled)
        return index

    def nearest(
        self,
        fingerprint: SchemaFingerprint,
        k: int = 1,
        max_distance: float | None = None,
    ) -> list[Neighbor]:
        """Return up to `k` neighbors, none farther than `max_distance`."""
        return search(self._state, fingerprint, k, max_distance)

    def nearest_many(
        self,
        fingerprints: Iterable[SchemaFingerprint],
        k: int = 1,
        max_distance: float | None = None,
    ) -> list[list[Neighbor]]:
        """Return what `nearest` returns for each, all of the same moment."""
        state = self._state
        return [search(state, one, k, max_distance) for one in fingerprints]

    def put(self, fingerprint: SchemaFingerprint) -> None:
        """Add a fingerprint, in place of the one with its hash."""
        with self._writing:
            state = self._state
            self._state = state.after_put(Row.of(fingerprint, state.vocabulary))
            if self._log is not None:
                self._log.append(fingerprint)
        self._compact_if_due()

    def remove(self, schema_hash: str) -> None:
        """Forget a fingerprint; nothing happens where there is none."""
        digest = _digest(schema_hash)
        if digest is None:
            return
        with self._writing:
            self._state = self._state.after_removal(digest)
            if self._log is not None:
                self._log.append(digest)
        self._compact_if_due()

    def compact(self) -> None:
        """Merge what has changed into the arrays.

        Readers are not held up, nor are writers except at the beginning and at the end.
        What they change meanwhile is noted and repeated on the result before anybody
        sees it.
        """
        with self._compacting:
            self._compact()

    def __len__(self) -> int:
        return self._state.live

    def __contains__(self, schema_hash: object) -> bool:
        digest = _digest(schema_hash)
        return digest is not None and self._state.find(digest) != NO_ROW

    def _compact_if_due(self) -> None:
        state = self._state
        limit = min(max(SMALLEST_LIMIT, state.base.count // 8), LARGEST_LIMIT)
        # Each change adds a row, a death, or both.
        if state.version <= limit:
            return
        # Whoever comes while another one compacts has nothing to do.
        if self._compacting.acquire(blocking=False):
            try:
                self._compact()
            finally:
                self._compacting.release()

    def _compact(self) -> None:
        from zsm_store.index.base_arrays import compacted  # noqa: PLC0415

        log: list[SchemaFingerprint | bytes] = []
        with self._writing:
            before = self._state
            self._log = log
        try:
            base, vocabulary = compacted(before)
            with self._writing:
                after = _state_of(base, vocabulary, before.unsampled)
                for change in log:
                    if isinstance(change, bytes):
                        after = after.after_removal(change)
                    else:
                        after = after.after_put(Row.of(change, vocabulary))
                self._state = after
                self._log = None
        finally:
            self._log = None


def _state_of(base: Base, vocabulary: Vocabulary, unsampled: int) -> State:
    return State(
        base=base,
        delta=Delta(base.count),
        vocabulary=vocabulary,
        deaths={},
        version=0,
        visible=base.count,
        live=base.count,
        unsampled=unsampled,
    )


def _digest(schema_hash: object) -> bytes | None:
    if isinstance(schema_hash, str) and is_schema_hash(schema_hash):
        return bytes.fromhex(schema_hash)
    return None
