"""Text of a table as the peer's loader has it: trimmed, and empty is missing."""

from __future__ import annotations

import re

# Unicode's White_Space, which is what Rust trims. `str.strip()` also takes U+001C to
# U+001F: a value that ends in a separator control would be another value here than in
# the peer, with other statistics.
WHITE_SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680"
    "\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def trimmed(text: str) -> str | None:
    """Return `text` without white space around it; None where nothing is left."""
    return text.strip(WHITE_SPACE) or None


def has_control_character(text: str) -> bool:
    """Whether a name holds a character of Unicode's category Cc.

    Such a name makes schema hashes ambiguous, so no schema takes it.
    """
    return _CONTROL.search(text) is not None
