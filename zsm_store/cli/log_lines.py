"""The library's log as lines on standard error."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from zsm_store.cli import terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zsm_store.cli.session import Session

_ROOT = "zsm_store"


class _LogLines(logging.Handler):
    """Prints warnings once each, and with ``--verbose`` everything."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._said: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if record.levelno >= logging.WARNING:
            # A registry that changes is read again, and says the same again.
            if message not in self._said:
                self._said.add(message)
                terminal.warn(message)
        elif self._session.verbose:
            terminal.tell(f"zsm: {record.levelname.lower()}: {message}")


@contextmanager
def log_lines(session: Session) -> Iterator[None]:
    """Print what the library logs while the context lasts."""
    logger = logging.getLogger(_ROOT)
    handler = _LogLines(session)
    level = logger.level
    logger.addHandler(handler)
    # Always, because --verbose may stand behind the verb; the handler is what filters.
    logger.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
