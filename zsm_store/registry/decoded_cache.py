"""Artifacts decoded a moment ago, for as long as their files stay the same."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from zsm_store.model.artifact import ModelArtifact
    from zsm_store.storage.freshness import Reading

CAPACITY = 256
"""Artifacts kept; one takes about 20 KB."""


class Decoded(NamedTuple):
    """A decoded and checked file."""

    artifact: ModelArtifact
    digest: str
    """``sha256:`` and 64 hex digits."""


class DecodedCache:
    """The most recently used artifacts, by schema hash."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[Reading, Decoded]] = OrderedDict()

    def get(self, schema_hash: str) -> tuple[Reading, Decoded] | None:
        """Return what was read last, and when; whether that holds is not known here."""
        with self._lock:
            kept = self._kept.get(schema_hash)
            if kept is not None:
                self._kept.move_to_end(schema_hash)
            return kept

    def put(self, schema_hash: str, reading: Reading, decoded: Decoded) -> None:
        """Keep what was decoded."""
        with self._lock:
            self._kept[schema_hash] = reading, decoded
            self._kept.move_to_end(schema_hash)
            while len(self._kept) > CAPACITY:
                self._kept.popitem(last=False)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._kept.clear()

    def after_fork(self) -> None:
        """Make the child of a fork independent of a thread that is not there."""
        self._lock = threading.Lock()
