"""Rows and columns for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from zsm_store.cli.printable import display_width, fitted, padded, printable
from zsm_store.cli.terminal import Line, Styled, table_width

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_GAP = "  "


class Column(NamedTuple):
    """A column of a table."""

    title: str
    right: bool = False
    """Aligned right, as numbers are."""
    least: int | None = None
    """Columns down to which it may be cut on a narrow terminal; None: never cut."""


def table_lines(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], *, indent: str = ""
) -> Iterator[Line]:
    """Lay out a table, as wide as it needs; cut to the terminal where it is one.

    Elsewhere nothing is cut: another program may be reading.
    """
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [
        max(display_width(text) for text in (column.title, *(row[i] for row in cells)))
        for i, column in enumerate(columns)
    ]
    limit = table_width()
    if limit is not None:
        _shrink(columns, widths, limit - len(indent))
    titles = [column.title for column in columns]
    yield Styled(indent + _line(columns, widths, titles), bold=True)
    for row in cells:
        yield indent + _line(columns, widths, row)


def _line(
    columns: Sequence[Column], widths: Sequence[int], cells: Sequence[str]
) -> str:
    laid = (
        padded(fitted(cell, width), width, right=column.right)
        for column, width, cell in zip(columns, widths, cells, strict=True)
    )
    return _GAP.join(laid).rstrip()


def _shrink(columns: Sequence[Column], widths: list[int], limit: int) -> None:
    """Take what is too much from the last column that may give, then the one before."""
    excess = sum(widths) + len(_GAP) * (len(widths) - 1) - limit
    for i in reversed(range(len(columns))):
        least = columns[i].least
        if least is not None and excess > 0:
            taken = min(excess, max(widths[i] - least, 0))
            widths[i] -= taken
            excess -= taken
