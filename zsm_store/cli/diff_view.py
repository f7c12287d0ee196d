"""A comparison of two artifacts: for people, for a pull request, and as JSON."""

from __future__ import annotations

from dataclasses import astuple
from typing import TYPE_CHECKING, Any

from zsm_store.cli.diff_tables import difference_tables, sides_table
from zsm_store.cli.fact_text import NOTHING
from zsm_store.cli.json_output import finite
from zsm_store.cli.markdown import markdown_table
from zsm_store.cli.table import table_lines
from zsm_store.cli.terminal import Styled
from zsm_store.model.comparison import Presence

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from zsm_store.cli.diff_tables import DiffTable
    from zsm_store.cli.named_artifact import NamedArtifact
    from zsm_store.cli.terminal import Line
    from zsm_store.model.comparison import Comparison, FieldChange, Level
    from zsm_store.model.fingerprint import FieldStats


def diff_lines(
    before: NamedArtifact, after: NamedArtifact, comparison: Comparison
) -> Iterator[Line]:
    """Tell which two are compared, then what differs."""
    yield from _text_lines(sides_table(before, after))
    if not comparison.differs:
        yield ""
        yield "no difference"
    for table in difference_tables(comparison):
        yield ""
        yield from _text_lines(table)


def diff_markdown(
    before: NamedArtifact, after: NamedArtifact, comparison: Comparison
) -> Iterator[str]:
    """Tell the same as tables of Markdown, as GitHub and GitLab know them."""
    yield from _markdown_lines(sides_table(before, after))
    if not comparison.differs:
        yield ""
        yield "No difference."
    for table in difference_tables(comparison):
        yield ""
        yield from _markdown_lines(table)


def diff_json(
    before: NamedArtifact, after: NamedArtifact, comparison: Comparison
) -> dict[str, Any]:
    """Return the same as JSON values."""
    return {
        "before": _side_json(before),
        "after": _side_json(after),
        "differs": comparison.differs,
        "facts": [
            {
                "name": fact.name,
                "before": _value_json(fact.before),
                "after": _value_json(fact.after),
            }
            for fact in comparison.facts
        ],
        "fields": [_field_json(change) for change in comparison.fields],
    }


def _text_lines(table: DiffTable) -> Iterator[Line]:
    if table.title:
        yield Styled(table.title, bold=True)
    heading, *lines = table_lines(table.columns, table.rows)
    yield heading
    for line, row in zip(lines, table.rows, strict=True):
        yield _colored(str(line), row[-1]) if table.is_signed else line


def _markdown_lines(table: DiffTable) -> Iterator[str]:
    if table.title:
        yield f"**{table.title}**"
        yield ""
    yield from markdown_table(table.columns, table.rows)


def _colored(line: str, change: str) -> Line:
    color = {"+": "green", "-": "red"}.get(change[:1])
    if color is None or change == NOTHING:
        return line
    return [line.removesuffix(change), Styled(change, color)]


def _side_json(side: NamedArtifact) -> dict[str, Any]:
    return {
        "name": side.name,
        "schema_hash": side.artifact.schema_hash,
        "digest": side.digest,
    }


def _value_json(value: Any) -> Any:
    if isinstance(value, float):
        return finite(value)
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, tuple):  # names of fields, or mappings
        return [it if isinstance(it, str) else astuple(it) for it in value]
    return dict(value.items())


def _field_json(change: FieldChange) -> dict[str, Any]:
    return {
        "name": change.name,
        "change": "changed" if change.presence is Presence.KEPT else change.presence,
        "largest_weight_change": finite(change.largest_shift),
        "before": _stats_json(change.before),
        "after": _stats_json(change.after),
        "levels": [
            {
                "level": level.number,
                "before": _level_json(level.before),
                "after": _level_json(level.after),
                "weight_change": finite(level.shift),
            }
            for level in change.levels
        ],
    }


def _stats_json(stats: FieldStats | None) -> Mapping[str, Any] | None:
    if stats is None:
        return None
    return {
        "kind": stats.kind.value,
        "null_rate": finite(stats.null_rate),
        "cardinality": stats.cardinality,
        "top_k": list(stats.top_k),
    }


def _level_json(level: Level | None) -> Mapping[str, Any] | None:
    if level is None:
        return None
    return {key: finite(value) for key, value in level._asdict().items()}
