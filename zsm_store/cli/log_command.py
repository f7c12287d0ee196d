"""`zsm log`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from zsm_store.cli.command import command
from zsm_store.cli.json_output import write_json
from zsm_store.cli.references import complete_ref
from zsm_store.cli.terminal import Styled, warn, write_lines
from zsm_store.cli.version_list import version_json_row, version_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zsm_store.cli.session import Session
    from zsm_store.registry.versions import Version


@command(
    "log",
    quiet="digests",
    examples="""
    zsm log people_q1
    zsm log 969fb2e646c6 --json
    zsm init --keep 10
    """,
)
@click.argument("ref", shell_complete=complete_ref)
def log_command(session: Session, ref: str) -> None:
    """List the versions of one artifact, the served one first, then the last.

    How many replaced and deleted versions a registry keeps is what 'zsm init --keep N'
    says. A deleted artifact is named by its hash, or the first 6 digits or more of it.
    """
    with session.open_registry() as registry:
        versions = registry.history(ref)
        location = registry.location
    schema_hash = versions[0].schema_hash
    for version in versions:
        if version.problem:
            warn(version.problem)
    if session.as_json:
        rows = [version_json_row(version) for version in versions]
        write_json({"registry": location, "schema_hash": schema_hash, "versions": rows})
    elif session.quiet:
        write_lines(version.digest for version in versions if version.digest)
    else:
        write_lines([["schema hash ", Styled(schema_hash, bold=True)], ""])
        write_lines(version_lines(versions))
    _hint(session, versions, location)


def _hint(session: Session, versions: Sequence[Version], location: str) -> None:
    if not versions[0].is_served:
        session.hint("it is deleted: 'zsm restore REF DIGEST' brings a version back")
    elif len(versions) == 1 and Path(location).is_dir():
        session.hint(
            "no replaced version is kept; 'zsm init --keep 10' keeps the next ones"
        )
