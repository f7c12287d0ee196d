"""The command `zsm` and what is listed under it."""

from __future__ import annotations

import os
from pathlib import Path

import click

from zsm_store.cli import terminal
from zsm_store.cli.command import (
    CONTEXT,
    no_cache_option,
    quiet_option,
    registry_option,
    verbose_option,
)
from zsm_store.cli.lazy_group import PROGRAM, LazyCommand, LazyGroup
from zsm_store.cli.session import Session

SECTIONS = {
    "Begin": {
        "init": LazyCommand("init_command", "Create a registry."),
        "demo": LazyCommand(
            "demo_command", "Watch a registry at work, on made-up data."
        ),
    },
    "Ask": {
        "fingerprint": LazyCommand(
            "lookup_commands", "Show what a table looks like to a registry."
        ),
        "lookup": LazyCommand(
            "lookup_commands", "Say how training on a table should start."
        ),
        "nearest": LazyCommand(
            "lookup_commands", "List the artifacts nearest to a table."
        ),
    },
    "Keep": {
        "save": LazyCommand("save_command", "Save trained parameters."),
        "show": LazyCommand("show_command", "Show one artifact."),
        "diff": LazyCommand("diff_command", "Show what differs between two artifacts."),
        "ls": LazyCommand("ls_command", "List the artifacts."),
        "rm": LazyCommand("rm_command", "Delete artifacts."),
        "log": LazyCommand("log_command", "List the versions of one artifact."),
        "restore": LazyCommand("restore_command", "Save an earlier version again."),
        "verify": LazyCommand("verify_command", "Check every artifact."),
        "doctor": LazyCommand(
            "doctor_command", "Check what a registry can promise here."
        ),
        "cache": LazyCommand("cache_command", "Show or drop the caches of indexes."),
    },
    "Share": {
        "pack": LazyCommand("bundle_commands", "Write every artifact into one bundle."),
        "unpack": LazyCommand("bundle_commands", "Save the artifacts of a bundle."),
        "inspect": LazyCommand("bundle_commands", "Show what is in a bundle."),
    },
    "Git": {
        "git": LazyCommand("git_commands", "Merge and set up a registry in git."),
    },
    "Shell": {
        "completion": LazyCommand(
            "completion_command", "Print what makes a shell complete zsm."
        ),
    },
}

WELCOME = (
    "zsm keeps trained record-linkage models and says how the next training starts.",
    "New here? 'zsm demo' shows it at work; 'zsm init' creates a registry.",
    "With a table: 'zsm lookup people.csv'. Everything else: 'zsm --help'.",
)


def _print_version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from zsm_store import __version__  # noqa: PLC0415

        terminal.write_lines([f"zsm {__version__}"])
        ctx.exit()


@click.group(
    PROGRAM,
    cls=LazyGroup,
    sections=SECTIONS,
    invoke_without_command=True,
    context_settings=CONTEXT,
    params=[
        registry_option(),
        no_cache_option(),
        quiet_option(),
        verbose_option(),
    ],
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_print_version,
    help="Print the version and exit.",
)
@click.pass_context
def root_command(ctx: click.Context) -> None:
    """Keep trained record-linkage models; ask how the next training starts."""
    session = ctx.ensure_object(Session)
    if session.registry is None and (named := os.environ.get("ZSM_REGISTRY")):
        session.registry = Path(named)
    if ctx.invoked_subcommand is None:
        terminal.write_lines(WELCOME)
