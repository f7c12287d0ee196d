"""Canonical JSON: one byte sequence per value, the base of digests and addresses."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from zsm_store.errors import InvalidArtifactError

_INTEGERS = range(-(1 << 63), 1 << 64)
"""Those that orjson reads and writes as integers."""

# Well below the 254 of orjson, since 3.11.5 kills the process at about that depth.
_MAX_LEVELS = 200

_STRICT = (
    orjson.OPT_SORT_KEYS
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_SUBCLASS
)


def canonical_json(value: Any) -> bytes:
    """Encode with sorted keys, no white space, and integral floats as integers.

    Integral floats lose their ``.0`` because JavaScript tools drop it when they rewrite
    a file; the value is the same and so must the digest be (RFC 8785).

    Raises
    ------
    InvalidArtifactError
        Not a JSON value: NaN, an infinity, a key that is no string, an integer beyond
        64 bits, a lone surrogate, another type, or nesting deeper than 200 levels.
    """
    try:
        return orjson.dumps(_normal(value), option=_STRICT)
    except RecursionError:
        message = "not a JSON value: nested too deeply"
    except TypeError as error:
        message = f"not a JSON value: {error}"
    raise InvalidArtifactError(message)


def _normal(value: Any, levels: int = 0) -> Any:
    if levels > _MAX_LEVELS:
        message = f"nested deeper than {_MAX_LEVELS} levels"
        raise TypeError(message)
    if isinstance(value, float):
        if not math.isfinite(value):
            message = f"{value} has no JSON form"
            raise TypeError(message)
        return _integral(float(value)) if value.is_integer() else float(value)
    if isinstance(value, JsonObject):
        # At once: item by item it would be decoded as often as it has keys.
        value = orjson.loads(value.canonical)
    if isinstance(value, Mapping):
        return {key: _normal(item, levels + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_normal(item, levels + 1) for item in value]
    if value is None or isinstance(value, str | int):
        return value
    message = f"a value of type {type(value).__name__}"
    raise TypeError(message)


def _integral(value: float) -> Any:
    """Write an integral float as the integer, or as Python does where it is too large.

    Not as orjson does: 3.11 writes 1e20 where 3.13 writes 1e+20, and a digest must not
    depend on what is installed.
    """
    whole = int(value)
    return whole if whole in _INTEGERS else orjson.Fragment(repr(value))


class JsonObject(Mapping[str, Any]):
    """An immutable JSON object: equal content is equal, hashes equal and pickles.

    Every access decodes afresh, so no caller can change what another one sees.

    Raises
    ------
    InvalidArtifactError
        The value is no JSON object.
    """

    __slots__ = ("canonical",)

    canonical: bytes
    """Canonical JSON of the object."""

    def __init__(self, value: object) -> None:
        if not isinstance(value, Mapping):
            message = f"expected a JSON object, found {type(value).__name__}"
            raise InvalidArtifactError(message)
        object.__setattr__(self, "canonical", canonical_json(value))

    def __setattr__(self, name: str, value: object) -> None:
        message = f"cannot assign {name!r}: a JsonObject is immutable"
        raise AttributeError(message)

    def __delattr__(self, name: str) -> None:
        message = f"cannot delete {name!r}: a JsonObject is immutable"
        raise AttributeError(message)

    def __reduce__(self) -> tuple[type[JsonObject], tuple[dict[str, Any]]]:
        return JsonObject, (orjson.loads(self.canonical),)

    def __getitem__(self, key: str) -> Any:
        return orjson.loads(self.canonical)[key]

    def __iter__(self) -> Iterator[str]:
        return iter(orjson.loads(self.canonical))

    def __len__(self) -> int:
        return len(orjson.loads(self.canonical))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, JsonObject):
            return self.canonical == other.canonical
        if isinstance(other, Mapping):
            return bool(orjson.loads(self.canonical) == dict(other))
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self.canonical)

    def __repr__(self) -> str:
        return f"JsonObject({orjson.loads(self.canonical)!r})"
