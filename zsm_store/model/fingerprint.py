"""A schema with the statistics of a sample: what lookups compare."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zsm_store.errors import InvalidArtifactError
from zsm_store.model.canonical import JsonObject
from zsm_store.model.float32 import float32_row
from zsm_store.model.schema import (
    Field,
    FieldKind,
    FieldMapping,
    Schema,
    check_text,
    schema_hash,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

U64_MAX = 2**64 - 1
_HASH = re.compile(r"[0-9a-f]{64}\Z")


def is_schema_hash(text: object) -> bool:
    """Whether `text` is 64 lower-case hex digits."""
    return isinstance(text, str) and _HASH.match(text) is not None


def check_u64(what: str, value: object) -> None:
    """Refuse what does not fit the peer's unsigned 64-bit integers."""
    if isinstance(value, bool) or not isinstance(value, int):
        message = f"{what} must be an integer, found {value!r}"
        raise InvalidArtifactError(message)
    if not 0 <= value <= U64_MAX:
        message = f"{what} must be from 0 to 2**64 - 1, found {value}"
        raise InvalidArtifactError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldStats:
    """A field and what a sample said about it."""

    name: str
    kind: FieldKind
    null_rate: float = 0.0
    """Share of missing values, 0 to 1, a float32 value. Not checked: the peer may have
    written anything; what is not finite cannot be stored as JSON."""
    cardinality: int = 0
    """Number of distinct values in the sample."""
    top_k: tuple[str, ...] = ()
    """Up to 10 most frequent values, most frequent first."""

    def __post_init__(self) -> None:
        field = Field(self.name, self.kind)
        object.__setattr__(self, "kind", field.kind)
        object.__setattr__(self, "top_k", tuple(self.top_k))
        for text in self.top_k:
            check_text(f"frequent value of {self.name!r}", text)
        try:
            (null_rate,) = float32_row((self.null_rate,))
        except TypeError:
            message = f"null rate of {self.name!r} is {self.null_rate!r}, not a number"
            raise InvalidArtifactError(message) from None
        object.__setattr__(self, "null_rate", null_rate)
        check_u64(f"cardinality of {self.name!r}", self.cardinality)


# Past the lock of a frozen class, and faster than by name.
_set_name, _set_kind, _set_null_rate, _set_cardinality, _set_top_k = (
    getattr(FieldStats, name).__set__
    for name in ("name", "kind", "null_rate", "cardinality", "top_k")
)


def stats_of_columns(
    names: Iterable[str],
    kinds: Iterable[FieldKind],
    null_rates: Iterable[float],
    cardinalities: Iterable[int],
    top_k: Iterable[Iterable[str]],
) -> tuple[FieldStats, ...]:
    """Make the statistics of many fields of values that somebody has checked.

    For a reader of thousands of files, since `FieldStats` checks text by text: the
    names and frequent values can be encoded, the cardinalities are from 0 to 2**64 - 1.
    """
    made = []
    for name, kind, null_rate, cardinality, texts in zip(
        names, kinds, float32_row(null_rates), cardinalities, top_k, strict=True
    ):
        stats = object.__new__(FieldStats)
        _set_name(stats, name)
        _set_kind(stats, kind)
        _set_null_rate(stats, null_rate)
        _set_cardinality(stats, cardinality)
        _set_top_k(stats, tuple(texts))
        made.append(stats)
    return tuple(made)


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaFingerprint:
    """Identity of a schema plus the statistics of a sample of it.

    The hash is not recomputed here: bundles of the peer do not carry the mappings that
    went into it. `verify` compares the two.
    """

    schema_hash: str
    """64 lower-case hex digits, the artifact's address."""
    field_stats: tuple[FieldStats, ...]
    """One per field, in the order of the schema and of the parameters."""
    record_count: int
    """Records in the sample; 0 means that there are no statistics."""
    created_at: int
    """Unix time in seconds."""
    mappings: tuple[FieldMapping, ...] = ()
    context: Mapping[str, Any] | None = None
    """A JSON object, held as `JsonObject`: what else decides whether a model fits, such
    as comparators, blocking rules, link type."""

    def __post_init__(self) -> None:
        if not is_schema_hash(self.schema_hash):
            message = f"schema hash must be 64 hex digits, found {self.schema_hash!r}"
            raise InvalidArtifactError(message)
        object.__setattr__(self, "field_stats", tuple(self.field_stats))
        object.__setattr__(self, "mappings", tuple(self.mappings))
        check_u64("record count", self.record_count)
        check_u64("created_at", self.created_at)
        if self.context is not None and not isinstance(self.context, JsonObject):
            object.__setattr__(self, "context", JsonObject(self.context))

    @property
    def fields(self) -> tuple[Field, ...]:
        """Names and kinds, in the order of the schema."""
        return tuple(Field(stats.name, stats.kind) for stats in self.field_stats)

    @classmethod
    def from_schema(
        cls,
        schema: Schema,
        *,
        mappings: Iterable[FieldMapping] = (),
        context: Mapping[str, Any] | None = None,
        created_at: int | None = None,
    ) -> SchemaFingerprint:
        """Fingerprint of a schema alone, without statistics.

        Parameters
        ----------
        schema
            The fields.
        mappings, context
            Extend the address, so that a model trained under other mappings or
            blocking rules is another artifact.
        created_at
            Unix time in seconds; now by default.
        """
        return cls.from_sample(
            schema, (), mappings=mappings, context=context, created_at=created_at
        )

    @classmethod
    def from_sample(
        cls,
        schema: Schema,
        records: Iterable[Mapping[str, Any]],
        *,
        mappings: Iterable[FieldMapping] = (),
        context: Mapping[str, Any] | None = None,
        created_at: int | None = None,
    ) -> SchemaFingerprint:
        """Fingerprint of a schema with the statistics of `records`.

        The peer samples the first 1,000 records of a dataset. `records` is read once;
        columns that are not in the schema are ignored, absent ones are missing values.

        Raises
        ------
        InvalidArtifactError
            A value that cannot be counted (see `value_text`), or a bad context.
        """
        # Here, since whoever reads fingerprints need not wait for it.
        from zsm_store.model.sampling import count_fields  # noqa: PLC0415  # see above

        mappings = tuple(mappings)
        frozen = None if context is None else JsonObject(context)
        counts, total = count_fields(schema.fields, records)
        stats = tuple(
            FieldStats(
                name=field.name,
                kind=field.kind,
                null_rate=counts[field.name].null_rate(total),
                cardinality=len(counts[field.name].counts),
                top_k=counts[field.name].top_k(),
            )
            for field in schema.fields
        )
        return cls(
            schema_hash=schema_hash(schema.fields, mappings, frozen),
            field_stats=stats,
            record_count=total,
            created_at=int(time.time()) if created_at is None else created_at,
            mappings=mappings,
            context=frozen,
        )
