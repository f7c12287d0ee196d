"""Rows and columns as a table of Markdown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from zsm_store.cli.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from zsm_store.cli.table import Column

# Letters, digits and what neither Markdown nor HTML takes for anything.
_HARMLESS = re.compile(r"[\w .,:%+/()\-]*\Z", re.ASCII)
_MARKUP = re.compile(r"(?<!\w)_|_(?!\w)|://|www\.")


def markdown_table(
    columns: Sequence[Column], rows: Sequence[Sequence[str]]
) -> Iterator[str]:
    """Lay out a table as GitHub and GitLab know it; text in cells is only text."""
    yield f"| {' | '.join(column.title for column in columns)} |"
    yield f"|{'|'.join('--:' if column.right else '---' for column in columns)}|"
    for row in rows:
        yield f"| {' | '.join(map(_markdown_cell, row))} |"


def _markdown_cell(text: str) -> str:
    """Return text that no renderer takes for markup, a link or a mention."""
    shown = printable(text)
    if _HARMLESS.match(shown.replace(" -> ", " ")) and not _MARKUP.search(shown):
        return shown
    fence = "`"
    while fence in shown:
        fence += "`"
    inner = f" {shown} " if "`" in shown or shown.strip() != shown else shown
    # A bar ends a cell of GitHub's tables, in code, too, unless it is escaped.
    return f"{fence}{inner}{fence}".replace("|", r"\|")
