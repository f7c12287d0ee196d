from __future__ import annotations

from typing import Any

import pytest

from tests.interop import golden
from zsm_store.errors import InvalidArtifactError
from zsm_store.model.fingerprint import FieldStats, SchemaFingerprint
from zsm_store.model.sampling import count_fields
from zsm_store.model.schema import Field, FieldMapping, Schema, schema_hash

CASES = golden.load("samples.json")


def has_unique_names(case: dict[str, Any]) -> bool:
    return len({name for name, _ in case["fields"]}) == len(case["fields"])


SCHEMA_CASES = [case for case in CASES if has_unique_names(case)]


def value(typed: dict[str, Any]) -> object:
    """Return the Python value of a typed one.

    The peer counts its unsigned integers as missing. Python has one integer type, which
    is the peer's signed one, so here they are what the peer makes of them: missing.
    """
    match typed["t"]:
        case "Null" | "UInt":
            return None
        case "Float":
            return golden.float64(typed["bits"])
        case "Bytes":
            return bytes(typed["v"])
        case "Text" | "Int" | "Bool":
            plain: object = typed["v"]
            return plain
        case other:
            raise AssertionError(other)


def records(case: dict[str, Any]) -> list[dict[str, object]]:
    return [
        {column: value(typed) for column, typed in record.items()}
        for record in case["records"]
    ]


def mappings(case: dict[str, Any]) -> list[FieldMapping]:
    return [FieldMapping(a, b) for a, b in case.get("mappings", ())]


def statistics(
    fields: tuple[Field, ...], rows: list[dict[str, object]]
) -> tuple[tuple[FieldStats, ...], int]:
    """Return what `from_sample` computes, for fields that no Schema accepts."""
    counted, total = count_fields(fields, rows)
    stats = tuple(
        FieldStats(
            name=field.name,
            kind=field.kind,
            null_rate=counted[field.name].null_rate(total),
            cardinality=len(counted[field.name].counts),
            top_k=counted[field.name].top_k(),
        )
        for field in fields
    )
    return stats, total


def assert_statistics(
    found: tuple[FieldStats, ...], expected: list[dict[str, Any]]
) -> None:
    assert found == tuple(map(golden.field_stats, expected))
    # Equal floats may differ in their bits: 0.0 and -0.0.
    assert [golden.float32_bits(stats.null_rate) for stats in found] == [
        stats["null_rate_bits"] for stats in expected
    ]


def test_every_vector_is_used() -> None:
    assert len(CASES) == 36
    assert len(SCHEMA_CASES) == 35
    assert sum("mappings" in case for case in CASES) == 1


@pytest.mark.parametrize("case", SCHEMA_CASES, ids=golden.names(SCHEMA_CASES))
def test_fingerprint_of_a_sample_equals_the_peers(case: dict[str, Any]) -> None:
    fingerprint = SchemaFingerprint.from_sample(
        Schema(golden.fields(case["fields"])),
        iter(records(case)),
        mappings=mappings(case),
    )
    assert fingerprint.schema_hash == case["schema_hash_hex"]
    assert fingerprint.record_count == case["record_count"]
    assert_statistics(fingerprint.field_stats, case["expected"])


@pytest.mark.parametrize("case", CASES, ids=golden.names(CASES))
def test_statistics_equal_the_peers_even_where_a_name_stands_twice(
    case: dict[str, Any],
) -> None:
    fields = golden.fields(case["fields"])
    found, total = statistics(fields, records(case))
    assert schema_hash(fields, mappings(case)) == case["schema_hash_hex"]
    assert total == case["record_count"]
    assert_statistics(found, case["expected"])


def test_a_schema_refuses_the_vector_in_which_a_name_stands_twice() -> None:
    [case] = [case for case in CASES if not has_unique_names(case)]
    with pytest.raises(InvalidArtifactError, match="'x'"):
        Schema(golden.fields(case["fields"]))
