from __future__ import annotations

from unittest.mock import patch

import pytest

from tests import examples
from zsm_store.index import batch, rare_first
from zsm_store.index.rare_first import RareFirstIndex
from zsm_store.index.scan import ScanIndex
from zsm_store.model.fingerprint import FieldStats, SchemaFingerprint
from zsm_store.model.schema import FieldKind


def table(number: int, *more: str, records: int | None = None) -> SchemaFingerprint:
    """Return one of a family of ten that share five of six fields."""
    family, member = divmod(number, 10)
    names = [f"f{family}{letter}" for letter in "abc"] + ["id", "date", f"m{member}"]
    return SchemaFingerprint(
        schema_hash=f"{(number * 0x9E3779B97F4A7C15) % 2**64:016x}" * 4,
        field_stats=tuple(
            FieldStats(name=name, kind=FieldKind.NAME, cardinality=member)
            for name in (*names, *more)
        ),
        record_count=number % 2 if records is None else records,
        created_at=0,
    )


STORED = [table(number) for number in range(800)]
QUERIES = [
    *STORED[::50],
    *(table(10_000 + number, records=number % 2) for number in range(3)),
    *(
        SchemaFingerprint(
            schema_hash=f"{number:064x}",
            field_stats=table(number, "new").field_stats,
            record_count=number % 3,
            created_at=0,
        )
        for number in range(40, 90)
    ),
    # What only foreign bundles hold: a name twice, or no field at all.
    table(20_000, "id"),
    SchemaFingerprint(
        schema_hash="a" * 64, field_stats=(), record_count=1, created_at=0
    ),
    examples.fingerprint(),
]


@pytest.fixture
def indexes() -> tuple[RareFirstIndex, ScanIndex]:
    """Return an index with dead rows and a delta, and the definition over the same."""
    index, scan = RareFirstIndex.build(STORED), ScanIndex()
    scan.update(STORED)
    for one in (index, scan):
        for stored in STORED[40:400:7]:
            one.remove(stored.schema_hash)
        one.put(table(45, "other"))
        one.put(table(30_000, "new", "newer"))
    return index, scan


@pytest.mark.parametrize("k", [0, 1, 2, 5])
@pytest.mark.parametrize("limit", [None, -1.0, 0.0, 0.1, 0.25, 0.4, 0.7])
def test_all_at_once_the_answers_are_the_definitions(indexes, k, limit) -> None:
    index, scan = indexes
    with patch.object(rare_first, "search", side_effect=AssertionError):
        found = index.nearest_many(iter(QUERIES), k, limit)
    assert found == scan.nearest_many(QUERIES, k, limit)


@pytest.mark.parametrize("longest", [0, 10])
def test_queries_with_long_lists_are_searched_alone(indexes, longest: int) -> None:
    index, scan = indexes
    with patch.object(batch, "LONG_WORK", longest):
        found = index.nearest_many(QUERIES, 2, 0.25)
    assert found == scan.nearest_many(QUERIES, 2, 0.25)


def test_few_queries_are_asked_one_by_one(indexes) -> None:
    index, scan = indexes
    few = QUERIES[: rare_first.MANY - 1]
    with patch.object(batch, "search_many", side_effect=AssertionError):
        assert index.nearest_many(few, 1, 0.25) == scan.nearest_many(few, 1, 0.25)


def test_most_queries_of_a_batch_are_not_searched_alone(indexes) -> None:
    index, _ = indexes
    with patch.object(batch, "search", wraps=batch.search) as alone:
        index.nearest_many(QUERIES, 1, 0.25)
    # The name that stands twice, and the one without fields.
    assert alone.call_count == 2
