"""Delimited text -> records."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from zsm_store.errors import TableError
from zsm_store.tables.values import has_control_character, trimmed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from zsm_store.tables.text_lines import TextLines

_CANDIDATES = (",", ";", "\t", "|")
_SPELLED = {"tab": "\t", r"\t": "\t"}
_SNIFFED_RECORDS = 100


class CsvRecords:
    """Records of a CSV table, in one pass.

    Raises
    ------
    TableError
        At construction: no header, a column name twice or with a control character.
        While iterating: a record of another length than the header, or bad quoting.
    """

    columns: tuple[str, ...]
    """As the header has them, white space included: the peer hashes them untouched."""

    def __init__(self, lines: TextLines, source: str, delimiter: str) -> None:
        self._source = source
        self._reader = csv.reader(lines, delimiter=delimiter, strict=True)
        self._line = 1
        header = self._next_row()
        if header is None:
            raise TableError("the file is empty", source=source)
        self.columns = tuple(header)
        self._check_columns()

    def __iter__(self) -> Iterator[dict[str, str | None]]:
        width = len(self.columns)
        while (row := self._next_row()) is not None:
            if len(row) != width:
                if len(row) == 1 and trimmed(row[0]) is None:
                    continue  # a line of spaces is as blank as an empty one
                raise TableError(
                    f"found {_counted(len(row), 'value')} where the header has "
                    f"{_counted(width, 'column')}: check the quotation marks, or give "
                    "the delimiter",
                    source=self._source,
                    line=self._line,
                )
            yield dict(zip(self.columns, map(trimmed, row), strict=True))

    def _next_row(self) -> list[str] | None:
        while True:
            self._line = self._reader.line_num + 1
            try:
                row = next(self._reader, None)
            except csv.Error as error:
                raise TableError(
                    f"not CSV: {error}: check the quotation marks of this record",
                    source=self._source,
                    line=self._line,
                ) from None
            if row != []:
                return row

    def _check_columns(self) -> None:
        first: dict[str, int] = {}
        for position, name in enumerate(self.columns, 1):
            if has_control_character(name):
                raise TableError(
                    f"the name of column {position}, {name!r}, holds a control "
                    "character: rename it",
                    source=self._source,
                    line=self._line,
                )
            if name in first:
                raise TableError(
                    f"columns {first[name]} and {position} are both named {name!r}: "
                    "rename one",
                    source=self._source,
                    line=self._line,
                )
            first[name] = position


def checked_delimiter(given: str, source: str) -> str:
    """Return the delimiter a user means by `given`; ``tab`` may be spelled out."""
    delimiter = _SPELLED.get(given, given)
    if len(delimiter) != 1 or delimiter in '"\r\n\0':
        raise TableError(
            f"{given!r} cannot be the delimiter: give one character, or 'tab'",
            source=source,
        )
    return delimiter


def sniffed_delimiter(lines: Sequence[str]) -> str:
    """Return the delimiter under which the first records agree most with the header.

    Of equally consistent ones the one that makes more columns, then the first of
    ``, ; tab |``. A comma where none makes two columns.
    """
    best = ","
    best_score = (False, 0.0, 1)
    for delimiter in _CANDIDATES:
        rows, readable = _first_rows(lines, delimiter)
        if not rows or len(rows[0]) == 1:
            continue
        alike = sum(len(row) == len(rows[0]) for row in rows)
        score = (readable, alike / len(rows), len(rows[0]))
        if score > best_score:
            best, best_score = delimiter, score
    return best


def _first_rows(lines: Sequence[str], delimiter: str) -> tuple[list[list[str]], bool]:
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    rows: list[list[str]] = []
    try:
        for row in reader:
            if row:
                rows.append(row)
            if len(rows) > _SNIFFED_RECORDS:
                break
    except csv.Error:
        # At the last line the record may only be cut there; before it, the quotation
        # marks speak against this delimiter.
        return rows, reader.line_num == len(lines)
    return rows, True


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
