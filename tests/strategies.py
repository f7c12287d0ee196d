"""Domain values for hypothesis.

Alphabets are small, so that two schemas drawn apart share names, kinds and values: most
of what a registry decides is about such overlap. Beside them stand the strings that
break careless code.
"""

from __future__ import annotations

import functools
import struct
from typing import Any

from hypothesis import strategies as st

from zsm_store.model.artifact import ModelArtifact
from zsm_store.model.canonical import JsonObject
from zsm_store.model.fingerprint import FieldStats, SchemaFingerprint
from zsm_store.model.params import ModelParams
from zsm_store.model.schema import (
    Field,
    FieldKind,
    FieldMapping,
    NullPolicy,
    Schema,
    schema_hash,
)

U64_MAX = 2**64 - 1

SUBNORMALS = tuple(
    struct.unpack("<f", bits.to_bytes(4, "little"))[0]
    # The smallest, the next one, the largest, and the smallest that is none.
    for bits in (0x00000001, 0x00000002, 0x007FFFFF, 0x00800000)
)

NASTY_NAMES = (
    "",
    " ",
    "a:b",
    "a|b",
    "mappings:a",
    "context:",
    'quote"back\\slash',
    "../../etc/passwd",
    "-x",
    "=1+1",
    "e\u0301",  # two code points that look like the next one
    "\u00e9",
    "\uff5e",  # after the next one in UTF-16, before it by code point
    "\U0001f600",
    "\uffff",
    "\U0010ffff",
    "\u202eright to left",
    "zero\u200bwidth",
    "\u2028line separator",
    "\ufeffmark",
    "null",
    "NaN",
    "long" * 300,
)
"""Field names that a Schema accepts and careless code does not."""

NASTY_TEXTS = (
    *NASTY_NAMES,
    "\x00",
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "two\nlines",
    "two\r\nlines",
    "tab\tbetween",
    "\x7f",
    "\x9b31m",
    "<<<<<<< ours",
)
"""Tags and values, where control characters are allowed."""

# float32 values


@functools.cache
def float32s(low: float | None = None, high: float | None = None) -> st.SearchStrategy:
    """Finite float32 values from `low` to `high`, subnormal ones included."""
    special = [
        value
        for value in (0.0, *SUBNORMALS, 1.0)
        if (low is None or low <= value) and (high is None or value <= high)
    ]
    return st.sampled_from(special) | st.floats(
        low, high, width=32, allow_nan=False, allow_infinity=False
    )


@functools.cache
def rates() -> st.SearchStrategy[float]:
    """Float32 values from 0 to 1."""
    return float32s(0.0, 1.0)


@functools.cache
def float32_bits() -> st.SearchStrategy[int]:
    """Bits of any float32: infinities and every NaN included, for codecs."""
    return st.integers(0, 2**32 - 1)


@functools.cache
def u64s() -> st.SearchStrategy[int]:
    """Unsigned 64-bit integers; where floats lose digits more often than not."""
    edges = st.sampled_from(
        [0, 1, 2**24, 2**24 + 1, 2**53, 2**53 + 1, 2**63 - 1, 2**63, U64_MAX]
    )
    return st.integers(0, 100) | edges | st.integers(0, U64_MAX)


@functools.cache
def counts() -> st.SearchStrategy[int]:
    """Cardinalities and numbers of records: small more often than not."""
    return st.integers(0, 5) | u64s()


# text


@functools.cache
def texts(max_size: int = 12) -> st.SearchStrategy[str]:
    """Any text that UTF-8 can hold, control characters included."""
    return st.sampled_from(NASTY_TEXTS) | st.text(
        st.characters(codec="utf-8"), max_size=max_size
    )


@functools.cache
def field_names() -> st.SearchStrategy[str]:
    """Names that a Schema accepts: five common ones, nasty ones, any other."""
    common = st.sampled_from("abcde")
    any_other = st.text(
        st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=8
    )
    # Twice, because overlap between two schemas is what is looked for.
    return common | common | st.sampled_from(NASTY_NAMES) | any_other


@functools.cache
def tags() -> st.SearchStrategy[str | None]:
    """Tags: none, common, nasty."""
    return st.none() | st.sampled_from(["brp", "brp_2024_q1", "sim"]) | texts()


# schemas


@functools.cache
def kinds() -> st.SearchStrategy[FieldKind]:
    """The twelve kinds; two of them more often, so that schemas overlap."""
    return st.sampled_from([FieldKind.NAME, FieldKind.DATE]) | st.sampled_from(
        FieldKind
    )


@functools.cache
def fields() -> st.SearchStrategy[Field]:
    """Fields that a Schema accepts."""
    return st.builds(Field, field_names(), kinds())


@functools.cache
def schemas(max_fields: int = 6) -> st.SearchStrategy[Schema]:
    """Schemas of 1 to `max_fields` fields."""
    return st.lists(
        fields(), min_size=1, max_size=max_fields, unique_by=lambda field: field.name
    ).map(Schema)


@functools.cache
def mappings() -> st.SearchStrategy[tuple[FieldMapping, ...]]:
    """Field mappings: none more often than not; the same field may stand twice."""
    some = st.lists(
        st.builds(
            FieldMapping, field_names(), field_names(), st.sampled_from(NullPolicy)
        ),
        min_size=1,
        max_size=3,
    ).map(tuple)
    return st.just(()) | some


# JSON


@functools.cache
def json_values() -> st.SearchStrategy[Any]:
    """Values that JSON can hold without loss."""
    leaves = (
        st.none()
        | st.booleans()
        | st.integers(-(2**63), U64_MAX)
        | st.floats(allow_nan=False, allow_infinity=False)
        | texts()
    )
    return st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(texts(), inner, max_size=3)
        ),
        max_leaves=6,
    )


@functools.cache
def json_objects() -> st.SearchStrategy[dict[str, Any]]:
    """JSON objects, as users give them for `context` and `extra`."""
    keys = st.sampled_from(["blocking", "comparators", "link_type"]) | texts()
    return st.dictionaries(keys, json_values(), max_size=3)


@functools.cache
def _optional_objects() -> st.SearchStrategy[JsonObject | None]:
    return st.none() | st.none() | json_objects().map(JsonObject)


# fingerprints


@functools.cache
def _top_k() -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(texts(), max_size=3, unique=True).map(tuple)


@functools.cache
def _record_counts() -> st.SearchStrategy[int]:
    return st.integers(1, 5) | st.integers(1, U64_MAX)


@st.composite
def _field_stats(draw: st.DrawFn, field: Field, record_count: int) -> FieldStats:
    if record_count == 0:
        return FieldStats(name=field.name, kind=field.kind)
    return FieldStats(
        name=field.name,
        kind=field.kind,
        null_rate=draw(rates()),
        cardinality=draw(counts()),
        top_k=draw(_top_k()),
    )


@st.composite
def fingerprints(
    draw: st.DrawFn,
    of: st.SearchStrategy[Schema] | None = None,
    *,
    sampled: bool | None = None,
    extended: bool = True,
) -> SchemaFingerprint:
    """Fingerprints whose hash is that of their schema, mappings and context.

    Parameters
    ----------
    of
        Their schemas; any by default.
    sampled
        Whether they carry statistics; either by default.
    extended
        Whether mappings and a context may be there, which the peer's files have not.
    """
    schema = draw(schemas() if of is None else of)
    with_sample = draw(st.booleans()) if sampled is None else sampled
    record_count = draw(_record_counts()) if with_sample else 0
    mapped = draw(mappings()) if extended else ()
    context = draw(_optional_objects()) if extended else None
    return SchemaFingerprint(
        schema_hash=schema_hash(schema.fields, mapped, context),
        field_stats=tuple(
            draw(_field_stats(field, record_count)) for field in schema.fields
        ),
        record_count=record_count,
        created_at=draw(u64s()),
        mappings=mapped,
        context=context,
    )


def fingerprint_sets(max_size: int = 8) -> st.SearchStrategy[list[SchemaFingerprint]]:
    """Fingerprints of a registry: at most one of each hash, many ties."""
    return st.lists(
        fingerprints(), max_size=max_size, unique_by=lambda one: one.schema_hash
    )


# artifacts


_WIDTHS = st.integers(0, 5)


@functools.cache
def _row(width: int) -> st.SearchStrategy[tuple[float, ...]]:
    return st.tuples(*[rates()] * width)


@st.composite
def params(draw: st.DrawFn, rows: int | None = None) -> ModelParams:
    """Parameters that obey the rules; rows are ragged and may be empty.

    `rows` is their number, that of some schema's fields; any by default.
    """
    number = draw(st.integers(0, 4)) if rows is None else rows
    # A row of its own length for each field, as comparators of different kinds have.
    widths = [draw(_WIDTHS) for _ in range(number)]
    lower, upper = sorted((draw(rates()), draw(rates())))
    return ModelParams(
        m=tuple(draw(_row(width)) for width in widths),
        u=tuple(draw(_row(width)) for width in widths),
        log_prior_odds=draw(float32s()),
        upper_threshold=upper,
        lower_threshold=lower,
    )


@st.composite
def artifacts(
    draw: st.DrawFn,
    of: st.SearchStrategy[SchemaFingerprint] | None = None,
    *,
    extended: bool = True,
) -> ModelArtifact:
    """Artifacts with one row of parameters per field.

    `extended` as in `fingerprints`; without it, exactly what the peer can hold.
    """
    chosen = fingerprints(extended=extended) if of is None else of
    fingerprint = draw(chosen)
    return ModelArtifact(
        fingerprint=fingerprint,
        params=draw(params(len(fingerprint.field_stats))),
        tag=draw(tags()),
        trained_on=draw(u64s()),
        em_iterations=draw(counts()),
        extra=draw(_optional_objects()) if extended else None,
    )


def artifact_sets(max_size: int = 5) -> st.SearchStrategy[list[ModelArtifact]]:
    """Artifacts of a registry: at most one of each hash."""
    return st.lists(
        artifacts(), max_size=max_size, unique_by=lambda one: one.schema_hash
    )


# records


@functools.cache
def values() -> st.SearchStrategy[Any]:
    """Values of a record: few different ones, with texts that equal numbers."""
    common = st.sampled_from([None, "", "a", "b", "5", 5, 5.0, True, "true", -0.0, "é"])
    other = st.integers(-(2**63), 2**63 - 1) | st.floats() | texts() | st.binary()
    return common | common | other


@functools.cache
def _record_of(names: tuple[str, ...]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=dict.fromkeys(names, values()))


def samples(schema: Schema, max_size: int = 20) -> st.SearchStrategy[list[Any]]:
    """Records of a schema, with missing columns and one that it does not have."""
    names = (*(field.name for field in schema.fields), "not in the schema")
    return st.lists(_record_of(names), max_size=max_size)
