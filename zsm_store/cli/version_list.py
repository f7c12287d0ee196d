"""Versions of one artifact as rows, wherever they come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zsm_store.cli.artifact_list import (
    artifact_json_row,
    short_hashes,
    utc,
)
from zsm_store.cli.table import Column, table_lines
from zsm_store.codec.artifact_json import DIGEST_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from zsm_store.cli.terminal import Line
    from zsm_store.registry.versions import Version

_COLUMNS = (
    Column("digest"),
    Column("replaced (UTC)"),
    Column("records", right=True),
    Column("EM", right=True),
    Column("tag", least=8),
    Column("trained (UTC)"),
)


def version_lines(versions: Sequence[Version]) -> Iterator[Line]:
    """Lay out versions as a table, a line each."""
    digits = short_hashes(
        version.digest.removeprefix(DIGEST_PREFIX)
        for version in versions
        if version.digest is not None
    )
    return table_lines(_COLUMNS, [_row(version, digits) for version in versions])


def version_json_row(version: Version) -> dict[str, Any]:
    """Return the facts of a version as JSON values."""
    facts = {
        "digest": version.digest,
        "replaced_at": _seconds(version),
        "tag": None,
        "record_count": None,
        "trained_on": None,
        "em_iterations": None,
        "problem": version.problem or None,
    }
    if version.artifact is not None:
        row = artifact_json_row(version.artifact)
        facts.update((key, row[key]) for key in row.keys() & facts.keys())
    return facts


def _row(version: Version, digits: dict[str, str]) -> list[str]:
    seconds, artifact = _seconds(version), version.artifact
    replaced = "served" if seconds is None else utc(seconds, "%Y-%m-%d %H:%M:%S")
    if artifact is None or version.digest is None:
        return ["damaged", replaced, "-", "-", "-", "-"]
    return [
        digits[version.digest.removeprefix(DIGEST_PREFIX)],
        replaced,
        f"{artifact.fingerprint.record_count:,}",
        f"{artifact.em_iterations:,}",
        artifact.tag if artifact.tag is not None else "-",
        utc(artifact.trained_on),
    ]


def _seconds(version: Version) -> int | None:
    """Return the Unix seconds of when it was replaced; None if it is served."""
    moment = version.replaced_at
    return None if moment is None else int(moment.timestamp())
