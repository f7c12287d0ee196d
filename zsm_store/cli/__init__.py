"""The command `zsm`: parse, call the registry, print."""

from __future__ import annotations

import gc
import sys
from typing import NoReturn

_COLLECT_AFTER = 100_000
"""Objects made and not freed before anybody looks for cycles; Python says 700."""

_FILE_OF_TEXTCONV = 2


def main() -> NoReturn:
    """Run `zsm` as a process of its own, and exit.

    Importing makes many objects and no garbage. Looking for some every 700 of them, and
    once more among all at the end, takes as long as reading an artifact.
    """
    gc.set_threshold(_COLLECT_AFTER)
    try:
        if sys.argv[1:2] == ["git"]:
            _run_for_git(sys.argv[2:])
        from zsm_store.cli.root_command import root_command  # noqa: PLC0415  # see above

        root_command.main()
    finally:
        gc.freeze()


def _run_for_git(arguments: list[str]) -> None:
    """Run what git starts once per file without the command line, which takes longer.

    Returns where it is something else, such as a question for the help.
    """
    if any(argument in {"-h", "--help"} for argument in arguments[:2]):
        return
    if arguments[:1] == ["merge-driver"]:
        from zsm_store.git import merge_driver  # noqa: PLC0415  # see above

        sys.exit(merge_driver.main(arguments[1:]))
    if arguments[:1] == ["textconv"] and len(arguments) == _FILE_OF_TEXTCONV:
        from zsm_store.cli import textconv  # noqa: PLC0415  # see above

        sys.exit(textconv.run(arguments[1]))
