"""Where everything that a command prints passes through."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NamedTuple, TextIO

import click

from zsm_store.cli.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

PLAIN_WIDTH = 80
"""Columns where the output is no terminal."""


class Styled(NamedTuple):
    """Text with a color of click's, or bold, where the output is a terminal."""

    text: str
    color: str | None = None
    bold: bool = False


Line = str | Styled | list[str | Styled]
"""One line: text, or pieces of it. Styling is a piece of its own, so that the text may
be made printable without losing it, and no stored text can pass as styling."""


def write_lines(lines: Iterable[Line]) -> None:
    """Print lines of data on standard output."""
    colored = _is_colored(sys.stdout)
    for line in lines:
        sys.stdout.write(_rendered(line, sys.stdout, colored=colored) + "\n")
    # Once: a list may have thousands of lines. But before a hint on standard error.
    sys.stdout.flush()


def write_bytes(data: bytes) -> None:
    """Print bytes as they are on standard output."""
    click.echo(data, nl=False)


def tell(message: Line) -> None:
    """Print one line on standard error: a hint, a summary."""
    text = _rendered(message, sys.stderr, colored=_is_colored(sys.stderr))
    click.echo(text, err=True, color=True)


def warn(message: str) -> None:
    """Print a warning on standard error."""
    tell([Styled("zsm: warning: ", "yellow"), message])


def fail(message: str) -> None:
    """Print an error on standard error."""
    tell([Styled("zsm: error: ", "red", bold=True), message])


def table_width() -> int | None:
    """Columns that a table may take; None where no terminal limits it."""
    return _terminal_width() if sys.stdout.isatty() else None


def page_width() -> int:
    """Columns for what adapts its size, such as bars."""
    return min(_terminal_width(), 120) if sys.stdout.isatty() else PLAIN_WIDTH


def can_print(characters: str) -> bool:
    """Whether the encoding of standard output has the characters."""
    try:
        characters.encode(_encoding(sys.stdout))
    except UnicodeEncodeError:
        return False
    return True


def _terminal_width() -> int:
    import shutil  # noqa: PLC0415  # only where there is a terminal

    return max(shutil.get_terminal_size((PLAIN_WIDTH, 24)).columns, 40)


def _rendered(line: Line, stream: TextIO, *, colored: bool) -> str:
    pieces = line if isinstance(line, list) else [line]
    encoding = _encoding(stream)
    rendered = []
    for piece in pieces:
        text = printable(piece.text if isinstance(piece, Styled) else piece)
        # What the encoding lacks is shown as an escape; it must never be a traceback.
        text = text.encode(encoding, "backslashreplace").decode(encoding)
        if colored and isinstance(piece, Styled):
            text = click.style(text, fg=piece.color, bold=piece.bold or None)
        rendered.append(text)
    return "".join(rendered)


def _encoding(stream: TextIO) -> str:
    return stream.encoding or "utf-8"


def _is_colored(stream: TextIO) -> bool:
    # https://no-color.org: set and not empty.
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return stream.isatty()
