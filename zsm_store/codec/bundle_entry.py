"""One artifact <-> its entry in a bundle, byte for byte as the peer writes it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from zsm_store.codec import bincode
from zsm_store.errors import BundleFormatError
from zsm_store.model.artifact import ModelArtifact
from zsm_store.model.fingerprint import FieldStats, SchemaFingerprint
from zsm_store.model.params import ModelParams
from zsm_store.model.schema import FieldKind

if TYPE_CHECKING:
    from zsm_store.codec.bincode import BincodeReader
    from zsm_store.model.params import Rows

MIN_ENTRY_BYTES = 133
"""Key and artifact without fields, rows and tag."""

_HASH_BYTES = 32
_MIN_STATS_BYTES = 32
_MAX_KIND = len(FieldKind) - 1


def encode_entry(artifact: ModelArtifact) -> bytes:
    """Encode key and artifact."""
    fingerprint, params = artifact.fingerprint, artifact.params
    key = bytes.fromhex(fingerprint.schema_hash)
    pieces = [key, key, bincode.u64(len(fingerprint.field_stats))]
    for stats in fingerprint.field_stats:
        pieces += (
            bincode.text(stats.name),
            bincode.u32(stats.kind.code),
            bincode.f32(stats.null_rate),
            bincode.u64(stats.cardinality),
            bincode.u64(len(stats.top_k)),
            *map(bincode.text, stats.top_k),
        )
    pieces += (
        bincode.u64(fingerprint.record_count),
        bincode.u64(fingerprint.created_at),
    )
    for rows in (params.m, params.u):
        pieces += (bincode.u64(len(rows)), *map(bincode.f32_row, rows))
    pieces += (
        bincode.f32(params.log_prior_odds),
        bincode.f32(params.upper_threshold),
        bincode.f32(params.lower_threshold),
        b"\x00" if artifact.tag is None else b"\x01" + bincode.text(artifact.tag),
        bincode.u64(artifact.trained_on),
        bincode.u64(artifact.em_iterations),
    )
    return b"".join(pieces)


def decode_entry(reader: BincodeReader) -> ModelArtifact:
    """Decode key and artifact.

    The parameters are not validated: the peer may have written any (see
    `ModelParams.unvalidated`).

    Raises
    ------
    BundleFormatError
        Bad UTF-8, an unknown kind or option byte, a key that differs from the hash.
    TruncatedError
        The bytes end within the entry.
    """
    at = reader.offset
    key = reader.raw(_HASH_BYTES, "a schema hash")
    inner = reader.raw(_HASH_BYTES, "a schema hash")
    if inner != key:
        raise BundleFormatError(
            at + _HASH_BYTES, f"schema hash {key.hex()} as in the key", inner.hex()
        )
    field_count = reader.length(_MIN_STATS_BYTES, "fields")
    stats = tuple(_decode_stats(reader) for _ in range(field_count))
    fingerprint = SchemaFingerprint(
        schema_hash=key.hex(),
        field_stats=stats,
        record_count=reader.u64("record count"),
        created_at=reader.u64("creation time"),
    )
    params = ModelParams.unvalidated(
        m=_decode_rows(reader, "rows of m"),
        u=_decode_rows(reader, "rows of u"),
        log_prior_odds=reader.f32("log prior odds"),
        upper_threshold=reader.f32("upper threshold"),
        lower_threshold=reader.f32("lower threshold"),
    )
    return ModelArtifact(
        fingerprint=fingerprint,
        params=params,
        tag=_decode_tag(reader),
        trained_on=reader.u64("training time"),
        em_iterations=reader.u64("EM iterations"),
    )


def with_extension(artifact: ModelArtifact, extension: dict[str, Any]) -> ModelArtifact:
    """Add `mappings`, `context` and `extra`, which an entry cannot carry."""
    fingerprint = replace(
        artifact.fingerprint,
        mappings=extension["mappings"],
        context=extension["context"],
    )
    return replace(artifact, fingerprint=fingerprint, extra=extension["extra"])


def _decode_stats(reader: BincodeReader) -> FieldStats:
    name = reader.text("field name")
    at = reader.offset
    code = reader.u32("field kind")
    if code > _MAX_KIND:
        raise BundleFormatError(at, f"a field kind up to {_MAX_KIND}", str(code))
    null_rate = reader.f32("null rate")
    cardinality = reader.u64("cardinality")
    value_count = reader.length(8, "frequent values")
    return FieldStats(
        name=name,
        kind=FieldKind.from_code(code),
        null_rate=null_rate,
        cardinality=cardinality,
        top_k=tuple(reader.text("frequent value") for _ in range(value_count)),
    )


def _decode_rows(reader: BincodeReader, what: str) -> Rows:
    count = reader.length(8, what)
    return tuple(reader.f32_row(what) for _ in range(count))


def _decode_tag(reader: BincodeReader) -> str | None:
    at = reader.offset
    option = reader.u8("tag")
    if option > 1:
        raise BundleFormatError(at, "0 or 1 before the tag", str(option))
    return reader.text("tag") if option else None
