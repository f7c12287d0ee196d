"""`zsm git textconv`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from zsm_store.cli.command import command
from zsm_store.cli.textconv import textconv

if TYPE_CHECKING:
    from zsm_store.cli.session import Session


@command(
    "textconv",
    registry=False,
    data=False,
    examples="""
    zsm git textconv retrained.json
    git config diff.zsm.textconv 'zsm git textconv'
    """,
)
@click.argument("file")
def textconv_command(session: Session, file: str) -> None:  # noqa: ARG001  # every command takes it
    """Print an artifact's FILE as lines of one fact each, for 'git diff'.

    'zsm git install' makes git use it. What is no artifact is printed as it is, behind
    a line that says why; the exit code is 0 all the same.
    """
    textconv(file)
