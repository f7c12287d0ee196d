"""`zsm ls`."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import click

from zsm_store.cli.artifact_list import artifact_json_row, artifact_lines
from zsm_store.cli.command import command
from zsm_store.cli.json_output import write_json
from zsm_store.cli.printable import counted
from zsm_store.cli.progress import working
from zsm_store.cli.terminal import write_lines

if TYPE_CHECKING:
    from collections.abc import Callable

    from zsm_store.cli.session import Session
    from zsm_store.model.artifact import ModelArtifact

_SORT_KEYS: dict[str, Callable[[ModelArtifact], object]] = {
    "hash": lambda artifact: artifact.schema_hash,
    "tag": lambda artifact: (artifact.tag is None, artifact.tag),
    "records": lambda artifact: artifact.fingerprint.record_count,
    "trained": lambda artifact: artifact.trained_on,
    "fields": lambda artifact: len(artifact.fingerprint.field_stats),
}


@command(
    "ls",
    examples="""
    zsm ls
    zsm ls --tag 'people_*' --sort trained --reverse
    zsm ls --min-records 1000 -q | xargs zsm rm
    """,
)
@click.option("--tag", metavar="GLOB", help="Only tags like this, such as 'people_*'.")
@click.option(
    "--min-records", type=click.IntRange(min=0), metavar="N", help="At least N records."
)
@click.option(
    "--max-records", type=click.IntRange(min=0), metavar="N", help="At most N records."
)
@click.option(
    "--sort",
    type=click.Choice(list(_SORT_KEYS)),
    default="hash",
    show_default=True,
    help="What to sort by.",
)
@click.option("--reverse", is_flag=True, help="The other way round.")
def ls_command(  # noqa: PLR0917  # click passes them by name
    session: Session,
    tag: str | None,
    min_records: int | None,
    max_records: int | None,
    sort: str,
    reverse: bool,
) -> None:
    """List the artifacts."""
    with session.open_registry() as registry:
        session.hint_if_missing(registry)
        with working(f"reading {registry.location}"):
            stored = registry.list_all()
        location = registry.location
    artifacts = [
        artifact
        for artifact in stored
        if (
            tag is None or (artifact.tag is not None and fnmatchcase(artifact.tag, tag))
        )
        and (min_records or 0) <= artifact.fingerprint.record_count
        and (max_records is None or artifact.fingerprint.record_count <= max_records)
    ]
    # The artifacts come sorted by hash, and sorting keeps the order of equal ones.
    artifacts.sort(key=_SORT_KEYS[sort], reverse=reverse)  # type: ignore[arg-type]  # each key is of one type
    if session.as_json:
        rows = [artifact_json_row(artifact) for artifact in artifacts]
        write_json({"registry": location, "artifacts": rows})
    elif session.quiet:
        write_lines(artifact.schema_hash for artifact in artifacts)
    elif artifacts:
        write_lines(artifact_lines(artifacts))
    elif stored:
        session.hint(f"none like that among {counted(len(stored), 'artifact')}")
    else:
        session.hint(f"no artifact in '{location}' that can be used: see 'zsm save'")
