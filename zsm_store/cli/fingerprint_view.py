"""A fingerprint for people and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zsm_store.cli.json_output import finite
from zsm_store.cli.printable import counted
from zsm_store.cli.table import Column, table_lines
from zsm_store.cli.terminal import Line, Styled
from zsm_store.model.schema import NullPolicy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zsm_store.model.fingerprint import SchemaFingerprint
    from zsm_store.model.schema import FieldMapping
    from zsm_store.tables.fingerprint import TableFingerprint

_COLUMNS = (
    Column("column", least=12),
    Column("kind"),
    Column("missing", right=True),
    Column("distinct", right=True),
    Column("decided by", least=10),
    Column("examples", least=12),
)
_EXAMPLES = 3


def fingerprint_lines(found: TableFingerprint, title: str) -> Iterator[Line]:
    """Hash, then a row per column."""
    fingerprint = found.fingerprint
    count = fingerprint.record_count
    sample = f"sample of {counted(count, 'record')}" if count else "no sample"
    columns = counted(len(fingerprint.field_stats), "column")
    yield f"{title}: {columns}, {sample}"
    yield ["schema hash ", Styled(fingerprint.schema_hash, bold=True)]
    yield from address_lines(fingerprint)
    yield ""
    rows = [
        [
            stats.name,
            stats.kind.value,
            f"{stats.null_rate * 100:.1f} %" if count else "-",
            f"{stats.cardinality:,}" if count else "-",
            decision.rule,
            ", ".join(stats.top_k[:_EXAMPLES]),
        ]
        for stats, decision in zip(
            fingerprint.field_stats, found.decisions, strict=True
        )
    ]
    yield from table_lines(_COLUMNS, rows)


def address_lines(fingerprint: SchemaFingerprint) -> Iterator[Line]:
    """Tell what else went into the hash."""
    if fingerprint.mappings:
        pairs = ", ".join(f"{it.a_field} = {it.b_field}" for it in fingerprint.mappings)
        yield f"mappings    {pairs}"
    if fingerprint.context is not None:
        yield f"context     {_json_text(fingerprint.context)}"


def fingerprint_json(found: TableFingerprint) -> dict[str, Any]:
    """Return the fingerprint as JSON values that are a schema file, too."""
    fingerprint = found.fingerprint
    return {
        "schema_hash": fingerprint.schema_hash,
        "record_count": fingerprint.record_count,
        "created_at": fingerprint.created_at,
        "mappings": [_mapping(mapping) for mapping in fingerprint.mappings],
        "context": None if fingerprint.context is None else dict(fingerprint.context),
        "fields": [
            {
                "name": stats.name,
                "kind": stats.kind.value,
                "null_rate": finite(stats.null_rate),
                "cardinality": stats.cardinality,
                "top_k": list(stats.top_k),
            }
            for stats in fingerprint.field_stats
        ],
        "decisions": [
            {"name": decision.name, "rule": decision.rule}
            for decision in found.decisions
        ],
    }


def _mapping(mapping: FieldMapping) -> list[str]:
    pair = [mapping.a_field, mapping.b_field]
    if mapping.null_policy is not NullPolicy.SKIP:
        pair.append(mapping.null_policy.value)
    return pair


def _json_text(value: Any) -> str:
    import json  # noqa: PLC0415

    return json.dumps(dict(value), ensure_ascii=False, sort_keys=True)
