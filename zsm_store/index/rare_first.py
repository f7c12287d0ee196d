"""The index that a registry uses: exact, sublinear, updatable."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

from zsm_store.index.base import Base
from zsm_store.index.delta import NO_ROW
from zsm_store.index.gathered import Gathered
from zsm_store.index.imported import has_numpy
from zsm_store.index.row import Row, Vocabulary
from zsm_store.index.search import search
from zsm_store.index.state import State
from zsm_store.model.fingerprint import is_schema_hash

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from zsm_store.index.interface import IndexMoment
    from zsm_store.model.distance import Neighbor
    from zsm_store.model.fingerprint import SchemaFingerprint

MANY = 50
"""Queries at once that are worth what numpy costs per call."""

IMPORT_MANY = 5_000
"""Queries at once that are worth what it takes to import it."""

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
    a little; `compact` merges it. A put does the same when there is more of it than an
    eighth of the index, but at least 512 and at most 4096, and takes about a
    microsecond per fingerprint then; readers go on meanwhile, and so do other writers.
    numpy is imported by the first merge, so an index of up to 512 fingerprints needs
    none.
    """

    def __init__(self) -> None:
        self._state = State.of(Base.empty(), Vocabulary())
        self._writing = threading.Lock()
        self._merging = threading.Lock()
        self._log: list[_Change] | None = None
        """During a merge: what others change meanwhile."""

    @classmethod
    def build(cls, fingerprints: Iterable[SchemaFingerprint]) -> RareFirstIndex:
        """Build an index of many at once; of those with the same hash the last one."""
        index = cls()
        index.update(fingerprints)
        return index

    @classmethod
    def of_base(cls, base: Base, vocabulary: Vocabulary) -> RareFirstIndex:
        """Return an index of what is in a base, whose names are those of `vocabulary`.

        The arrays are used as they are, and the vocabulary is added to.
        """
        index = cls()
        index._state = State.of(base, vocabulary)
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
        asked = list(fingerprints)
        if len(asked) < (MANY if has_numpy() else IMPORT_MANY) or not state.base.count:
            return [search(state, one, k, max_distance) for one in asked]
        from zsm_store.index.batch import search_many  # noqa: PLC0415

        return search_many(state, asked, k, max_distance)

    def moment(self) -> IndexMoment:
        """Return what is stored now; later changes do not show in it."""
        found = RareFirstIndex()
        found._state = self._state
        return found

    def put(self, fingerprint: SchemaFingerprint) -> None:
        """Add a fingerprint, in place of the one with its hash."""
        with self._writing:
            self._publish(
                lambda state: state.after_put(Row.of(fingerprint, state.vocabulary)),
                lambda: _Change(Gathered.of([fingerprint]), frozenset()),
            )
        self._merge_if_due()

    def remove(self, schema_hash: str) -> None:
        """Forget a fingerprint; nothing happens where there is none."""
        digest = _digest(schema_hash)
        if digest is None:
            return
        with self._writing:
            self._publish(
                lambda state: state.after_removal(digest),
                lambda: _Change(Gathered(), frozenset([digest])),
            )
        self._merge_if_due()

    def update(
        self, puts: Iterable[SchemaFingerprint], removals: Iterable[str] = ()
    ) -> None:
        """Put and remove many, as one change: a search sees all of it or nothing.

        More than may be kept beside the arrays is merged into them at once, which is
        also how to fill an index. What others put and remove during that counts as
        later, and is not lost.
        """
        # Neither lock is held yet: reading files may take its time, or fail.
        digests = map(_digest, removals)
        change = _Change(
            Gathered.of(puts), frozenset(one for one in digests if one is not None)
        )
        with self._writing:
            is_small = self._state.version + change.size <= self._limit()
            if is_small:
                self._publish(change.applied_to, lambda: change)
        if not is_small:
            with self._merging:
                self._merge(change)

    def compact(self) -> None:
        """Merge what has changed into the arrays.

        Readers are not held up, nor are writers except at the beginning and at the end.
        What they change meanwhile is noted and repeated on the result before anybody
        sees it.
        """
        with self._merging:
            self._merge(_Change(Gathered(), frozenset()))

    def tidy(self) -> None:
        """Merge before a writer has to, on a thread that nobody waits for."""
        if self._state.version > self._limit() // 2:
            self.compact()

    def after_fork(self) -> None:
        """Make the child of a fork independent of the parent's threads."""
        is_half_done = self._writing.locked()
        self._writing = threading.Lock()
        self._merging = threading.Lock()
        self._log = None
        if is_half_done:  # half of a change is in what moments share
            self._state = self._state.apart()

    def live_base(self) -> tuple[Base, Vocabulary, list[int]] | None:
        """Return the arrays as of now, without what is kept beside them.

        Returns
        -------
        tuple or None
            The base, the names it uses, and its rows that are alive by rising digest.
            None if there are no arrays.
        """
        state = self._state
        base = state.base
        if not base.count:
            return None
        names = state.vocabulary.names()[: base.names]
        rows = base.by_digest.tolist()
        if state.deaths:
            rows = [row for row in rows if state.is_live(row)]
        return base, Vocabulary(names), rows

    def __len__(self) -> int:
        return self._state.live

    def __contains__(self, schema_hash: object) -> bool:
        digest = _digest(schema_hash)
        return digest is not None and self._state.find(digest) != NO_ROW

    def _publish(
        self, change: Callable[[State], State], note: Callable[[], _Change]
    ) -> None:
        """Let readers see the next moment. With `_writing` held."""
        try:
            after = change(self._state)
            if self._log is not None:
                self._log.append(note())
            self._state = after
        except BaseException:
            # Moments share what a writer adds to, and half of a change is in it now.
            self._state = self._state.apart()
            raise

    def _limit(self) -> int:
        """Return how many changes may be kept beside the base."""
        return min(max(SMALLEST_LIMIT, self._state.base.count // 8), LARGEST_LIMIT)

    def _merge_if_due(self) -> None:
        # Each change adds a row, a death, or both.
        changes = self._state.version
        if changes <= SMALLEST_LIMIT or changes <= self._limit():
            return
        # Whoever comes while another one merges has nothing to do.
        if self._merging.acquire(blocking=False):
            try:
                self._merge(_Change(Gathered(), frozenset()))
            finally:
                self._merging.release()

    def _merge(self, change: _Change) -> None:
        from zsm_store.index.base_arrays import merged  # noqa: PLC0415

        log: list[_Change] = []
        with self._writing:
            before = self._state
            self._log = log
        try:
            base, vocabulary = merged(before, change.puts, change.removed)
            with self._writing:
                state = State.of(base, vocabulary)
                for later in log:
                    state = later.applied_to(state)
                self._state = state
                self._log = None
        finally:
            self._log = None


class _Change(NamedTuple):
    """What is put, after something else is removed."""

    puts: Gathered
    removed: frozenset[bytes]

    @property
    def size(self) -> int:
        return len(self.puts) + len(self.removed)

    def applied_to(self, state: State) -> State:
        for digest in self.removed:
            state = state.after_removal(digest)
        for row in self.puts.rows(state.vocabulary):
            state = state.after_put(row)
        return state


def _digest(schema_hash: object) -> bytes | None:
    if isinstance(schema_hash, str) and is_schema_hash(schema_hash):
        return bytes.fromhex(schema_hash)
    return None
