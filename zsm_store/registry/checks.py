"""Rules of the model whose breach is suspicious but does no harm."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import TYPE_CHECKING

from zsm_store.codec.strict_json import line_of
from zsm_store.model.schema import schema_hash
from zsm_store.registry.problem import Problem, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zsm_store.model.artifact import ModelArtifact
    from zsm_store.model.fingerprint import SchemaFingerprint
    from zsm_store.model.params import ModelParams

ROW_SUM_TOLERANCE = 1e-3


def artifact_problems(
    artifact: ModelArtifact, path: str, data: bytes = b""
) -> Iterator[Problem]:
    """Check an artifact that is valid.

    Parameters
    ----------
    artifact
        The artifact.
    path
        Its file, for the report.
    data
        The file's bytes, to find lines in.
    """
    for code, message in _identity_notes(artifact.fingerprint):
        yield Problem(path=path, code=code, message=message, severity=Severity.NOTE)
    warnings = _row_warnings(artifact.params), _shape_warnings(artifact)
    for key, row, code, message in itertools.chain(*warnings):
        yield Problem(
            path=path,
            line=line_of(data, key) + row if data else 1,
            code=code,
            message=message,
            severity=Severity.WARNING,
        )


def _identity_notes(fingerprint: SchemaFingerprint) -> Iterator[tuple[str, str]]:
    derived = schema_hash(fingerprint.fields, fingerprint.mappings, fingerprint.context)
    if derived != fingerprint.schema_hash:
        message = (
            f"the fields hash to {derived}; the peer's bundles omit the mappings that "
            "went into a hash"
        )
        yield "ZSM022", message
    counts = Counter(stats.name for stats in fingerprint.field_stats)
    for name, count in counts.items():
        if count > 1:
            yield "ZSM023", f"field name {name!r} stands {count} times"


def _row_warnings(params: ModelParams) -> Iterator[tuple[str, int, str, str]]:
    """Yield key, lines below it, code and message."""
    for key, rows in (("m", params.m), ("u", params.u)):
        for number, row in enumerate(rows):
            total = sum(row)
            if row and abs(total - 1) > ROW_SUM_TOLERANCE:
                message = f"row {number} of {key} sums to {total:.4g}, not to 1"
                yield key, number + 1, "ZSM030", message


def _shape_warnings(artifact: ModelArtifact) -> Iterator[tuple[str, int, str, str]]:
    stats = artifact.fingerprint.field_stats
    if len(artifact.params.m) != len(stats):
        message = (
            f"{len(artifact.params.m)} rows of m for {len(stats)} fields: "
            "they cannot be aligned by name"
        )
        yield "m", 0, "ZSM031", message
    for number, field in enumerate(stats):
        if not 0 <= field.null_rate <= 1:
            message = f"null rate of {field.name!r} is {field.null_rate:.4g}"
            yield "fields", number + 1, "ZSM032", message
