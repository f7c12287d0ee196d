"""One watchdog observer on one directory.

Nothing else imports watchdog, and this only on a thread that watches: it takes longer
than a whole `zsm show`.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Self

from watchdog.events import (
    DirAttribEvent,
    DirDeletedEvent,
    DirModifiedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.polling import PollingObserverVFS

from zsm_store.storage.freshness import directory_state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from watchdog.observers.api import BaseObserver

POLLING = "polling"

# Whatever happens to a name (closed after writing, moved here or away, made, deleted)
# comes with "directory modified", so that alone is listened to: equal events in a row
# are one to watchdog's queue, which then holds a handful in any burst. "Attrib" is how
# the `utime` of the directory itself shows, all there is to see here of a change in a
# fan-out folder. Opening and reading are in none of them, so the kernel does not even
# queue them; otherwise each lookup would wake the watch that it is warmed by.
_EVENTS: list[type[FileSystemEvent]] = [
    DirModifiedEvent,
    DirAttribEvent,
    DirDeletedEvent,
]


class DirectoryObserver:
    """Calls back after what may have changed a directory, until stopped or dead.

    Attributes
    ----------
    kind : str
        "polling", or what the kernel offers: "inotify", "fsevents", "kqueue".
    """

    def __init__(self, kind: str, observer: BaseObserver) -> None:
        self.kind = kind
        self._observer = observer

    @classmethod
    def start(
        cls, path: Path, changed: Callable[[], None], *, native: bool, poll_s: float
    ) -> Self:
        """Observe a directory.

        Parameters
        ----------
        path
            The directory; must exist.
        changed
            Called on a thread of watchdog's, thousands of times in a burst.
        native
            Listen to the kernel, which knows nothing of what other hosts do.
        poll_s
            How often to look at the directory otherwise.

        Raises
        ------
        OSError
            It is gone, or a limit of the kernel is reached.
        """
        if native:
            observer = Observer()
            kind = type(observer).__name__.removesuffix("Observer").lower()
        else:
            observer = PollingObserverVFS(_status, _no_names, polling_interval=poll_s)
            kind = POLLING
        try:
            observer.schedule(
                _Handler(changed),
                path,
                event_filter=_EVENTS,
                # Otherwise inotify watches a symbolic link itself: no event, ever.
                follow_symlink=True,
            )
            observer.start()
        except BaseException:
            observer.stop()  # `Observer()` has started a thread that reads events
            raise
        return cls(kind, observer)

    def is_alive(self) -> bool:
        """Whether its threads run, as far as they can be seen.

        The one that polls or waits for the kernel ends by itself when the directory is
        deleted.
        """
        emitters = self._observer.emitters
        return self._observer.is_alive() and any(one.is_alive() for one in emitters)

    def stop(self) -> None:
        """End its threads and close its descriptors; also those of a dead one."""
        self._observer.stop()
        self._observer.join()


class _Handler(FileSystemEventHandler):
    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed

    def on_any_event(self, event: FileSystemEvent) -> None:  # noqa: ARG002  # watchdog's signature
        self._changed()


def _status(path: str) -> os.stat_result:
    """Look at a directory so that a network drive cannot answer from its cache.

    What watchdog compares are the inode, the time of modification and the size. The
    first two are given in nanoseconds, as a float would lose some, and the time of the
    last change of any kind stands in for the size, which tells less.
    """
    state = directory_state(Path(path))
    if state is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    identity = (stat.S_IFDIR, state.inode, state.device)
    times = (0, state.mtime_ns, state.ctime_ns)
    # Between them: one link, no owner, no group, and the size.
    return os.stat_result((*identity, 1, 0, 0, state.ctime_ns, *times))


def _no_names(_path: str | None) -> Iterator[os.DirEntry[str]]:
    """List nothing: a look at every file would be 100,000 requests a second."""
    return iter(())
