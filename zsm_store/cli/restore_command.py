"""`zsm restore`."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import click

from zsm_store.cli.command import command, durability_option
from zsm_store.cli.json_output import write_json
from zsm_store.cli.option_types import Digest
from zsm_store.cli.progress import working
from zsm_store.cli.references import complete_ref
from zsm_store.cli.session import Session
from zsm_store.cli.terminal import Styled, write_lines
from zsm_store.codec.artifact_json import DIGEST_PREFIX
from zsm_store.errors import ConflictError, ZsmError
from zsm_store.registry.versions import version_with

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from zsm_store.model.artifact import ModelArtifact
    from zsm_store.registry.schema_registry import SchemaRegistry
    from zsm_store.registry.versions import Version


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
    """,
)
@click.argument("ref", shell_complete=complete_ref)
@click.argument("digest", shell_complete=_complete_digest)
@click.option(
    "--if-match", type=Digest(), help="Only if the served one has this digest."
)
@durability_option()
def restore_command(
    session: Session, ref: str, digest: str, if_match: str | None
) -> None:
    """Save an earlier version of REF again: the one that DIGEST means.

    DIGEST is one that 'zsm log' lists, or its first 6 digits or more. What is replaced
    is kept like after every save. A deleted artifact is named by its hash, or the first
    6 digits or more of it.
    """
    with session.open_registry() as registry:
        versions = registry.history(ref)
        wanted = version_with(versions, versions[0].schema_hash, digest)
        served = versions[0] if versions[0].is_served else None
        if if_match is not None and (served is None or served.digest != if_match):
            found = None if served is None else served.digest
            raise ConflictError(wanted.schema_hash, if_match, found)
        if not wanted.is_served and wanted.artifact is not None:
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
        write_lines([str(wanted.digest)])
    elif wanted.is_served:
        write_lines(["nothing to do: this version is served"])
    else:
        write_lines([["restored ", Styled(wanted.schema_hash, bold=True)]])
        write_lines([f"digest   {wanted.digest}"])
        write_lines([f"replaced {_told(served)}"])


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
