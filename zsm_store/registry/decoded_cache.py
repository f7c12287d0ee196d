"""Artifacts decoded a moment ago, for as long as their files stay the same."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

from zsm_store.storage.freshness import Reading

if TYPE_CHECKING:
    from collections.abc import Hashable

    from zsm_store.model.artifact import ModelArtifact

CAPACITY = 256
"""Artifacts kept; one takes about 20 KB."""


class Decoded(NamedTuple):
    """A decoded and checked file."""

    artifact: ModelArtifact
    digest: str
    """``sha256:`` and 64 hex digits."""


class DecodedCache:
    """The most recently used artifacts, by schema hash.

    An artifact is only returned to who has just seen its file, unchanged.
    """

    def __init__(self, granularity_s: float) -> None:
        self._granularity_s = granularity_s
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[Reading, Decoded]] = OrderedDict()

    def get(self, schema_hash: str, state: Hashable) -> Decoded | None:
        """Return what was decoded from the file in this state."""
        with self._lock:
            reading, decoded = self._kept.get(schema_hash, (None, None))
            if reading is None or not reading.holds(state, self._granularity_s):
                return None
            self._kept.move_to_end(schema_hash)
            return decoded

    def note(self, schema_hash: str, state: Hashable) -> Reading:
        """Note that the file, in this state, is about to be read."""
        with self._lock:
            before, _ = self._kept.get(schema_hash, (None, None))
        return Reading.of(state, before)

    def put(self, schema_hash: str, reading: Reading, decoded: Decoded) -> None:
        """Keep what was decoded."""
        with self._lock:
            self._kept[schema_hash] = reading, decoded
            self._kept.move_to_end(schema_hash)
            while len(self._kept) > CAPACITY:
                self._kept.popitem(last=False)
