"""What option values are turned into, with an error of usage where they cannot be."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zsm_store.codec.strict_json import parse_object
from zsm_store.errors import ArtifactFormatError, InvalidArtifactError, StorageError
from zsm_store.model.schema import FieldKind, FieldMapping

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")
_KINDS = {kind.value.lower(): kind for kind in FieldKind}
_U64_MAX = 2**64 - 1


class SampleSize(click.ParamType[int | None]):
    """Number of records, or ``all``, which is None."""

    name = "N|all"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | None:
        """Read the number."""
        if value is None or isinstance(value, int) or value == "all":
            return None if value == "all" else value
        if not re.fullmatch(r"[0-9]{1,18}", value) or int(value) < 1:
            self.fail(f"{value!r} is neither a number from 1 on nor 'all'", param, ctx)
        return int(value)


class ColumnKind(click.ParamType[tuple[str, FieldKind]]):
    """``NAME=KIND``; upper and lower case of the kind are the same."""

    name = "NAME=KIND"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, FieldKind]:
        """Split at the last equals sign: a kind holds none, a name may."""
        if isinstance(value, tuple):
            return value
        column, sign, kind = value.rpartition("=")
        if not sign or not column:
            self.fail(f"{value!r} is not of the form NAME=KIND", param, ctx)
        if kind.lower() not in _KINDS:
            known = ", ".join(known.value for known in FieldKind)
            self.fail(f"unknown kind {kind!r}: the kinds are {known}", param, ctx)
        return column, _KINDS[kind.lower()]


class MappedFields(click.ParamType[FieldMapping]):
    """``A=B``: field A of one source is compared with field B of the other."""

    name = "A=B"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> FieldMapping:
        """Split at the first equals sign."""
        if isinstance(value, FieldMapping):
            return value
        ours, _, theirs = value.partition("=")
        if not ours or not theirs:
            self.fail(f"{value!r} is not of the form A=B", param, ctx)
        try:
            return FieldMapping(ours, theirs)
        except InvalidArtifactError as error:
            self.fail(str(error), param, ctx)


class Digest(click.ParamType[str]):
    """The digest of an artifact."""

    name = "DIGEST"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        """Check the form."""
        if not _DIGEST.match(value):
            message = f"{value!r} is not 'sha256:' and 64 hex digits"
            self.fail(f"{message}; 'zsm show REF' prints the digest", param, ctx)
        return str(value)


class Moment(click.ParamType[int]):
    """Unix seconds, or a date or time of ISO 8601, UTC unless it says otherwise."""

    name = "UNIX|ISO"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Return Unix seconds."""
        if isinstance(value, int):
            return value
        if re.fullmatch(r"[0-9]{9,20}", value) and int(value) <= _U64_MAX:
            return int(value)
        try:
            moment = datetime.fromisoformat(value)
            zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            seconds = int(zoned.timestamp())
        except (ValueError, OverflowError):
            seconds = -1
        if seconds < 0:
            wanted = "Unix seconds or a time like 2026-03-31T12:00:00Z, 1970 or later"
            self.fail(f"{value!r} is neither {wanted}", param, ctx)
        return seconds


class EncodingName(click.ParamType[str]):
    """An encoding of text that Python knows."""

    name = "NAME"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        """Check that there is one."""
        try:
            # Not codecs.lookup: it knows what is no encoding of text, such as base64.
            io.TextIOWrapper(io.BytesIO(), encoding=value)
        except (LookupError, ValueError):
            known = "'utf-8', 'cp1252' or 'utf-16' would do"
            self.fail(f"unknown encoding {value!r}: {known}", param, ctx)
        return str(value)


class JsonFile(click.ParamType[dict[str, Any]]):
    """A JSON object, or the name of a file that holds one."""

    name = "FILE|JSON"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, Any]:
        """Read the object."""
        if isinstance(value, dict):
            return value
        inline = value.lstrip().startswith("{")
        try:
            data = value.encode() if inline else read_file(Path(value))
            return parse_object(data)
        except UnicodeEncodeError:
            self.fail("not UTF-8", param, ctx)
        except ArtifactFormatError as error:
            where = "" if inline else f"'{value}': "
            self.fail(f"{where}{error.reason}", param, ctx)


def read_file(path: Path) -> bytes:
    """Read a file that the user named.

    Raises
    ------
    StorageError
        It cannot be read.
    """
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        wrapped = error if isinstance(error, OSError) else OSError(22, str(error))
        raise StorageError.of("open", path, wrapped) from error


def unique_kinds(
    pairs: Iterable[tuple[str, FieldKind]],
) -> Mapping[str, FieldKind]:
    """Return kinds by column name.

    Raises
    ------
    click.BadParameter
        A column stands twice.
    """
    kinds: dict[str, FieldKind] = {}
    for column, kind in pairs:
        if column in kinds:
            message = f"column {column!r} is given twice"
            raise click.BadParameter(message, param_hint="'--kind'")
        kinds[column] = kind
    return kinds
