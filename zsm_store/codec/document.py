"""The parsed JSON of one artifact, checked value by value: what is wrong is named."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from zsm_store.errors import ArtifactFormatError, InvalidArtifactError
from zsm_store.model.artifact import ModelArtifact
from zsm_store.model.fingerprint import FieldStats, SchemaFingerprint
from zsm_store.model.params import ModelParams
from zsm_store.model.schema import FieldKind, FieldMapping

if TYPE_CHECKING:
    from zsm_store.model.params import Rows

FORMAT = "zsm-store/1"

_SCALARS = (
    "schema_hash",
    "tag",
    "trained_on",
    "em_iterations",
    "record_count",
    "created_at",
    "log_prior_odds",
    "upper_threshold",
    "lower_threshold",
)
OPTIONAL_KEYS = frozenset({"mappings", "context", "extra"})
REQUIRED_KEYS = frozenset({"format", "digest", *_SCALARS, "fields", "m", "u"})
FIELD_KEYS = ("name", "kind", "null_rate", "cardinality", "top_k")
_PAIR = 2


def check_format(document: dict[str, Any]) -> None:
    """Check that a document is an artifact, in a format that this package knows.

    Raises
    ------
    ArtifactFormatError
        It is something else, or newer (ZSM014).
    """
    found = document.get("format")
    if found == FORMAT:
        return
    if isinstance(found, str) and found.startswith("zsm-store/"):
        message = f"format {found!r} is newer than this package: upgrade zsm-store"
    else:
        message = f"not an artifact: its format is {found!r}, not {FORMAT!r}"
    raise ArtifactFormatError("ZSM014", message)


def check_keys(document: dict[str, Any]) -> None:
    """Check the keys of a document.

    Raises
    ------
    ArtifactFormatError
        One is missing or unknown (ZSM016).
    """
    missing = REQUIRED_KEYS - document.keys()
    if missing:
        message = f"key {min(missing)!r} is missing"
        raise ArtifactFormatError("ZSM016", message)
    unknown = document.keys() - REQUIRED_KEYS - OPTIONAL_KEYS
    if unknown:
        message = f"unknown key {min(unknown)!r}"
        raise ArtifactFormatError("ZSM016", message)


def decode_document(document: dict[str, Any]) -> ModelArtifact:
    """Make an artifact of a document with the right keys.

    Raises
    ------
    InvalidArtifactError
        Names the first value of the wrong form.
    """
    extension = decode_extension(document)
    return ModelArtifact(
        fingerprint=SchemaFingerprint(
            schema_hash=document["schema_hash"],
            field_stats=tuple(map(_stats, _list("fields", document["fields"]))),
            record_count=document["record_count"],
            created_at=document["created_at"],
            mappings=extension["mappings"],
            context=extension["context"],
        ),
        params=ModelParams(
            m=_rows("m", document["m"]),
            u=_rows("u", document["u"]),
            log_prior_odds=_number_in(document, "log_prior_odds"),
            upper_threshold=_number_in(document, "upper_threshold"),
            lower_threshold=_number_in(document, "lower_threshold"),
        ),
        tag=document["tag"],
        trained_on=document["trained_on"],
        em_iterations=document["em_iterations"],
        extra=extension["extra"],
    )


def decode_extension(value: dict[str, Any]) -> dict[str, Any]:
    """Decode what is optional: keyword arguments `mappings`, `context` and `extra`.

    Raises
    ------
    InvalidArtifactError
        A value of the wrong form.
    """
    for key in ("context", "extra"):
        # Not even null: it would be gone when written again, and the digest another.
        if key in value and not isinstance(value[key], dict):
            message = f"{key} must be an object, found {value[key]!r:.60}"
            raise InvalidArtifactError(message)
    return {
        "mappings": tuple(map(_mapping, _list("mappings", value.get("mappings", [])))),
        "context": value.get("context"),
        "extra": value.get("extra"),
    }


def _stats(value: Any) -> FieldStats:
    if not isinstance(value, dict) or value.keys() != set(FIELD_KEYS):
        message = f"a field must have exactly the keys {', '.join(sorted(FIELD_KEYS))}"
        raise InvalidArtifactError(message)
    top_k = _list("top_k", value["top_k"])
    if not all(isinstance(text, str) for text in top_k):
        message = f"top_k of field {value['name']!r} must be text"
        raise InvalidArtifactError(message)
    if not _is_number(value["null_rate"]):
        message = f"null_rate of field {value['name']!r} must be a number"
        raise InvalidArtifactError(message)
    stats = FieldStats(
        name=value["name"],
        kind=FieldKind(value["kind"]),
        null_rate=value["null_rate"],
        cardinality=value["cardinality"],
        top_k=tuple(top_k),
    )
    if not math.isfinite(stats.null_rate):  # it could not be written again
        message = f"null_rate of field {stats.name!r} is too large for a float32"
        raise InvalidArtifactError(message)
    return stats


def _mapping(value: Any) -> FieldMapping:
    if not isinstance(value, list) or len(value) not in {_PAIR, _PAIR + 1}:
        message = f"a mapping must be two field names, found {value!r}"
        raise InvalidArtifactError(message)
    return FieldMapping(*value)


def _rows(name: str, value: Any) -> Rows:
    rows = _list(name, value)
    for row in rows:
        if not isinstance(row, list) or not all(map(_is_number, row)):
            message = f"{name} must be rows of numbers"
            raise InvalidArtifactError(message)
    return tuple(map(tuple, rows))


def _list(name: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        message = f"{name} must be a list, found {value!r:.60}"
        raise InvalidArtifactError(message)
    return value


def _number_in(document: dict[str, Any], key: str) -> float:
    value = document[key]
    if not _is_number(value):
        message = f"{key} must be a number, found {value!r:.60}"
        raise InvalidArtifactError(message)
    return float(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
