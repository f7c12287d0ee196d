"""The command `zsm`: parse, call the registry, print."""

from __future__ import annotations

import gc
from typing import NoReturn

_COLLECT_AFTER = 100_000
"""Objects made and not freed before anybody looks for cycles; Python says 700."""


def main() -> NoReturn:
    """Run `zsm` as a process of its own, and exit.

    Importing makes many objects and no garbage. Looking for some every 700 of them, and
    once more among all at the end, takes as long as reading an artifact.
    """
    gc.set_threshold(_COLLECT_AFTER)
    from zsm_store.cli.root_command import root_command  # noqa: PLC0415  # see above

    try:
        root_command.main()
    finally:
        gc.freeze()
