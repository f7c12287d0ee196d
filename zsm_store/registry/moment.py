"""See one moment of a store that others write to."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from zsm_store.errors import ArtifactNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from zsm_store.registry.store import ArtifactStore

T = TypeVar("T")

_FREE_TRIES = 3


def at_one_moment(
    store: ArtifactStore, read: Callable[[Mapping[str, Hashable]], T]
) -> T:
    """Call `read` with the entries until nothing changed meanwhile.

    If all versions are the same before and after, they all held at the moment in
    between: nobody had to wait. A store that never comes to rest is locked for the
    last try.
    """
    for _ in range(_FREE_TRIES):
        before = store.entries()
        try:
            result = read(before)
        except ArtifactNotFoundError:  # deleted meanwhile
            continue
        if store.entries() == before:
            return result
    with store.locked():
        return read(store.entries())
