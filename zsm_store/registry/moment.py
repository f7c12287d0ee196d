"""See one moment of a store that others write to."""

from __future__ import annotations

import errno
from contextlib import ExitStack
from typing import TYPE_CHECKING, TypeVar

from zsm_store.errors import ArtifactNotFoundError, StorageError
from zsm_store.registry.store import MAY_NOT_WRITE

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from zsm_store.registry.store import ArtifactStore

T = TypeVar("T")

_FREE_TRIES = 3
_PATIENT_TRIES = 100


def at_one_moment(
    store: ArtifactStore, read: Callable[[Mapping[str, Hashable]], T]
) -> T:
    """Call `read` with the entries until nothing changed meanwhile.

    If all versions are the same before and after, they all held at the moment in
    between: nobody had to wait. A store that never comes to rest is locked for the
    last try; a reader who may not lock it has to try on.

    Raises
    ------
    StorageError
        The store cannot be read, or it can neither be locked nor comes to rest.
    """
    with ExitStack() as cleanup:
        for tries in range(_PATIENT_TRIES):
            if tries == _FREE_TRIES and _locks(store, cleanup):
                return read(store.entries())
            before = store.entries()
            try:
                result = read(before)
            except ArtifactNotFoundError:  # deleted meanwhile
                continue
            if store.entries() == before:
                return result
    busy = OSError(errno.EBUSY, "it changes faster than it can be read; try again")
    raise StorageError.of("read", store.location, busy)


def _locks(store: ArtifactStore, cleanup: ExitStack) -> bool:
    """Lock the store until `cleanup`; False for a reader who may not."""
    try:
        cleanup.enter_context(store.locked())
    except StorageError as error:
        if error.errno not in MAY_NOT_WRITE:
            raise
        return False
    return True
