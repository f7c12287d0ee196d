"""`zsm show`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from zsm_store.cli.artifact_view import artifact_lines
from zsm_store.cli.command import command
from zsm_store.cli.json_output import write_json_text
from zsm_store.cli.named_artifact import artifact_of_ref
from zsm_store.cli.references import complete_ref
from zsm_store.cli.terminal import write_lines
from zsm_store.codec.artifact_json import encode_with_digest

if TYPE_CHECKING:
    from zsm_store.cli.session import Session


@command(
    "show",
    examples="""
    zsm show people_q1
    zsm show 969fb2e646c6 --json > people_q1.json
    zsm show HEAD~2:people_q1
    """,
)
@click.argument("ref", shell_complete=complete_ref)
def show_command(session: Session, ref: str) -> None:
    """Show one artifact: REF is a hash, the first 6 digits or more of one, or a tag.

    REV:REF is the artifact in a revision of git; :REF is the one in the index.

    m and u are the probabilities of each comparison level among matches and among
    non-matches; the weight log2(m/u), in bits, is what the level says for a match.
    """
    with session.open_registry() as registry:
        artifact = artifact_of_ref(registry, ref).artifact
    if session.quiet:
        write_lines([artifact.schema_hash])
        return
    document, digest = encode_with_digest(artifact)
    if session.as_json:
        write_json_text(document.decode())
    else:
        write_lines(artifact_lines(artifact, digest))
