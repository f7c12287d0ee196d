"""How fast this machine reads memory: what any linear scan has to pay."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from tests.benchmarks.stopwatch import quiet

BYTES_PER_ARTIFACT = 52
"""The least that a linear scan must read: 4 bytes per field and one for their number,
rounded up to what 12 to 13 fields take."""
_REPEATS = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Bandwidth:
    """Of one thread, far beyond the caches, in GB/s."""

    read: float
    copy: float
    """Bytes read plus bytes written."""

    def linear_pass_us(self, artifacts: int) -> float:
        """Time to read what a scan of so many artifacts must read, from memory."""
        return artifacts * BYTES_PER_ARTIFACT / self.read / 1_000


def measure_bandwidth(size_mb: int = 256) -> Bandwidth:
    """Read and copy an array of `size_mb` megabytes a few times."""
    source = np.ones(size_mb * 1_000_000 // 8, dtype=np.int64)
    target = np.zeros_like(source)
    reading, copying = [], []
    with quiet():
        for _ in range(_REPEATS):
            begin = time.perf_counter()
            # The maximum, not the sum: it is vectorized and waits for memory only.
            source.max()
            between = time.perf_counter()
            np.copyto(target, source)
            reading.append(between - begin)
            copying.append(time.perf_counter() - between)
    gigabytes = source.nbytes / 1e9
    return Bandwidth(read=gigabytes / min(reading), copy=2 * gigabytes / min(copying))
