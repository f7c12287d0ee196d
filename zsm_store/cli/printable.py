"""Stored text as a terminal may see it: one line, nothing that acts."""

from __future__ import annotations

import re
import unicodedata

# C0, DEL and C1 drive the terminal; line and paragraph separators break lines; the
# bidirectional controls make a name read as another one; a lone surrogate (of a file
# name that is not UTF-8) cannot be written at all.
# Text, not a pattern: most output is plain ASCII, and never waits for the compiler.
_UNSAFE = (
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
_BYTE = 0x100
_WIDE = {"W", "F"}


def printable(text: object) -> str:
    r"""Return `text` with control characters as ``\x1b`` or ``\u202e``."""
    text = str(text)
    if text.isascii() and text.isprintable():
        return text
    return re.sub(_UNSAFE, _escape, text)


def json_escaped(document: str) -> str:
    r"""Return JSON text with those characters of its strings as ``\u001b``.

    Line feeds stay: in JSON they are layout, since a string holds none.
    """
    return re.sub(
        _UNSAFE,
        lambda match: (
            "\n" if match[0] == "\n" else f"\\u{ord(match[0]):04x}"  # no astral ones
        ),
        document,
    )


def display_width(text: str) -> int:
    """Return the columns of printable text: 2 for a wide letter, 0 for a mark."""
    if text.isascii():
        return len(text)
    return sum(map(_width, text))


def counted(count: int, noun: str) -> str:
    """Return how many there are, in words: ``1 artifact``, ``1,200 artifacts``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def fitted(text: str, width: int) -> str:
    """Return text cut to `width` columns, with ``..`` where something is lost."""
    if display_width(text) <= width:
        return text
    left = max(width - 2, 0)
    kept = []
    for letter in text:
        left -= _width(letter)
        if left < 0:
            break
        kept.append(letter)
    return "".join(kept) + ".."[:width]


def wrapped(text: str, width: int) -> list[str]:
    """Return printable text in lines of at most `width` columns, broken at spaces."""
    lines: list[str] = []
    for word in text.split(" "):
        if lines and display_width(lines[-1]) + 1 + display_width(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def padded(text: str, width: int, *, right: bool = False) -> str:
    """Return text filled with spaces to `width` columns, aligned left or right."""
    space = " " * (width - display_width(text))
    return space + text if right else text + space


def _escape(match: re.Match[str]) -> str:
    letter = match[0]
    code = ord(letter)
    return _SHORT.get(letter) or (
        f"\\x{code:02x}" if code < _BYTE else f"\\u{code:04x}"
    )


def _width(letter: str) -> int:
    if unicodedata.combining(letter) or unicodedata.category(letter) in {"Mn", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(letter) in _WIDE else 1
