"""What `zsm save` is given: parameters of a table, or a whole artifact."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zsm_store.cli.option_types import read_file
from zsm_store.codec import artifact_json
from zsm_store.codec.strict_json import MAX_BYTES, parse_object
from zsm_store.errors import FormatError, InvalidArtifactError
from zsm_store.model.params import ModelParams

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from zsm_store.model.artifact import ModelArtifact

STANDARD_INPUT = "-"

_NUMBERS = ("log_prior_odds", "upper_threshold", "lower_threshold")
_REQUIRED = ("m", "u", *_NUMBERS)
_OPTIONAL = ("fields", "em_iterations", "tag", "extra")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedParams:
    """The object that a trainer writes, before it is known what its rows are about."""

    source: str
    document: Mapping[str, Any]

    def aligned(self, fields: Sequence[str]) -> ModelParams:
        """Return the parameters in the order of `fields`.

        Raises
        ------
        InvalidArtifactError
            Another number of rows, other names, or values that break a rule.
        """
        order = self._order(fields)
        try:
            m, u = (self._rows(key, order) for key in ("m", "u"))
            numbers = {key: _number(key, self.document[key]) for key in _NUMBERS}
            return ModelParams(m=m, u=u, **numbers)
        except InvalidArtifactError as error:
            raise self._refused(str(error)) from None

    def _order(self, fields: Sequence[str]) -> list[int]:
        """Return the row of each field."""
        names = self.document.get("fields")
        if names is None:
            return list(range(len(fields)))
        if not isinstance(names, list) or not all(isinstance(it, str) for it in names):
            raise self._refused("'fields' must be a list of names")
        position = {name: row for row, name in enumerate(names)}
        if len(position) != len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise self._refused(f"field {twice!r} stands twice in 'fields'")
        missing = [name for name in fields if name not in position]
        extra = [name for name in names if name not in set(fields)]
        problems = [
            f"{what} {', '.join(map(repr, listed))}"
            for what, listed in (("no rows for", missing), ("unknown", extra))
            if listed
        ]
        if problems:
            message = f"'fields' and the columns differ: {'; '.join(problems)}"
            raise self._refused(message)
        return [position[name] for name in fields]

    def _rows(self, key: str, order: list[int]) -> tuple[tuple[float, ...], ...]:
        rows = self.document[key]
        if not isinstance(rows, list) or not all(isinstance(it, list) for it in rows):
            message = f"{key} must be a list of rows, one per field"
            raise InvalidArtifactError(message)
        if len(rows) != len(order):
            message = f"{key} has {len(rows)} rows for {len(order)} fields"
            raise InvalidArtifactError(message)
        return tuple(
            tuple(_number(f"{key}[{row}]", value) for value in rows[row])
            for row in order
        )

    def _refused(self, message: str) -> InvalidArtifactError:
        return InvalidArtifactError(f"cannot use {self.source!r}: {message}")


def read_params(name: str) -> TrainedParams | ModelArtifact:
    """Read a file, or standard input where `name` is ``-``.

    Raises
    ------
    StorageError
        It cannot be read.
    ArtifactFormatError
        It is no JSON object, or a damaged artifact.
    InvalidArtifactError
        It is neither parameters nor an artifact.
    """
    source = "standard input" if name == STANDARD_INPUT else name
    if name == STANDARD_INPUT:
        data = sys.stdin.buffer.read(MAX_BYTES + 1)
    else:
        data = read_file(Path(name))
    try:
        document = parse_object(data)
        if "format" in document or "schema_hash" in document:
            return artifact_json.decode(data)
    except FormatError as error:
        error.source = source
        raise
    params = TrainedParams(source=source, document=document)
    for key in _REQUIRED:
        if key not in document:
            message = f"cannot use {source!r}: key {key!r} is missing"
            raise InvalidArtifactError(message)
    for key in document:
        if key not in (*_REQUIRED, *_OPTIONAL):
            known = ", ".join((*_REQUIRED, *_OPTIONAL))
            message = (
                f"cannot use {source!r}: unknown key {key!r}, the keys are {known}"
            )
            raise InvalidArtifactError(message)
    return params


def _number(what: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        message = f"{what} must hold numbers, found {value!r:.40}"
        raise InvalidArtifactError(message)
    return float(value)
