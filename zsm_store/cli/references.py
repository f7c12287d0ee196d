"""References to artifacts on the command line."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import click

from zsm_store.cli.printable import printable
from zsm_store.cli.session import Session
from zsm_store.errors import (
    ArtifactNotFoundError,
    FormatError,
    StorageError,
    ZsmError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from click.shell_completion import CompletionItem

    from zsm_store.registry.schema_registry import SchemaRegistry


def existing(
    registry: SchemaRegistry, refs: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Return the hashes that the references mean, each once, and the refs without one.

    A damaged artifact exists: it must be possible to delete it.

    Raises
    ------
    AmbiguousRefError
        A reference means several.
    """
    found: dict[str, None] = {}
    missing = []
    for ref in refs:
        try:
            schema_hash = registry.resolve(ref)
            # A full hash resolves to itself, whether there is an artifact or not.
            with suppress(FormatError, StorageError):
                registry.digest(schema_hash)
        except ArtifactNotFoundError:
            missing.append(ref)
        else:
            found[schema_hash] = None
    return list(found), missing


def complete_ref(
    ctx: click.Context,
    _: click.Parameter,
    incomplete: str,
) -> list[CompletionItem]:
    """Offer tags, and hashes once a digit is typed. Says nothing if anything fails."""
    from click.shell_completion import CompletionItem  # noqa: PLC0415  # on Tab only

    session = ctx.find_object(Session) or Session()
    with suppress(ZsmError, click.UsageError), session.open_registry() as registry:
        artifacts = registry.list_all()
        names = [it.tag for it in artifacts if it.tag] + (
            [it.schema_hash for it in artifacts] if incomplete else []
        )
        return [
            CompletionItem(name)
            for name in names
            if name.startswith(incomplete) and name == printable(name)
        ]
    return []
