"""A directory to try things out in, on the registry's own file system."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from zsm_store.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from zsm_store.storage.private import PrivateDirectory


@contextmanager
def scratch_directory(private: PrivateDirectory) -> Iterator[Path]:
    """Make a directory among the staging files, where nobody looks; gone afterwards.

    Raises
    ------
    StorageError
        Nothing can be written there.
    """
    was_there = os.path.lexists(private.path)
    staging_dir = private.make()
    scratch = staging_dir / f"doctor.{os.urandom(8).hex()}"
    try:
        scratch.mkdir()
    except OSError as error:
        raise StorageError.of("write", staging_dir, error) from error
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        if not was_there:
            _remove_unused(private)


def _remove_unused(private: PrivateDirectory) -> None:
    """Remove the private folder, unless somebody has begun to use it meanwhile."""
    with suppress(OSError):
        private.staging_dir.rmdir()
        # Only now: without the staging directory nobody relies on what else is there.
        (private.path / ".gitignore").unlink()
        private.path.rmdir()
