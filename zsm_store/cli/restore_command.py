"""`zsm restore`."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import click

from zsm_store.cli.command import command, durability_option
from zsm_store.cli.json_output import write_json
from zsm_store.cli.option_types import Digest
from zsm_store.cli.progress import working
from zsm_store.cli.references import complete_ref
from zsm_store.cli.session import Session
from zsm_store.cli.terminal import Styled, write_lines
from zsm_store.codec.artifact_json import DIGEST_PREFIX
from zsm_store.errors import ArtifactNotFoundError, ConflictError, ZsmError
from zsm_store.registry.versions import version_with

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from zsm_store.model.artifact import ModelArtifact
    from zsm_store.registry.schema_registry import SchemaRegistry
    from zsm_store.registry.version import Version


def _complete_digest(
    ctx: click.Context, _: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Offer the digests of REF's replaced versions. Says nothing if anything fails."""
    from click.shell_completion import CompletionItem  # noqa: PLC0415  # on Tab only

    session, ref = ctx.find_object(Session) or Session(), ctx.params.get("ref")
    with suppress(ZsmError, click.UsageError), session.open_registry() as registry:
        found = [it.digest for it in registry.history(str(ref)) if not it.is_served]
        # Digits only, unless somebody began otherwise: shells break words at a colon.
        start = "" if incomplete.startswith(DIGEST_PREFIX[0]) else DIGEST_PREFIX
        names = [digest.removeprefix(start) for digest in found if digest]
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]
    return []


@command(
    "restore",
    locks=True,
    quiet="the digest",
    examples="""
    zsm log people_q1
    zsm restore people_q1 5d41402abc4b
    zsm restore 969fb2e646c6 5d41402abc4b --if-match sha256:7b52...
    zsm restore people_q1 --from HEAD~2
    """,
)
@click.argument("ref", shell_complete=complete_ref)
@click.argument("digest", required=False, shell_complete=_complete_digest)
@click.option(
    "--from",
    "revision",
    metavar="REV",
    help="What REF means in this revision of git, in place of DIGEST.",
)
@click.option(
    "--if-match", type=Digest(), help="Only if the served one has this digest."
)
@durability_option()
def restore_command(
    session: Session,
    ref: str,
    digest: str | None,
    revision: str | None,
    if_match: str | None,
) -> None:
    """Save an earlier version of REF again: the one that DIGEST means.

    DIGEST is one that 'zsm log' lists, or its first 6 digits or more; with --from, the
    version is what git has in a revision. What is replaced is kept like after every
    save. A deleted artifact is named by its hash, or the first 6 digits or more of it.
    """
    _check_usage(digest, revision)
    with session.open_registry() as registry:
        if digest is not None:
            wanted, served = _kept(registry, ref, digest)
        else:
            wanted, served = _committed(registry, ref, revision or "")
        if if_match is not None and (served is None or served.digest != if_match):
            found = None if served is None else served.digest
            raise ConflictError(wanted.schema_hash, if_match, found)
        is_served = served is not None and served.digest == wanted.digest
        if not is_served:
            with working(f"saving into {registry.location}"):
                _save(registry, wanted.artifact, served)
        location = registry.location
    if session.as_json:
        restored = {
            "registry": location,
            "schema_hash": wanted.schema_hash,
            "digest": wanted.digest,
            "replaced": None if served is None else served.digest,
        }
        write_json(restored)
    elif session.quiet:
        write_lines([wanted.digest])
    elif is_served:
        write_lines(["nothing to do: this version is served"])
    else:
        write_lines([["restored ", Styled(wanted.schema_hash, bold=True)]])
        write_lines([f"digest   {wanted.digest}"])
        write_lines([f"replaced {_told(served)}"])


class _Wanted(NamedTuple):
    schema_hash: str
    digest: str
    artifact: ModelArtifact


def _check_usage(digest: str | None, revision: str | None) -> None:
    ctx = click.get_current_context()
    if digest is None and revision is None:
        raise click.UsageError("missing argument 'DIGEST', or --from", ctx)
    if digest is not None and revision is not None:
        raise click.UsageError("DIGEST and --from exclude each other", ctx)
    # What an unset variable of a script gives must not mean the index.
    if revision is not None and not revision.strip():
        raise click.UsageError("--from needs a revision", ctx)


def _kept(
    registry: SchemaRegistry, ref: str, digest: str
) -> tuple[_Wanted, Version | None]:
    """Return the version that the registry keeps, and the one that it serves."""
    versions = registry.history(ref)
    found = version_with(versions, versions[0].schema_hash, digest)
    if found.artifact is None or found.digest is None:
        raise AssertionError
    served = versions[0] if versions[0].is_served else None
    return _Wanted(found.schema_hash, found.digest, found.artifact), served


def _committed(
    registry: SchemaRegistry, ref: str, revision: str
) -> tuple[_Wanted, Version | None]:
    """Return the version that a revision has, and the one that is served."""
    from zsm_store.git.revisions import RevisionRef, artifact_at  # noqa: PLC0415  # runs git

    found = artifact_at(registry.location, RevisionRef(revision, ref))
    schema_hash = found.artifact.schema_hash
    served = None
    with suppress(ArtifactNotFoundError):
        latest = registry.history(schema_hash)[0]
        served = latest if latest.is_served else None
    return _Wanted(schema_hash, found.digest, found.artifact), served


def _save(
    registry: SchemaRegistry, artifact: ModelArtifact, served: Version | None
) -> None:
    """Save in place of what was there a moment ago, so that it can be told what was."""
    if served is None:
        registry.save(artifact, if_absent=True)
    else:
        # A damaged one has no digest, and nobody to miss it.
        registry.save(artifact, if_match=served.digest)


def _told(served: Version | None) -> str:
    if served is None:
        return "nothing: it was deleted"
    return "a damaged version" if served.digest is None else str(served.digest)
