"""A schema file: fields, and the mappings and context that extend their address."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zsm_store.errors import InvalidArtifactError, TableError
from zsm_store.model.canonical import JsonObject
from zsm_store.model.schema import Field, FieldMapping, Schema
from zsm_store.tables.reader import unopened
from zsm_store.tables.strict_json import decode_json

if TYPE_CHECKING:
    from collections.abc import Mapping

_READ = ("fields", "mappings", "context")
# An artifact's JSON and the output of `zsm fingerprint --json` are schema files too.
_IGNORED = frozenset(
    {
        "format",
        "digest",
        "schema_hash",
        "tag",
        "trained_on",
        "em_iterations",
        "record_count",
        "created_at",
        "log_prior_odds",
        "upper_threshold",
        "lower_threshold",
        "m",
        "u",
        "extra",
        "decisions",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaFile:
    """What a schema file says.

    Raises
    ------
    InvalidArtifactError
        The fields are no `Schema`, or the context is no JSON object.
    """

    fields: tuple[Field, ...]
    """In the order of the parameters."""
    mappings: tuple[FieldMapping, ...] = ()
    context: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "fields", Schema(self.fields).fields)
        object.__setattr__(self, "mappings", tuple(self.mappings))
        if self.context is not None:
            object.__setattr__(self, "context", JsonObject(self.context))


def read_schema_file(path: Path | str) -> SchemaFile:
    """Read a schema file, an artifact's JSON, or what ``zsm fingerprint --json`` wrote.

    Statistics and parameters in it are ignored, and so is its hash: what counts are the
    names and kinds, the mappings and the context.

    Raises
    ------
    TableError
        The file cannot be read, is no JSON, or has a key that a schema file has not: a
        misspelled ``mappings`` must not silently give another address.
    """
    source = str(path)
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise TableError(unopened(error, path), source=source) from error
    except UnicodeDecodeError as error:
        raise TableError(
            f"byte {error.start} is not UTF-8: save the file as UTF-8", source=source
        ) from None
    document = decode_json(text, source=source)
    try:
        return _schema_file(document)
    except InvalidArtifactError as error:
        raise TableError(str(error), source=source) from None


def _schema_file(document: Any) -> SchemaFile:
    if not isinstance(document, dict):
        message = "a schema file holds a JSON object with 'fields'"
        raise InvalidArtifactError(message)
    for key in document:
        if key not in _READ and key not in _IGNORED:
            message = f"unknown key {key!r}: a schema file has {', '.join(_READ)}"
            raise InvalidArtifactError(message)
    return SchemaFile(
        fields=tuple(
            _field(number, entry) for number, entry in _entries(document, "fields")
        ),
        mappings=tuple(
            _mapping(number, entry) for number, entry in _entries(document, "mappings")
        ),
        context=document.get("context"),
    )


def _entries(document: dict[str, Any], key: str) -> list[tuple[int, Any]]:
    entries = document.get(key)
    if entries is None and key != "fields":
        return []
    if not isinstance(entries, list):
        message = f"{key!r} must be a list"
        raise InvalidArtifactError(message)
    return list(enumerate(entries, 1))


def _field(number: int, entry: Any) -> Field:
    if not isinstance(entry, dict) or not {"name", "kind"} <= entry.keys():
        message = f"field {number} must be an object with 'name' and 'kind'"
        raise InvalidArtifactError(message)
    try:
        return Field(entry["name"], entry["kind"])
    except InvalidArtifactError as error:
        message = f"field {number}: {error}"
        raise InvalidArtifactError(message) from None


def _mapping(number: int, entry: Any) -> FieldMapping:
    if not isinstance(entry, list) or len(entry) not in {2, 3}:
        message = (
            f"mapping {number} must be [field of a, field of b] or with a null policy"
        )
        raise InvalidArtifactError(message)
    try:
        return FieldMapping(*entry)
    except InvalidArtifactError as error:
        message = f"mapping {number}: {error}"
        raise InvalidArtifactError(message) from None
