"""Keep the index of a long-lived registry warm."""

from __future__ import annotations

import threading
import time
import weakref
from typing import TYPE_CHECKING

from zsm_store.storage.file_system import is_local

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from zsm_store.registry.catalog import Catalog
    from zsm_store.storage.watch import DirectoryWatch

LONG_LIVED_S = 1.0
"""Age from which on a registry that is still asked will probably be asked again."""


class Warmth:
    """Watches a registry's directory, so that a lookup finds its index up to date.

    Only once somebody asks again after a while: a command or a script that asks and
    ends has no use for threads.

    Parameters
    ----------
    path
        The registry's directory.
    catalog
        What to refresh. It is referred to weakly: a registry that nobody closes, but
        nobody holds any more either, takes its watch with it.
    """

    def __init__(self, path: Path, catalog: Catalog) -> None:
        self._path = path
        self._catalog = weakref.ref(catalog)
        self._lock = threading.Lock()
        self._asked_first: float | None = None
        self._closed = False
        self.watch: DirectoryWatch | None = None
        """None while there is none."""

    def note_question(self) -> None:
        """Start to watch, if this is a registry that lives on."""
        if self.watch is not None or self._closed:
            return
        now = time.monotonic()
        if self._asked_first is None:
            self._asked_first = now
        elif now >= self._asked_first + LONG_LIVED_S:
            self._start()

    def close(self) -> None:
        """Stop watching, for good."""
        with self._lock:
            self._closed = True
            watch, self.watch = self.watch, None
        if watch is not None:
            watch.close()

    def after_fork(self) -> None:
        """Leave the watch to the parent; the child may start its own."""
        self._lock = threading.Lock()
        self._asked_first = self.watch = None

    def _start(self) -> None:
        from zsm_store.storage.watch import DirectoryWatch  # noqa: PLC0415

        with self._lock:
            if self.watch is not None or self._closed:
                return
            self.watch = DirectoryWatch(
                self._path, _refresher(self._catalog), is_local=is_local(self._path)
            )
            weakref.finalize(self, self.watch.close)
            self.watch.start()


def _refresher(catalog: weakref.ref[Catalog]) -> Callable[[], None]:
    """Return what the watch calls; it must not keep the registry alive."""

    def refresh() -> None:
        found = catalog()
        if found is not None:
            found.refresh()

    return refresh
