"""Keep: `zsm show`, `zsm ls`, `zsm rm`."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import click

from zsm_store.cli import artifact_view
from zsm_store.cli.artifact_list import artifact_json_row, artifact_lines
from zsm_store.cli.command import command
from zsm_store.cli.exit_codes import ExitCode
from zsm_store.cli.json_output import write_json, write_json_text
from zsm_store.cli.option_types import Digest
from zsm_store.cli.printable import counted
from zsm_store.cli.progress import working
from zsm_store.cli.references import complete_ref, existing
from zsm_store.cli.terminal import write_lines
from zsm_store.codec import artifact_json
from zsm_store.errors import ArtifactNotFoundError

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
    "show",
    examples="""
    zsm show people_q1
    zsm show 969fb2e646c6 --json > people_q1.json
    """,
)
@click.argument("ref", shell_complete=complete_ref)
def show_command(session: Session, ref: str) -> None:
    """Show one artifact: REF is a hash, the first 6 digits or more of one, or a tag.

    m and u are the probabilities of each comparison level among matches and among
    non-matches; the weight log2(m/u), in bits, is what the level says for a match.
    """
    with session.open_registry() as registry:
        artifact = registry.get(ref)
    if session.quiet:
        write_lines([artifact.schema_hash])
        return
    document, digest = artifact_json.encode_with_digest(artifact)
    if session.as_json:
        write_json_text(document.decode())
    else:
        write_lines(artifact_view.artifact_lines(artifact, digest))


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


@command(
    "rm",
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
