"""`zsm git` and what is listed under it."""

from __future__ import annotations

import click

from zsm_store.cli.command import (
    CONTEXT,
    ExampleCommand,
    json_option,
    quiet_option,
    registry_option,
    verbose_option,
)
from zsm_store.cli.lazy_group import LazyCommand, LazyGroup
from zsm_store.cli.terminal import write_lines

SECTIONS = {
    "Conflicts": {
        "resolve": LazyCommand(
            "git_resolve_command", "Take one whole side of each artifact in conflict."
        ),
    },
    "Set up": {
        "install": LazyCommand(
            "git_install_commands", "Make git ask zsm about artifacts."
        ),
        "status": LazyCommand(
            "git_install_commands", "Say whether git asks zsm about artifacts."
        ),
        "uninstall": LazyCommand(
            "git_install_commands", "Take back what 'zsm git install' did."
        ),
    },
    "For git itself": {
        "merge-driver": LazyCommand(
            "git_merge_driver_command", "Merge one artifact; git calls it."
        ),
        "textconv": LazyCommand(
            "textconv_command", "Print an artifact for 'git diff'; git calls it."
        ),
    },
}


EXAMPLES = """
zsm git install
zsm git status
zsm git resolve --policy newest
"""


class GitGroup(LazyGroup, ExampleCommand):
    """The commands about git, with examples under the help."""


@click.group(
    "git",
    cls=GitGroup,
    sections=SECTIONS,
    epilog=EXAMPLES,
    invoke_without_command=True,
    context_settings=CONTEXT,
    params=[
        json_option(),
        quiet_option("hashes or names"),
        registry_option(),
        verbose_option(),
    ],
)
@click.pass_context
def git_command(ctx: click.Context) -> None:
    """Merge a registry that is in git, and set git up for it."""
    if ctx.invoked_subcommand is None:
        write_lines(ctx.get_help().splitlines())
