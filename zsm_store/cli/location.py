"""Which registry a command means."""

from __future__ import annotations

import os
from pathlib import Path

import click

MARK = "registry.json"
"""The file that makes a directory a registry, as `zsm init` or the first save write."""


def registry_path(given: Path | None) -> Path:
    """Return the registry that is named, or else the one around here.

    Parameters
    ----------
    given
        By ``--registry`` or ``ZSM_REGISTRY``; need not exist.

    Raises
    ------
    click.UsageError
        None is named, and no directory from here upwards is one.
    """
    if given is not None:
        return given
    # os.path looks at what it may and says no to the rest; a Path would raise.
    here = Path(os.path.abspath(os.curdir))  # noqa: PTH100
    for directory in (here, *here.parents):
        if os.path.isfile(directory / MARK):  # noqa: PTH113
            return directory
    raise click.UsageError(
        f"no registry in '{here}' or above: create one with 'zsm init', or name one "
        "with --registry or ZSM_REGISTRY"
    )
