"""Index classes, found by name."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from typing import TYPE_CHECKING

import zsm_store.index
from zsm_store.index.scan import ScanIndex

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from zsm_store.index.interface import FingerprintIndex
    from zsm_store.model.fingerprint import SchemaFingerprint

_OFFERS = ("nearest", "put", "remove", "__len__", "__contains__")
_BULK = ("build", "from_fingerprints", "put_many")
"""How an index may offer to take many at once."""


def index_classes() -> dict[str, type]:
    """Return every class of `zsm_store.index` that is an index, by name."""
    return {one.__name__: one for one in _search()}


def choose_index(name: str | None) -> type:
    """Return the class of a name; the one that is not the scan by default.

    Raises
    ------
    LookupError
        There is none of that name, or several could be meant.
    """
    found = index_classes()
    if name is not None:
        if name not in found:
            message = f"no index is called {name!r}: there are {', '.join(found)}"
            raise LookupError(message)
        return found[name]
    faster = [one for one in found.values() if one is not ScanIndex]
    if len(faster) > 1:
        message = f"several indexes, choose one: {', '.join(found)}"
        raise LookupError(message)
    return faster[0] if faster else ScanIndex


def build_index(
    cls: type, fingerprints: Iterable[SchemaFingerprint]
) -> FingerprintIndex:
    """Return a filled index, built at once if its class offers that."""
    for name in _BULK:
        if hasattr(cls, name):
            if inspect.ismethod(getattr(cls, name)):  # of the class
                return getattr(cls, name)(fingerprints)
            index = cls()
            getattr(index, name)(fingerprints)
            return index
    index = cls()
    for fingerprint in fingerprints:
        index.put(fingerprint)
    return index


def _search() -> Iterator[type]:
    package = zsm_store.index
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        loaded = importlib.import_module(module.name)
        for _, one in inspect.getmembers(loaded, inspect.isclass):
            if (
                one.__module__ == module.name
                and not one.__name__.startswith("_")
                and not getattr(one, "_is_protocol", False)
                and all(hasattr(one, name) for name in _OFFERS)
            ):
                yield one
