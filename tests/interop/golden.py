"""The vectors of the Rust library as values of the model.

Hashes are taken from the vectors, never derived from the fields: some vectors carry a
hash of other fields on purpose.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from zsm_store.model.artifact import ModelArtifact
from zsm_store.model.fingerprint import FieldStats, SchemaFingerprint
from zsm_store.model.params import ModelParams
from zsm_store.model.schema import Field, FieldKind

DIRECTORY = Path(__file__).parents[1] / "data" / "golden"


def load(name: str) -> list[dict[str, Any]]:
    """Return the cases of one file."""
    cases: list[dict[str, Any]] = json.loads(
        (DIRECTORY / name).read_text(encoding="utf-8")
    )
    return cases


def names(cases: list[dict[str, Any]]) -> list[str]:
    """Return what pytest shows for each case; notes alone are not unique."""
    return [f"{number}: {case['note']}" for number, case in enumerate(cases)]


def from_float32_bits(bits: int) -> float:
    """Return the float64 that holds the float32 of these bits, NaN payload and all."""
    sign, exponent, fraction = bits >> 31, bits >> 23 & 0xFF, bits & 0x7FFFFF
    if exponent == 0xFF and fraction:
        # struct would turn a signaling NaN into a quiet one.
        wide = sign << 63 | 0x7FF << 52 | fraction << 29
        return float(struct.unpack("<d", wide.to_bytes(8, "little"))[0])
    return float(struct.unpack("<f", bits.to_bytes(4, "little"))[0])


def float32_bits(value: float) -> int:
    """Return the bits of a float32 value; an error where it is none."""
    if value == value:  # noqa: PLR0124  # NaN is the one value that differs from itself
        narrow = struct.pack("<f", value)
        assert struct.unpack("<f", narrow)[0] == value, f"{value!r} is no float32"
        return int.from_bytes(narrow, "little")
    wide = int.from_bytes(struct.pack("<d", value), "little")
    assert wide & (1 << 29) - 1 == 0, "a NaN with more payload than a float32 has"
    return wide >> 63 << 31 | 0x7F800000 | wide >> 29 & 0x7FFFFF


def float64(bits: str) -> float:
    """Return the float64 of the given hex digits."""
    return float(struct.unpack("<d", int(bits, 16).to_bytes(8, "little"))[0])


def fields(pairs: list[list[str]]) -> tuple[Field, ...]:
    """Return fields of [name, kind] pairs."""
    return tuple(Field(name, FieldKind(kind)) for name, kind in pairs)


def field_stats(case: dict[str, Any]) -> FieldStats:
    """Return the statistics of one field."""
    return FieldStats(
        name=case["name"],
        kind=FieldKind(case["kind"]),
        null_rate=from_float32_bits(case["null_rate_bits"]),
        cardinality=case["cardinality"],
        top_k=tuple(case["top_k"]),
    )


def fingerprint(case: dict[str, Any]) -> SchemaFingerprint:
    """Return the fingerprint that a case or an artifact of it holds."""
    return SchemaFingerprint(
        schema_hash=case["schema_hash"],
        field_stats=tuple(map(field_stats, case["field_stats"])),
        record_count=case["record_count"],
        created_at=case["created_at"],
    )


def artifact(case: dict[str, Any]) -> ModelArtifact:
    """Return an artifact whose parameters obey the rules of the model."""
    params = case["params"]
    return ModelArtifact(
        fingerprint=fingerprint(case),
        # The shortest decimals name the same float32 values as the bits beside them.
        params=ModelParams(
            **{key: params[key] for key in params if not key.endswith("_bits")}
        ),
        tag=case["tag"],
        trained_on=case["trained_on"],
        em_iterations=case["em_iterations"],
    )
