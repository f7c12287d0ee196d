"""The clock by which a file system stamps files; that of a drive is its server's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zsm_store.errors import StorageError
from zsm_store.storage.atomic import staged

if TYPE_CHECKING:
    from pathlib import Path


def file_clock(staging_dir: Path) -> float:
    """Return the Unix time that a file gets which is written now.

    Raises
    ------
    StorageError
        Nothing can be written there.
    """
    with staged((b"\n",), "clock", staging_dir, sync=False) as probe:
        try:
            return probe.stat().st_mtime
        except OSError as error:
            raise StorageError.of("read", probe, error) from error
