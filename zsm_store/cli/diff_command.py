"""`zsm diff`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from zsm_store.cli.command import command
from zsm_store.cli.diff_view import diff_json, diff_lines, diff_markdown
from zsm_store.cli.json_output import write_json
from zsm_store.cli.named_artifact import artifact_of_file_or_ref
from zsm_store.cli.references import complete_ref
from zsm_store.cli.terminal import write_lines
from zsm_store.model.comparison import compare

if TYPE_CHECKING:
    from zsm_store.cli.session import Session

DIFFERENT = 1
"""Exit code of ``--exit-code``, as `diff` and `git diff` have it."""


@command(
    "diff",
    quiet="names of fields that differ",
    examples="""
    zsm diff people_q1 people_q2
    zsm diff HEAD:people_q1 people_q1
    zsm diff :2:people_q1 :3:people_q1
    zsm diff main:people_q1 retrained.json --md >> "$GITHUB_STEP_SUMMARY"
    """,
)
@click.argument("before", metavar="A", shell_complete=complete_ref)
@click.argument("after", metavar="B", shell_complete=complete_ref)
@click.option(
    "--md", "as_markdown", is_flag=True, help="Print Markdown, for a pull request."
)
@click.option("--exit-code", is_flag=True, help="Exit with 1 if they differ.")
def diff_command(
    session: Session, before: str, after: str, as_markdown: bool, exit_code: bool
) -> None:
    """Show what differs between two artifacts.

    A and B are REFs, artifacts of a revision of git as REV:REF (:REF is the index), or
    artifact files: with a slash in their name, or one that ends in .json.
    """
    ctx = click.get_current_context()
    if as_markdown and (session.as_json or session.quiet):
        other = "--json" if session.as_json else "--quiet"
        message = f"--md and {other} exclude each other"
        raise click.UsageError(message, ctx)
    old = artifact_of_file_or_ref(session, before)
    new = artifact_of_file_or_ref(session, after)
    comparison = compare(old.artifact, new.artifact)
    if session.as_json:
        write_json(diff_json(old, new, comparison))
    elif session.quiet:
        write_lines(change.name for change in comparison.fields)
    elif as_markdown:
        write_lines(diff_markdown(old, new, comparison))
    else:
        write_lines(diff_lines(old, new, comparison))
    if exit_code and comparison.differs:
        ctx.exit(DIFFERENT)
