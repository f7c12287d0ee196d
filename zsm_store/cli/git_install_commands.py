"""`zsm git install`, `status` and `uninstall`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from zsm_store.cli.command import command
from zsm_store.cli.exit_codes import ExitCode
from zsm_store.cli.json_output import write_json
from zsm_store.cli.location import registry_path
from zsm_store.cli.table import Column, table_lines
from zsm_store.cli.terminal import fail, tell, write_lines
from zsm_store.git import installation
from zsm_store.git.installation import Changes, Scope

if TYPE_CHECKING:
    from collections.abc import Callable

    from zsm_store.cli.session import Session

_COLUMNS = (Column("condition"), Column("met"), Column("found"))

_LOCAL = click.option(
    "--local", "local", is_flag=True, help="In this clone; so it is if left out."
)
_GLOBAL = click.option(
    "--global",
    "everywhere",
    is_flag=True,
    help="In the user's settings: the commands only, each clone says for which files.",
)
_DRY_RUN = click.option("--dry-run", is_flag=True, help="Only say what would be done.")


def _scoped(function: Callable[..., None]) -> Callable[..., None]:
    return _LOCAL(_GLOBAL(_DRY_RUN(function)))


@command(
    "install",
    cache=False,
    quiet="what is in the way",
    examples="""
    zsm git install
    zsm git install --dry-run
    zsm git install --global
    """,
)
@_scoped
@click.option("--force", is_flag=True, help="Replace settings that others made.")
@click.option(
    "--absolute",
    is_flag=True,
    help="Let git start this very zsm, wherever it is, not the one on the PATH.",
)
def install_command(
    session: Session,
    *,
    local: bool,
    everywhere: bool,
    dry_run: bool,
    force: bool,
    absolute: bool,
) -> None:
    """Make git ask zsm about artifacts, when it merges and shows differences.

    It defines a merge driver and a text conversion in git's settings, and says in the
    attributes of this clone for which files. No hooks, and nothing in the tree. The
    .gitattributes of a registry keep artifacts whole without it, too.
    """
    scope = _scope(local=local, everywhere=everywhere)
    changes = installation.install(
        _place(session, scope),
        scope,
        program=installation.absolute_program() if absolute else installation.PROGRAM,
        force=force,
        dry_run=dry_run,
    )
    _report(session, changes, dry_run=dry_run)
    if changes.foreign:
        fail(f"others have set {', '.join(changes.foreign)}: --force replaces it")
        raise click.exceptions.Exit(ExitCode.CONFLICT)


@command(
    "uninstall",
    cache=False,
    quiet="what is left",
    examples="""
    zsm git uninstall
    zsm git uninstall --global
    """,
)
@_scoped
def uninstall_command(
    session: Session, local: bool, everywhere: bool, dry_run: bool
) -> None:
    """Take back what 'zsm git install' did, and nothing else.

    The commands stay in the settings of a clone while it has another registry.
    """
    scope = _scope(local=local, everywhere=everywhere)
    changes = installation.uninstall(_place(session, scope), scope, dry_run=dry_run)
    _report(session, changes, dry_run=dry_run)
    if changes.foreign:
        session.hint(f"others have set {', '.join(changes.foreign)}: left as it is")


@command(
    "status",
    cache=False,
    quiet="what is not as it should be",
    examples="""
    zsm git status
    zsm git status -q || zsm git install
    """,
)
def status_command(session: Session) -> None:
    """Say whether git asks zsm about the artifacts of the registry.

    What counts is what git makes of all its settings and attributes together. The exit
    code is 0 only if all is as it should be, and 5 if not.
    """
    checks = installation.status(registry_path(session.registry))
    missed = [check for check in checks if not check.is_met]
    if session.as_json:
        listed = [
            {"condition": it.name, "met": it.is_met, "found": it.message}
            for it in checks
        ]
        write_json({"installed": not missed, "conditions": listed})
    elif session.quiet:
        write_lines(check.name for check in missed)
    else:
        rows = [[it.name, "yes" if it.is_met else "no", it.message] for it in checks]
        write_lines(table_lines(_COLUMNS, rows))
    if missed:
        session.hint("not installed: 'zsm git install' does that")
        raise click.exceptions.Exit(ExitCode.CONFLICT)


def _scope(*, local: bool, everywhere: bool) -> Scope:
    if local and everywhere:
        message = "--local and --global exclude each other"
        raise click.UsageError(message, click.get_current_context())
    return Scope.GLOBAL if everywhere else Scope.LOCAL


def _place(session: Session, scope: Scope) -> Path:
    if scope is Scope.GLOBAL:
        return Path()
    path = registry_path(session.registry)
    if path.is_file():
        message = f"'{path}' is a bundle; git merges the files of a directory"
        raise click.UsageError(message, click.get_current_context())
    return path


def _report(session: Session, changes: Changes, *, dry_run: bool) -> None:
    if session.as_json:
        document = {
            "dry_run": dry_run,
            "done": changes.done,
            "foreign": changes.foreign,
        }
        write_json(document)
    elif session.quiet:
        write_lines(changes.foreign)
    elif changes.done:
        write_lines(f"would {line}" if dry_run else line for line in changes.done)
    elif not changes.foreign:
        tell("nothing to do")
