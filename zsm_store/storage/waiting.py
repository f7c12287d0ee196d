"""What those who wait for a lock have seen of it."""

from __future__ import annotations

import time


class Waiting:
    """What somebody who waits for a lock has seen so far."""

    def __init__(self) -> None:
        self._seen: bytes | None = None
        self._looked_at = 0.0
        self.unchanged_s = 0.0
        """For how long the lock has looked the same."""

    def look(self, content: bytes, longest_gap_s: float) -> None:
        """Note what the lock looks like.

        Longer gaps between two looks count as `longest_gap_s`: while nobody could look,
        a server down or this host suspended, the holder could not write, either.
        """
        now = time.monotonic()
        if content == self._seen:
            self.unchanged_s += min(now - self._looked_at, longest_gap_s)
        else:
            self._seen, self.unchanged_s = content, 0.0
        self._looked_at = now
