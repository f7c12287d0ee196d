"""`zsm log`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zsm_store.cli.command import command
from zsm_store.cli.json_output import write_json
from zsm_store.cli.references import complete_ref
from zsm_store.cli.terminal import Styled, warn, write_lines
from zsm_store.cli.version_list import (
    commit_json_row,
    commit_lines,
    version_json_row,
    version_lines,
)
from zsm_store.errors import ArtifactNotFoundError, GitError, NotInGitError
from zsm_store.model.fingerprint import is_schema_hash

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zsm_store.cli.session import Session
    from zsm_store.git.history import CommittedVersion
    from zsm_store.git.repository import Repository
    from zsm_store.registry.schema_registry import SchemaRegistry
    from zsm_store.registry.version import Version

logger = logging.getLogger(__name__)


@command(
    "log",
    quiet="digests",
    examples="""
    zsm log people_q1
    zsm log people_q1 -n 5 --no-git
    zsm log 969fb2e646c6 --json
    zsm init --keep 10
    """,
)
@click.argument("ref", shell_complete=complete_ref)
@click.option(
    "-n",
    "--limit",
    type=click.IntRange(min=1),
    metavar="LIMIT",
    help="So many versions, and so many commits.",
)
@click.option("--no-git", is_flag=True, help="Do not ask git.")
def log_command(session: Session, ref: str, limit: int | None, no_git: bool) -> None:
    """List the versions of one artifact, the served one first, then the last.

    How many replaced and deleted versions a registry keeps is what 'zsm init --keep N'
    says. If it is in git, the commits follow that changed the artifact, those that lost
    a merge, too. A deleted artifact is named by its hash, or the first 6 digits or more
    of it.
    """
    with session.open_registry() as registry:
        repository = None if no_git else _repository(registry.location)
        schema_hash, versions, commits = _found(registry, ref, repository)
        location = registry.location
    versions, commits = versions[:limit], commits[:limit]
    for problem in [it.problem for it in versions] + [it.problem for it in commits]:
        if problem:
            warn(problem)
    if session.as_json:
        rows = [version_json_row(version) for version in versions]
        document = {"registry": location, "schema_hash": schema_hash, "versions": rows}
        if repository is not None:
            document["commits"] = [commit_json_row(commit) for commit in commits]
        write_json(document)
    elif session.quiet:
        kept = [version.digest for version in versions if version.digest]
        # Most commits made what the registry keeps or serves, too.
        committed = dict.fromkeys(commit.digest for commit in commits if commit.digest)
        write_lines([*kept, *(it for it in committed if it not in kept)])
    else:
        write_lines([["schema hash ", Styled(schema_hash, bold=True)]])
        if versions:
            write_lines(["", *version_lines(versions)])
        if commits:
            write_lines(["", *commit_lines(commits)])
    if repository is not None and repository.is_shallow:
        warn("this clone is shallow, 'git fetch --unshallow' gets its older commits")
    _hint(session, versions, commits, location)


def _repository(location: str) -> Repository | None:
    """Return the repository that the registry is in, if that can be told."""
    if not Path(location).is_dir():
        return None
    from zsm_store.git.repository import Repository  # noqa: PLC0415  # runs git

    try:
        return Repository.around(location)
    except NotInGitError as error:
        logger.info("%s", error)
    except GitError as error:
        if isinstance(error.__cause__, FileNotFoundError):  # whoever has no git
            logger.info("%s", error)
        else:
            warn(str(error))
    return None


def _found(
    registry: SchemaRegistry, ref: str, repository: Repository | None
) -> tuple[str, Sequence[Version], Sequence[CommittedVersion]]:
    """Return the schema hash, what the registry keeps, and what git does."""
    missing, versions = None, []
    try:
        versions = registry.history(ref)
        schema_hash = versions[0].schema_hash
    except ArtifactNotFoundError as error:
        if repository is None:
            raise
        missing = error
        schema_hash = _committed_hash(registry.location, ref, missing)
    if repository is None:
        return schema_hash, versions, []
    from zsm_store.git.history import committed_versions  # noqa: PLC0415  # runs git

    commits = committed_versions(repository, registry.location, schema_hash)
    if missing is not None and not commits:
        raise missing
    return schema_hash, versions, commits


def _committed_hash(location: str, ref: str, missing: ArtifactNotFoundError) -> str:
    """Return which artifact is meant that git may know, but the registry does not."""
    if is_schema_hash(ref.lower()):
        return ref.lower()
    from zsm_store.git.revisions import RevisionRef, resolve_at  # noqa: PLC0415  # runs git

    try:
        return resolve_at(location, RevisionRef("HEAD", ref))
    except (ArtifactNotFoundError, GitError):
        raise missing from None


def _hint(
    session: Session,
    versions: Sequence[Version],
    commits: Sequence[CommittedVersion],
    location: str,
) -> None:
    if not versions:
        session.hint("it is deleted: 'zsm restore REF --from COMMIT' brings it back")
    elif not versions[0].is_served:
        session.hint("it is deleted: 'zsm restore REF DIGEST' brings a version back")
    elif len(versions) == 1 and not commits and Path(location).is_dir():
        session.hint(
            "no replaced version is kept, none is in git; 'zsm init --keep 10' keeps "
            "the next ones"
        )
