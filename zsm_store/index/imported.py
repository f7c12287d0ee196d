"""Whether numpy is there already. To import it takes as long as a long search."""

from __future__ import annotations

import sys


def has_numpy() -> bool:
    """Whether somebody has imported numpy."""
    return "numpy" in sys.modules
