"""Artifacts as rows: for `zsm ls`, `zsm nearest` and `zsm inspect`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from zsm_store.cli.table import Column, table_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from zsm_store.cli.terminal import Line
    from zsm_store.model.artifact import ModelArtifact
    from zsm_store.model.startup import NearestArtifact

SHORT_DIGITS = 12
"""Digits of a hash in a table; every command takes so many as a reference."""

ARTIFACT_COLUMNS = (
    Column("hash"),
    Column("tag", least=8),
    Column("fields", right=True),
    Column("records", right=True),
    Column("trained (UTC)"),
)


def artifact_lines(artifacts: Sequence[ModelArtifact]) -> Iterator[Line]:
    """Lay out artifacts as a table."""
    short = short_hashes(artifact.schema_hash for artifact in artifacts)
    rows = [artifact_row(artifact, short) for artifact in artifacts]
    return table_lines(ARTIFACT_COLUMNS, rows)


def nearest_lines(found: Sequence[NearestArtifact]) -> Iterator[Line]:
    """Lay out artifacts with their distances as a table."""
    short = short_hashes(nearest.artifact.schema_hash for nearest in found)
    rows = [
        [f"{nearest.distance:.4f}", *artifact_row(nearest.artifact, short)]
        for nearest in found
    ]
    return table_lines((Column("distance", right=True), *ARTIFACT_COLUMNS), rows)


def artifact_row(artifact: ModelArtifact, short: dict[str, str]) -> list[str]:
    """Cells of `ARTIFACT_COLUMNS`."""
    return [
        short[artifact.schema_hash],
        artifact.tag if artifact.tag is not None else "-",
        str(len(artifact.fingerprint.field_stats)),
        f"{artifact.fingerprint.record_count:,}",
        utc(artifact.trained_on),
    ]


def artifact_json_row(artifact: ModelArtifact) -> dict[str, Any]:
    """Return the same facts as JSON values."""
    return {
        "schema_hash": artifact.schema_hash,
        "tag": artifact.tag,
        "fields": len(artifact.fingerprint.field_stats),
        "record_count": artifact.fingerprint.record_count,
        "trained_on": artifact.trained_on,
        "em_iterations": artifact.em_iterations,
    }


def short_hashes(hashes: Iterable[str]) -> dict[str, str]:
    """Return the first digits of each hash, as many as tell them apart."""
    listed = set(hashes)
    digits = SHORT_DIGITS
    while len({schema_hash[:digits] for schema_hash in listed}) < len(listed):
        digits += 1
    return {schema_hash: schema_hash[:digits] for schema_hash in listed}


def utc(seconds: int, form: str = "%Y-%m-%d %H:%M") -> str:
    """Return Unix seconds as a time for people; as they are where no calendar goes."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime(form)
    except (OverflowError, ValueError, OSError):
        return f"@{seconds}"
