"""The options of every command that looks at a table."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zsm_store.cli.option_types import (
    ColumnKind,
    EncodingName,
    JsonFile,
    MappedFields,
    SampleSize,
    unique_kinds,
)
from zsm_store.cli.progress import working
from zsm_store.errors import TableError
from zsm_store.model.fingerprint import SchemaFingerprint
from zsm_store.model.schema import Field, Schema
from zsm_store.tables.fingerprint import SAMPLE, TableFingerprint, fingerprint_table
from zsm_store.tables.inference import KindDecision, check_columns_exist
from zsm_store.tables.kind_rules import load_kind_rules
from zsm_store.tables.reader import STANDARD_INPUT, TableFormat
from zsm_store.tables.schema_file import SchemaFile, read_schema_file

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from zsm_store.model.schema import FieldKind, FieldMapping

_NEED_A_TABLE = ("sample", "kind_rules", "delimiter", "encoding", "table_format")


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRequest:
    """A table as the command line describes it, not looked at yet."""

    table: str | None
    """None: the schema file stands for it, without statistics."""
    sample: int | None
    kinds: Mapping[str, FieldKind]
    schema: Path | None
    kind_rules: Path | None
    delimiter: str | None
    encoding: str | None
    format: TableFormat | None
    mappings: tuple[FieldMapping, ...]
    context: Mapping[str, Any] | None

    @property
    def is_given(self) -> bool:
        """Whether there is anything to fingerprint."""
        return self.table is not None or self.schema is not None

    @property
    def title(self) -> str:
        """What to call it."""
        if self.table == STANDARD_INPUT:
            return "standard input"
        return str(self.schema if self.table is None else self.table)

    def read(self) -> TableFingerprint:
        """Read and fingerprint it.

        Raises
        ------
        TableError
            It cannot be read, or the options do not fit it.
        click.UsageError
            Neither a table nor a schema file is given.
        """
        if not self.is_given:
            message = "give a TABLE ('-' reads standard input), or --schema FILE alone"
            raise click.UsageError(message, click.get_current_context())
        schema = None if self.schema is None else read_schema_file(self.schema)
        if self.table is None and schema is not None:
            return self._without_table(schema)
        with working(f"reading {self.title}"):
            return fingerprint_table(
                str(self.table),
                sample=self.sample,
                kinds=self.kinds,
                schema=schema,
                rules=load_kind_rules(self.kind_rules) if self.kind_rules else None,
                format=self.format,
                delimiter=self.delimiter,
                encoding=self.encoding,
                mappings=self.mappings,
                context=self.context,
            )

    def _without_table(self, schema: SchemaFile) -> TableFingerprint:
        try:
            check_columns_exist(self.kinds, [field.name for field in schema.fields])
        except TableError as error:
            error.source = str(self.schema)
            raise
        decisions = tuple(
            KindDecision(
                name=field.name,
                kind=self.kinds.get(field.name, field.kind),
                rule="given by --kind"
                if field.name in self.kinds
                else "given by the schema file",
            )
            for field in schema.fields
        )
        fingerprint = SchemaFingerprint.from_schema(
            Schema(Field(decision.name, decision.kind) for decision in decisions),
            mappings=self.mappings or schema.mappings,
            context=schema.context if self.context is None else self.context,
        )
        return TableFingerprint(fingerprint=fingerprint, decisions=decisions)


_OPTIONS = (
    click.option(
        "--sample",
        type=SampleSize(),
        metavar="N|all",
        default=SAMPLE,
        show_default=True,
        help="Records that the statistics come from, the first ones.",
    ),
    click.option(
        "--kind",
        "kinds",
        type=ColumnKind(),
        multiple=True,
        help="Kind of a column; may be repeated.",
    ),
    click.option(
        "--schema",
        type=click.Path(readable=False, path_type=Path),
        metavar="FILE",
        help="Fields and kinds: a JSON file with 'fields', an artifact, or the output "
        "of 'zsm fingerprint --json'. Needs no TABLE.",
    ),
    click.option(
        "--kind-rules",
        type=click.Path(readable=False, path_type=Path),
        metavar="FILE",
        help="TOML file of rules that decide kinds, in place of the built-in ones.",
    ),
    click.option(
        "--format",
        "table_format",
        type=click.Choice([form.value for form in TableFormat]),
        help="How TABLE is written; else by its name and content.",
    ),
    click.option(
        "--delimiter",
        metavar="CHAR",
        help="Between the values of a CSV, 'tab' for a tab; else found out.",
    ),
    click.option(
        "--encoding",
        type=EncodingName(),
        help="Of TABLE, such as cp1252; else by the byte order mark, else UTF-8.",
    ),
    click.option(
        "--map",
        "mappings",
        type=MappedFields(),
        multiple=True,
        help="Fields of two sources that are compared; part of the address.",
    ),
    click.option(
        "--context",
        type=JsonFile(),
        help="What else decides whether a model fits, such as blocking rules; part of "
        "the address.",
    ),
)


def table_options(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command TABLE and its options, and pass them as one `request`."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        context = click.get_current_context()
        if kwargs["table"] is None:
            for name in _NEED_A_TABLE:
                source = context.get_parameter_source(name)
                if source is click.core.ParameterSource.COMMANDLINE:
                    option = {"table_format": "format"}.get(name, name)
                    message = f"--{option.replace('_', '-')} needs a TABLE"
                    raise click.UsageError(message, context)
        table_format = kwargs.pop("table_format")
        request = TableRequest(
            table=kwargs.pop("table"),
            sample=kwargs.pop("sample"),
            kinds=unique_kinds(kwargs.pop("kinds")),
            schema=kwargs.pop("schema"),
            kind_rules=kwargs.pop("kind_rules"),
            delimiter=kwargs.pop("delimiter"),
            encoding=kwargs.pop("encoding"),
            format=None if table_format is None else TableFormat(table_format),
            mappings=tuple(kwargs.pop("mappings")),
            context=kwargs.pop("context"),
        )
        function(*args, request=request, **kwargs)

    for option in reversed(_OPTIONS):
        option(wrapper)
    click.argument("table", required=False)(wrapper)
    return wrapper
