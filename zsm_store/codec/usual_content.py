"""The parsed JSON of one artifact, checked all at once where nothing in it is unusual.

`document` checks value by value, which takes many times as long, and names what is
wrong. Whatever is not plainly right here is left to it: such content need not be wrong.
"""

from __future__ import annotations

from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import orjson

from zsm_store.codec.document import (
    FIELD_KEYS,
    FORMAT,
    OPTIONAL_KEYS,
    REQUIRED_KEYS,
    decode_extension,
)
from zsm_store.codec.strict_json import count_keys
from zsm_store.model.artifact import ModelArtifact
from zsm_store.model.canonical import JsonObject
from zsm_store.model.fingerprint import (
    SchemaFingerprint,
    is_schema_hash,
    stats_of_columns,
)
from zsm_store.model.params import ModelParams
from zsm_store.model.schema import FieldKind

if TYPE_CHECKING:
    from collections.abc import Iterable

_CONTENT_KEYS = REQUIRED_KEYS - {"digest"}
_KINDS = {kind.value: kind for kind in FieldKind}
_INTEGERS = {0.0, 1.0}
_MAX_ODDS = 1000
_MAX_BRACKETS = 100
"""In what is optional: so it nests far less than the 200 levels that are allowed."""

_field_values = itemgetter(*FIELD_KEYS)


class UnusualError(ValueError):
    """Something may be wrong, which only a look at each value can tell."""


class UsualContent:
    """A document without its digest, every value of which is right.

    Parameters
    ----------
    content
        As `strict_json.loads` gives it: so no NaN, no lone surrogate, no integer beyond
        64 bits. It is taken over and changed.

    Raises
    ------
    UnusualError
        Not right by the rules of the format, or not usual in another way.
    """

    __slots__ = ("_columns", "_content", "_extension", "_holds_integers", "key_count")

    def __init__(self, content: dict[str, Any]) -> None:
        try:
            self._columns = _checked_fields(content)
            self._holds_integers = _check_numbers(content, self._columns[2])
            self._extension, optional_keys = _checked_extension(content)
        # What these checks make of values of another type.
        except (KeyError, TypeError, ValueError) as error:
            raise UnusualError from error
        for field in content["fields"]:
            if field["null_rate"] in _INTEGERS:  # for `canonical`; the columns keep it
                field["null_rate"] = int(field["null_rate"])
        self._content = content
        field_keys = len(FIELD_KEYS) * len(content["fields"])
        self.key_count = len(content) + field_keys + optional_keys
        """Keys at every depth."""

    @property
    def schema_hash(self) -> str:
        """Address of the artifact."""
        return str(self._content["schema_hash"])

    @property
    def tag(self) -> str | None:
        """The tag."""
        tag: str | None = self._content["tag"]
        return tag

    def canonical(self) -> bytes:
        """Return the canonical JSON, in which integral floats are integers."""
        content = dict(self._content)
        content["log_prior_odds"] = _integer_of(content["log_prior_odds"])
        if self._holds_integers:
            for key in ("lower_threshold", "upper_threshold"):
                content[key] = _integer_of(content[key])
            for key in ("m", "u"):
                content[key] = [list(map(_integer_of, row)) for row in content[key]]
        for key in ("context", "extra"):
            held = self._extension[key]
            if held is not None:
                content[key] = orjson.Fragment(held.canonical)
        return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)

    def fingerprint(self) -> SchemaFingerprint:
        """Return the fingerprint."""
        content, extension = self._content, self._extension
        return SchemaFingerprint(
            schema_hash=content["schema_hash"],
            field_stats=stats_of_columns(*self._columns),
            record_count=content["record_count"],
            created_at=content["created_at"],
            mappings=extension["mappings"],
            context=extension["context"],
        )

    def artifact(self) -> ModelArtifact:
        """Return the whole artifact."""
        content = self._content
        return ModelArtifact(
            fingerprint=self.fingerprint(),
            params=ModelParams.unvalidated(  # but checked above
                m=content["m"],
                u=content["u"],
                log_prior_odds=content["log_prior_odds"],
                upper_threshold=content["upper_threshold"],
                lower_threshold=content["lower_threshold"],
            ),
            tag=content["tag"],
            trained_on=content["trained_on"],
            em_iterations=content["em_iterations"],
            extra=self._extension["extra"],
        )


def _types(values: Iterable[object]) -> set[type]:
    return set(map(type, values))


def _checked_fields(content: dict[str, Any]) -> tuple[Any, ...]:
    """Check all but the floats; return names, kinds and so on, a sequence of each."""
    fields, tag = content["fields"], content["tag"]
    if not (
        content.keys() - OPTIONAL_KEYS == _CONTENT_KEYS
        and content["format"] == FORMAT
        and is_schema_hash(content["schema_hash"])
        and set(map(len, fields)) == {len(FIELD_KEYS)}
    ):
        raise UnusualError
    # A TypeError where one is no object, a KeyError where it has another key.
    columns = zip(*map(_field_values, fields), strict=True)
    names, kinds, null_rates, cardinalities, top_k = columns
    counts = [
        *cardinalities,
        content["record_count"],
        content["created_at"],
        content["trained_on"],
        content["em_iterations"],
    ]
    if _types(top_k) != {list} or _types(counts) != {int} or min(counts) < 0:
        raise UnusualError
    # A TypeError where one is no text.
    "".join(chain(names, map("".join, top_k), () if tag is None else (tag,)))
    return names, [_KINDS[kind] for kind in kinds], null_rates, cardinalities, top_k


def _check_numbers(content: dict[str, Any], null_rates: tuple[Any, ...]) -> bool:
    """Check the floats; return whether a threshold, m or u holds an integral one."""
    m, u = content["m"], content["u"]
    rows = m + u
    if _types(rows) != {list} or list(map(len, m)) != list(map(len, u)):
        raise UnusualError
    lower, upper = content["lower_threshold"], content["upper_threshold"]
    odds = content["log_prior_odds"]
    shares = [*chain.from_iterable(rows), lower, upper]
    least, most = min(shares), max(shares)
    if not (
        _types([*shares, *null_rates, odds]) <= {float, int}
        and 0 <= least <= most <= 1
        and 0 <= min(null_rates) <= max(null_rates) <= 1
        and lower <= upper
        and -_MAX_ODDS <= odds <= _MAX_ODDS
    ):
        raise UnusualError
    return bool(least == 0 or most == 1)


def _checked_extension(content: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """Check what is optional; return it, and how many keys are in it."""
    extension = decode_extension(content)
    keys = 0
    for key in ("context", "extra"):
        value = extension[key]
        if value is not None:
            keys += count_keys(value)
            extension[key] = held = JsonObject(value)
            if held.canonical.count(b"[") + held.canonical.count(b"{") > _MAX_BRACKETS:
                raise UnusualError
    return extension, keys


def _integer_of(number: float) -> float:
    integer = int(number)
    return integer if integer == number else number
