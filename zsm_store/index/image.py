"""The arrays of an index as named columns, to be kept somewhere and used again.

An image is of the arrays alone, in the byte order and the sizes of this machine: it is
for a cache, and anybody else reads the artifacts. Whoever keeps one keeps `VERSION`
with it.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import orjson

from zsm_store.index.base import DIGEST_SIZE, Base
from zsm_store.index.row import Vocabulary

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = 1
"""Changes whenever the meaning of a column does."""

_NAMES = "names"
_NUMBERS = ("count", "digest_shift")
"""Fields of a base that are no columns."""

Columns = dict[str, "memoryview[Any]"]


def image_of(base: Base, vocabulary: Vocabulary) -> tuple[Columns, dict[str, int]]:
    """Return the columns of a base and its names, and the numbers that go with them."""
    columns = {
        one.name: memoryview(getattr(base, one.name))
        for one in fields(base)
        if one.name not in _NUMBERS
    }
    columns[_NAMES] = memoryview(orjson.dumps(vocabulary.names()))
    return columns, {name: getattr(base, name) for name in _NUMBERS}


def base_of_image(
    columns: Mapping[str, memoryview[Any]], numbers: Mapping[str, int]
) -> tuple[Base, Vocabulary]:
    """Return what `image_of` was given; the columns are used as they are.

    Raises
    ------
    ValueError, TypeError, KeyError
        It is not an image of this version.
    """
    parts: dict[str, Any] = {**columns, **numbers}
    vocabulary = Vocabulary(orjson.loads(parts.pop(_NAMES)))
    base = Base(**parts)
    if len(base.digests) != base.count * DIGEST_SIZE or len(vocabulary) != base.names:
        message = "the columns do not belong together"
        raise ValueError(message)
    return base, vocabulary


def hashes_of(base: Base) -> list[str]:
    """Return the schema hashes of a base, rising."""
    digits = bytes(base.digests).hex()
    width = 2 * DIGEST_SIZE
    return [digits[place : place + width] for place in range(0, len(digits), width)]
