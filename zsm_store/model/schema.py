"""What a table looks like: names and kinds of its fields, and the hash of them."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NoReturn

from zsm_store.errors import InvalidArtifactError
from zsm_store.model.canonical import canonical_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class FieldKind(StrEnum):
    """What a field holds. The order is the peer's: `code` goes into hashes and bundles.

    Raises
    ------
    InvalidArtifactError
        ``FieldKind(text)`` of an unknown name.
    """

    NAME = "Name"
    DATE = "Date"
    ADDRESS = "Address"
    PHONE = "Phone"
    ID = "Id"
    FREE_TEXT = "FreeText"
    NUMERIC = "Numeric"
    CATEGORICAL = "Categorical"
    ALIAS = "Alias"
    LICENSE_PLATE = "LicensePlate"
    GPS_COORDINATE = "GpsCoordinate"
    TIMESTAMP = "Timestamp"

    @property
    def code(self) -> int:
        """Position in the peer's list, 0 to 11."""
        return _CODES[self]

    @classmethod
    def from_code(cls, code: int) -> FieldKind:
        """Return the kind at a position of the peer's list; IndexError beyond it."""
        return _KINDS[code]

    @classmethod
    def _missing_(cls, value: object) -> NoReturn:
        known = ", ".join(kind.value for kind in cls)
        message = f"unknown field kind {value!r}: the kinds are {known}"
        raise InvalidArtifactError(message)


_KINDS = tuple(FieldKind)
_CODES = {kind: code for code, kind in enumerate(_KINDS)}


class NullPolicy(StrEnum):
    """How a comparator treats a pair in which a value is missing.

    Raises
    ------
    InvalidArtifactError
        ``NullPolicy(text)`` of an unknown name.
    """

    SKIP = "skip"
    """The field says nothing about the pair."""
    PENALISE_ABSENCE = "penalise_absence"
    """The field counts as a disagreement."""

    @classmethod
    def _missing_(cls, value: object) -> NoReturn:
        known = ", ".join(policy.value for policy in cls)
        message = f"unknown null policy {value!r}: the policies are {known}"
        raise InvalidArtifactError(message)


@dataclass(frozen=True, slots=True)
class Field:
    """A column: its name as it stands in the table, and its kind."""

    name: str
    kind: FieldKind

    def __post_init__(self) -> None:
        check_text("field name", self.name)
        object.__setattr__(self, "kind", FieldKind(self.kind))


@dataclass(frozen=True, slots=True)
class FieldMapping:
    """A field of source a that is compared with a field of source b of another name.

    The names go into the schema hash, the null policy does not (as in the peer).
    """

    a_field: str
    b_field: str
    null_policy: NullPolicy = NullPolicy.SKIP

    def __post_init__(self) -> None:
        check_text("mapped field", self.a_field)
        check_text("mapped field", self.b_field)
        object.__setattr__(self, "null_policy", NullPolicy(self.null_policy))


@dataclass(frozen=True, slots=True)
class Schema:
    """The fields that a model compares, in the order of its parameters.

    Raises
    ------
    InvalidArtifactError
        No field at all, a name twice (the hash would depend on their order), or a
        control character in a name (two schemas could share a hash).
    """

    fields: tuple[Field, ...]

    def __init__(self, fields: Iterable[Field]) -> None:
        object.__setattr__(self, "fields", tuple(fields))
        if not self.fields:
            message = "a schema needs at least one field"
            raise InvalidArtifactError(message)
        seen: set[str] = set()
        for field in self.fields:
            if _CONTROL.search(field.name):
                message = f"field name {field.name!r} holds a control character"
                raise InvalidArtifactError(message)
            if field.name in seen:
                message = f"field name {field.name!r} stands twice in the schema"
                raise InvalidArtifactError(message)
            seen.add(field.name)


def schema_hash(
    fields: Iterable[Field],
    mappings: Iterable[FieldMapping] = (),
    context: Mapping[str, Any] | None = None,
) -> str:
    """Address of an artifact: SHA-256 of the sorted field names and kinds.

    The definition itself; it checks nothing. Mappings extend the hash as in the peer
    (zer-schema 1.1.1), a context extends it in the same way. Without a context the
    result equals the peer's.

    Returns
    -------
    str
        64 lower-case hex digits.
    """
    state = hashlib.sha256()
    # sorted() is stable and Python compares strings by code point, which is the order
    # of their UTF-8 bytes.
    for field in sorted(fields, key=lambda field: field.name):
        state.update(field.name.encode() + b":")
        state.update(field.kind.code.to_bytes(4, "little") + b"|")
    ordered = sorted(mappings, key=lambda mapping: mapping.a_field)
    if ordered:
        state.update(b"mappings:")
        for mapping in ordered:
            state.update(f"{mapping.a_field}:{mapping.b_field}|".encode())
    if context is not None:
        inner = hashlib.sha256(canonical_json(context)).hexdigest()
        state.update(f"context:{inner}|".encode())
    return state.hexdigest()


def check_text(what: str, text: object) -> None:
    """Refuse what is no text that UTF-8 can hold."""
    if not isinstance(text, str):
        message = f"{what} must be text, found {type(text).__name__}"
        raise InvalidArtifactError(message)
    try:
        text.encode()
    except UnicodeEncodeError:
        message = f"{what} {text!r} is not valid Unicode"
        raise InvalidArtifactError(message) from None
