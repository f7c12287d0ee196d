"""Shows on a terminal that something which takes long is still going on."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from zsm_store.cli.printable import fitted, printable
from zsm_store.cli.terminal import PLAIN_WIDTH

if TYPE_CHECKING:
    from collections.abc import Iterator

_PATIENCE_S = 1.0
_TICK_S = 0.2
_CLEAR = "\r\x1b[K"


@contextmanager
def working(what: str) -> Iterator[None]:
    """Show `what` and the seconds on standard error once it takes longer than one.

    Nothing is shown where standard error is no terminal.
    """
    if not sys.stderr.isatty():
        yield
        return
    done = threading.Event()
    clock = threading.Thread(target=_tick, args=(what, done), daemon=True)
    clock.start()
    try:
        yield
    finally:
        done.set()
        clock.join()


def _tick(what: str, done: threading.Event) -> None:
    started = time.monotonic()
    if done.wait(_PATIENCE_S):
        return
    # By hand: the total is not known, so there is no bar to fill.
    label = fitted(printable(what), PLAIN_WIDTH - 10)
    while not done.wait(_TICK_S):
        sys.stderr.write(f"{_CLEAR}{label} {time.monotonic() - started:.0f} s")
        sys.stderr.flush()
    sys.stderr.write(_CLEAR)
    sys.stderr.flush()
