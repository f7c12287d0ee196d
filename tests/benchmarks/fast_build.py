"""Model values without their checks, so that a million can be made.

The constructors check every text and number, as they should: about 10 us per field.
Here the slots are filled directly. `test_smoke.py` compares the result with what the
constructors make, so a new attribute or another hash is noticed.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

from zsm_store.model.fingerprint import FieldStats, SchemaFingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from zsm_store.model.schema import FieldKind

CREATED_AT = 1_700_000_000


class Column(NamedTuple):
    """One field of a table to be."""

    name: str
    kind: FieldKind
    null_rate: float
    """A float32 value."""
    cardinality: int


def build_fingerprint(
    columns: Sequence[Column], record_count: int
) -> SchemaFingerprint:
    """Return the fingerprint; without records the statistics are left out.

    Parameters
    ----------
    columns
        With names that differ: their order does not change the hash then.
    record_count
        Records of the sample.
    """
    if record_count:
        stats = tuple(
            _field_stats(name, kind, null_rate, cardinality)
            for name, kind, null_rate, cardinality in columns
        )
    else:
        stats = tuple(_bare_stats(name, kind) for name, kind, _, _ in columns)
    return _fingerprint(_address(columns), stats, record_count)


def fresh_copy(fingerprint: SchemaFingerprint) -> SchemaFingerprint:
    """Return an equal fingerprint that shares no text and no number with it.

    As if it had been read from a file: what an index keeps of it is then paid for.
    """
    stats = tuple(
        _field_stats(
            bytes(one.name, "utf-8").decode(),
            one.kind,
            float(repr(one.null_rate)),
            int(str(one.cardinality)),
        )
        for one in fingerprint.field_stats
    )
    address = bytes(fingerprint.schema_hash, "ascii").decode()
    return _fingerprint(address, stats, int(str(fingerprint.record_count)))


def _setters(cls: type, names: str) -> list[Callable[[object, object], None]]:
    return [getattr(cls, name).__set__ for name in names.split()]


_new = object.__new__
_set_name, _set_kind, _set_null_rate, _set_cardinality, _set_top_k = _setters(
    FieldStats, "name kind null_rate cardinality top_k"
)
_set_hash, _set_stats, _set_count, _set_created, _set_mappings, _set_context = _setters(
    SchemaFingerprint,
    "schema_hash field_stats record_count created_at mappings context",
)


def _field_stats(
    name: str, kind: FieldKind, null_rate: float, cardinality: int
) -> FieldStats:
    made = _new(FieldStats)
    _set_name(made, name)
    _set_kind(made, kind)
    _set_null_rate(made, null_rate)
    _set_cardinality(made, cardinality)
    _set_top_k(made, ())
    return made


def _fingerprint(
    address: str, stats: tuple[FieldStats, ...], record_count: int
) -> SchemaFingerprint:
    made = _new(SchemaFingerprint)
    _set_hash(made, address)
    _set_stats(made, stats)
    _set_count(made, record_count)
    _set_created(made, CREATED_AT)
    _set_mappings(made, ())
    _set_context(made, None)
    return made


_bare: dict[tuple[str, FieldKind], FieldStats] = {}
_hashed: dict[tuple[str, FieldKind], bytes] = {}


def _bare_stats(name: str, kind: FieldKind) -> FieldStats:
    found = _bare.get((name, kind))
    if found is None:
        found = _bare[name, kind] = _field_stats(name, kind, 0.0, 0)
    return found


def _hashed_part(name: str, kind: FieldKind) -> bytes:
    found = _hashed.get((name, kind))
    if found is None:
        code = kind.code.to_bytes(4, "little")
        found = _hashed[name, kind] = name.encode() + b":" + code + b"|"
    return found


def _address(columns: Sequence[Column]) -> str:
    parts = [_hashed_part(name, kind) for name, kind, _, _ in sorted(columns)]
    return hashlib.sha256(b"".join(parts)).hexdigest()
