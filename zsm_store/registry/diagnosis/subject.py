"""The registry that is looked at."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from zsm_store.errors import StorageError
from zsm_store.storage.directory import ArtifactDirectory
from zsm_store.storage.file_clock import file_clock
from zsm_store.storage.file_system import is_local, is_shared, mount_of
from zsm_store.storage.private import PrivateDirectory

if TYPE_CHECKING:
    from pathlib import Path

    from zsm_store.registry.settings import RegistrySettings
    from zsm_store.storage.file_system import Mount


class NotTried(Exception):  # noqa: N818  # no error: a check that has to be left out
    """Why a check cannot be made."""


@dataclass
class Subject:
    """What is known before the checks begin."""

    path: Path
    settings: RegistrySettings
    """Those by which a registry begins where none can be read."""
    scratch_or_reason: Path | str
    """A directory to try things out in, or why there is none."""

    @cached_property
    def mount(self) -> Mount | None:
        """Where it lies."""
        return mount_of(self.path)

    @cached_property
    def is_local(self) -> bool:
        """Whether only this host can change it."""
        return is_local(self.path)

    @cached_property
    def is_shared(self) -> bool:
        """Whether other hosts are known to change it."""
        return is_shared(self.path)

    @property
    def private(self) -> PrivateDirectory:
        """Its private folder."""
        return PrivateDirectory(self.path)

    @property
    def directory(self) -> ArtifactDirectory:
        """Its files."""
        return ArtifactDirectory(self.path)

    @property
    def scratch(self) -> Path:
        """A directory to try things out in.

        Raises
        ------
        NotTried
            There is none.
        """
        if isinstance(self.scratch_or_reason, str):
            raise NotTried(self.scratch_or_reason)
        return self.scratch_or_reason

    @cached_property
    def now(self) -> float:
        """The file system's time, or this host's where nothing can be written."""
        try:
            return file_clock(self.scratch)
        except (NotTried, StorageError):
            return time.time()
