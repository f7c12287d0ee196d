"""`zsm git merge-driver`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from zsm_store.cli.command import command
from zsm_store.git import merge_driver

if TYPE_CHECKING:
    from zsm_store.cli.session import Session


@command(
    "merge-driver",
    registry=False,
    data=False,
    examples="""
    zsm git merge-driver %O %A %B %P
    git config zsm.policy newest
    ZSM_GIT_DRIVER=off git merge branch
    """,
)
@click.option(
    "--policy",
    default="",
    help="What decides between two trainings: manual, newest or records.",
)
@click.argument("files", metavar="BASE OURS THEIRS NAME", nargs=4)
def merge_driver_command(
    session: Session,  # noqa: ARG001  # every command takes it
    policy: str,
    files: tuple[str, ...],
) -> None:
    """Merge one artifact: put one whole side of it into OURS.

    'zsm git install' makes git call it. The exit code is 1 where a conflict is left;
    'zsm git resolve' helps then. The git setting zsm.policy is what it passes as
    --policy; the environment variable ZSM_GIT_DRIVER=off leaves every conflict.
    """
    raise click.exceptions.Exit(merge_driver.main(["--policy", policy, *files]))
