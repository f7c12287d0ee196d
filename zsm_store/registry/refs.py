"""What a person types for an artifact: a hash, the start of one, or a tag."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from zsm_store.errors import AmbiguousRefError, ArtifactNotFoundError
from zsm_store.model.fingerprint import is_schema_hash

if TYPE_CHECKING:
    from zsm_store.registry.catalog import Catalog
    from zsm_store.registry.store import ArtifactStore

MIN_PREFIX = 6
"""Digits of a hash that a reference needs at least."""

_PREFIX = re.compile(rf"[0-9a-f]{{{MIN_PREFIX},63}}\Z")
_TOO_SHORT = re.compile(rf"[0-9a-f]{{1,{MIN_PREFIX - 1}}}\Z")


def resolve_ref(store: ArtifactStore, catalog: Catalog, ref: str) -> str:
    """Return the schema hash that a reference means.

    A full hash means itself, whether or not there is such an artifact. Nothing else is
    ever made into a path.

    Raises
    ------
    ArtifactNotFoundError, AmbiguousRefError
        No artifact answers, or several do; a tag may look like the start of a hash.
    """
    digits = ref.lower()
    if is_schema_hash(digits):
        return digits
    found = set(catalog.tagged(ref))
    if _PREFIX.match(digits):
        found.update(key for key in store.entries() if key.startswith(digits))
    if len(found) > 1:
        raise AmbiguousRefError(ref, sorted(found))
    if found:
        return found.pop()
    hint = "neither a hash, nor the start of one, nor a tag"
    if _TOO_SHORT.match(digits):
        hint = f"the start of a hash needs at least {MIN_PREFIX} digits"
    raise ArtifactNotFoundError(ref, f"{hint} in '{store.location}'")
