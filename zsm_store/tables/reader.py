"""A file of records -> a table: columns and a stream of records."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeAlias

from zsm_store.errors import TableError
from zsm_store.tables.csv_records import (
    CsvRecords,
    checked_delimiter,
    sniffed_delimiter,
)
from zsm_store.tables.json_lines import JsonRecords
from zsm_store.tables.text_lines import TextLines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

STANDARD_INPUT = "-"
"""The path that means standard input."""

HEAD = 1000
"""Records that decide what the columns of JSON Lines are, and what kind they have."""

Value: TypeAlias = str | int | float | bool | None

_SNIFFED_LINES = 200
_SNIFFED_CHARACTERS = 1 << 16


class TableFormat(StrEnum):
    """How a table is written."""

    CSV = "csv"
    """Delimited text. The delimiter is found in the first records if not given."""
    TSV = "tsv"
    """Delimited text, the delimiter being a tab."""
    JSON_LINES = "jsonl"
    """One JSON object per line."""


_BY_ENDING = {
    ".csv": TableFormat.CSV,
    ".txt": TableFormat.CSV,
    ".tsv": TableFormat.TSV,
    ".tab": TableFormat.TSV,
    ".jsonl": TableFormat.JSON_LINES,
    ".ndjson": TableFormat.JSON_LINES,
    ".json-lines": TableFormat.JSON_LINES,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """An open table. Iterating reads the records, once."""

    columns: tuple[str, ...]
    """In the order of the file."""
    source: str
    """What messages call the file."""
    format: TableFormat
    encoding: str
    """The codec in use."""
    delimiter: str | None
    """None for JSON Lines."""
    records: Iterator[Mapping[str, Value]]
    """By column, each with every column; None where a value is missing."""

    def __iter__(self) -> Iterator[Mapping[str, Value]]:
        return self.records


@contextlib.contextmanager
def open_table(
    path: Path | str,
    *,
    format: TableFormat | None = None,  # noqa: A002  # the word of the command line
    delimiter: str | None = None,
    encoding: str | None = None,
    head: int = HEAD,
    fields: Iterable[str] | None = None,
) -> Iterator[Table]:
    """Open a CSV, TSV or JSON Lines file and read its columns.

    Parameters
    ----------
    path
        A file, or ``-`` for standard input.
    format
        By the ending of the file's name if None; by the first character of its content
        where that says nothing.
    delimiter
        One character, or ``tab``. Found in the first records if None.
    encoding
        Name of a Python codec. If None, what the byte order mark says, else UTF-8: a
        legacy code page is never guessed, because a wrong guess changes names silently.
    head
        Records of JSON Lines that decide what the columns are.
    fields
        Columns of JSON Lines where they are known; other keys are ignored then.

    Raises
    ------
    TableError
        The file cannot be read as a table; the message says where and what to do.
    """
    with _opened(path) as (stream, source):
        lines = TextLines(stream, source, encoding)
        ahead = lines.peek(_SNIFFED_LINES, _SNIFFED_CHARACTERS)
        if format is None:
            format = _format(path, ahead, source)  # noqa: A001  # as above
        rows: CsvRecords | JsonRecords
        if format is TableFormat.JSON_LINES:
            if delimiter is not None:
                raise TableError("JSON Lines have no delimiter", source=source)
            rows = JsonRecords(lines, source, head=head, fields=fields)
        else:
            if delimiter is not None:
                delimiter = checked_delimiter(delimiter, source)
            elif format is TableFormat.TSV:
                delimiter = "\t"
            else:
                delimiter = sniffed_delimiter(ahead)
            rows = CsvRecords(lines, source, delimiter)
        yield Table(
            columns=rows.columns,
            source=source,
            format=format,
            encoding=lines.encoding,
            delimiter=delimiter,
            records=iter(rows),
        )


@contextlib.contextmanager
def _opened(path: Path | str) -> Iterator[tuple[BinaryIO, str]]:
    if str(path) == STANDARD_INPUT:
        yield sys.stdin.buffer, "standard input"
        return
    source = str(path)
    try:
        stream = Path(path).open("rb")  # noqa: SIM115  # closed below: only opening is tried
    except OSError as error:
        raise TableError(unopened(error, source), source=source) from error
    except ValueError as error:
        raise TableError(f"not a file name: {error}", source=source) from None
    with stream:
        yield stream, source


def unopened(error: OSError, path: Path | str) -> str:
    """Say why a file could not be opened, and what to do."""
    if Path(path).is_dir():  # Windows reports missing permission instead
        return "this is a directory: give a file in it"
    if isinstance(error, FileNotFoundError):
        return "no such file: check the name"
    if isinstance(error, PermissionError):
        return "no permission to read it: check its mode and owner"
    return f"{(error.strerror or str(error)).lower()}: check the name"


def _format(path: Path | str, ahead: list[str], source: str) -> TableFormat:
    named = _BY_ENDING.get(Path(path).suffix.lower())
    if named is not None:
        return named
    start = "".join(ahead).lstrip()
    if start.startswith("{"):
        return TableFormat.JSON_LINES
    if start.startswith("[") and start[1:].lstrip().startswith("{"):
        raise TableError(
            "this is a JSON array: write one object per line, as 'jq -c .[]' does",
            source=source,
        )
    return TableFormat.CSV
