"""`zsm rm`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from zsm_store.cli.command import command
from zsm_store.cli.exit_codes import ExitCode
from zsm_store.cli.json_output import write_json
from zsm_store.cli.option_types import Digest
from zsm_store.cli.progress import working
from zsm_store.cli.references import complete_ref, existing
from zsm_store.cli.terminal import write_lines
from zsm_store.errors import ArtifactNotFoundError

if TYPE_CHECKING:
    from zsm_store.cli.session import Session


@command(
    "rm",
    locks=True,
    examples="""
    zsm rm people_q1
    zsm rm 969fb2e646c6 6ec0cb51a0b7 --force
    zsm rm people_q1 --if-match sha256:5d41...
    """,
)
@click.argument("refs", nargs=-1, required=True, shell_complete=complete_ref)
@click.option(
    "--if-match", type=Digest(), help="Only if it has this digest; for a single REF."
)
@click.option("--force", is_flag=True, help="No error where there is none.")
def rm_command(
    session: Session, refs: tuple[str, ...], if_match: str | None, force: bool
) -> None:
    """Delete the artifacts that the REFs mean; none of them if one does not exist."""
    if if_match is not None and len(refs) != 1:
        message = "--if-match takes exactly one REF"
        raise click.UsageError(message, click.get_current_context())
    with session.open_registry() as registry:
        found, missing = existing(registry, refs)
        if missing and not force:
            raise ArtifactNotFoundError(missing[0], f"not in '{registry.location}'")
        with working(f"deleting from {registry.location}"):
            deleted = [key for key in found if registry.delete(key, if_match=if_match)]
    # Somebody else was faster: it is gone, but not by us.
    missing += [key for key in found if key not in deleted]
    if session.as_json:
        write_json({"deleted": deleted, "missing": missing})
    else:
        prefix = "" if session.quiet else "deleted "
        write_lines(prefix + key for key in deleted)
    if missing and not force:
        click.get_current_context().exit(ExitCode.NOT_FOUND)
