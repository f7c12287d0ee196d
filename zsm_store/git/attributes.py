"""The marked block in git's own attributes of a clone: which files it asks `zsm` about.

Those outrank the `.gitattributes` of the tree, which keeps artifacts whole in clones
without this package.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from zsm_store.errors import GitError

if TYPE_CHECKING:
    from collections.abc import Iterable

_BEGIN = b"# >>> zsm-store >>>"
_JOINED = _BEGIN + b" (the line above had no end)"
_END = b"# <<< zsm-store <<<"
_BLOCK = re.compile(
    rb"(?P<joined>\n(?=%s\n))?^(?:%s|%s)\n(?P<lines>.*?)^%s\n?"
    % tuple(map(re.escape, (_JOINED, _JOINED, _BEGIN, _END))),
    re.DOTALL | re.MULTILINE,
)
_GLOB, _ESCAPED = re.compile(r"([*?[\\])"), r"\\\1"


def attribute_lines(folder: str) -> list[bytes]:
    """Return the lines for a registry, in either layout.

    Parameters
    ----------
    folder
        From the top of the work tree; ``.`` is the top.
    """
    # From the top: a pattern without a slash would mean files of that name anywhere,
    # and one with an exclamation mark in front would be none.
    prefix = "/" if folder == "." else f"/{_GLOB.sub(_ESCAPED, folder)}/"
    return [
        b'"%s" merge=zsm' % _quoted(f"{prefix}{names}")
        for names in ("*.json", "[0-9a-f][0-9a-f]/*.json")
    ]


def lines_of_block(content: bytes) -> list[bytes]:
    """Return the lines in the block; none where there is no block.

    Raises
    ------
    GitError
        The block has no end, or there are several.
    """
    blocks = list(_BLOCK.finditer(content))
    if len(blocks) != content.count(_BEGIN) or len(blocks) > 1:
        raise GitError("the block of zsm-store in git's attributes was edited by hand")
    return blocks[0]["lines"].splitlines() if blocks else []


def with_block(content: bytes, lines: Iterable[bytes]) -> bytes:
    """Return the content with these lines in the block, and without one for none.

    What others wrote stays as it is, to the last byte.
    """
    without = _BLOCK.sub(b"", content)
    listed = b"".join(line + b"\n" for line in lines)
    if not listed:
        return without
    if without and not without.endswith(b"\n"):
        return b"%s\n%s\n%s%s\n" % (without, _JOINED, listed, _END)
    return b"%s%s\n%s%s\n" % (without, _BEGIN, listed, _END)


def _quoted(pattern: str) -> bytes:
    """Return a pattern as git reads it between quotation marks."""
    data = os.fsencode(pattern)
    data = data.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    return data.replace(b"\n", b"\\n").replace(b"\t", b"\\t").replace(b"\r", b"\\r")
