"""A file of records -> its fingerprint, and why each column has its kind."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from zsm_store.errors import TableError
from zsm_store.model.fingerprint import SchemaFingerprint
from zsm_store.model.schema import Field, FieldKind, FieldMapping, Schema
from zsm_store.tables.inference import KindDecision, check_columns_exist, infer_kinds
from zsm_store.tables.kind_rules import load_kind_rules
from zsm_store.tables.reader import HEAD, TableFormat, open_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from zsm_store.tables.kind_rules import KindRules
    from zsm_store.tables.reader import Table
    from zsm_store.tables.schema_file import SchemaFile

SAMPLE = 1000
"""Records the statistics come from unless said otherwise, as in the peer's pipeline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFingerprint:
    """The fingerprint of a table, and what decided the kind of each field."""

    fingerprint: SchemaFingerprint
    decisions: tuple[KindDecision, ...]
    """One per field, in the order of the schema."""


def fingerprint_table(
    path: Path | str,
    *,
    sample: int | None = SAMPLE,
    kinds: Mapping[str, FieldKind] | None = None,
    schema: SchemaFile | None = None,
    rules: KindRules | None = None,
    format: TableFormat | None = None,  # noqa: A002  # the word of the command line
    delimiter: str | None = None,
    encoding: str | None = None,
    mappings: Iterable[FieldMapping] = (),
    context: Mapping[str, Any] | None = None,
) -> TableFingerprint:
    """Fingerprint the first records of a table.

    Memory grows with the distinct values of the sample, not with its records.

    Parameters
    ----------
    path
        A file, or ``-`` for standard input.
    sample
        How many records, from the first on; None for all.
    kinds
        Kinds by column name. They win over the schema file and the rules.
    schema
        The fields, in its order; other columns are ignored. A delimited table must have
        every one of them, in JSON Lines an absent one is a missing value.
    rules
        What decides the other kinds; the package's own rules if None.
    format, delimiter, encoding
        See `open_table`.
    mappings, context
        Extend the address; those of the schema file if empty or None.

    Raises
    ------
    TableError
        The table cannot be read, lacks a column that is asked for, or `sample` is less
        than 1.
    """
    if sample is not None and sample < 1:
        raise TableError(f"a sample has at least 1 record, found {sample}")
    if schema is not None:
        mappings = tuple(mappings) or schema.mappings
        context = schema.context if context is None else context
    head_size = HEAD if sample is None else min(HEAD, sample)
    with open_table(
        path,
        format=format,
        delimiter=delimiter,
        encoding=encoding,
        head=head_size,
        fields=None if schema is None else [field.name for field in schema.fields],
    ) as table:
        head = list(islice(table, head_size))
        try:
            if schema is None:
                decisions = infer_kinds(
                    table.columns, head, rules or load_kind_rules(), kinds or {}
                )
            else:
                decisions = _decisions_of(schema, table, kinds or {})
        except TableError as error:
            if error.source is None:
                error.source = table.source
            raise
        fields = tuple(Field(chosen.name, chosen.kind) for chosen in decisions)
        fingerprint = SchemaFingerprint.from_sample(
            Schema(fields),
            islice(chain(head, table), sample),
            mappings=mappings,
            context=context,
        )
    return TableFingerprint(fingerprint=fingerprint, decisions=decisions)


def _decisions_of(
    schema: SchemaFile, table: Table, kinds: Mapping[str, FieldKind]
) -> tuple[KindDecision, ...]:
    names = [field.name for field in schema.fields]
    check_columns_exist(kinds, names)
    check_columns_exist(names, table.columns)
    return tuple(
        KindDecision(
            name=field.name, kind=FieldKind(kinds[field.name]), rule="given by --kind"
        )
        if field.name in kinds
        else KindDecision(
            name=field.name, kind=field.kind, rule="given by the schema file"
        )
        for field in schema.fields
    )
