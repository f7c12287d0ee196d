from __future__ import annotations

import subprocess
import sys
from unittest.mock import patch

import pytest

from tests import examples
from zsm_store.index import base_arrays, rare_first
from zsm_store.index.costs import DISJOINT
from zsm_store.index.rare_first import RareFirstIndex
from zsm_store.index.scan import ScanIndex
from zsm_store.model.distance import Neighbor
from zsm_store.model.fingerprint import FieldStats, SchemaFingerprint
from zsm_store.model.schema import Field, FieldKind, Schema

ASKED = examples.fingerprint(examples.BRP_WITH_PHONE)
MANY = [
    examples.fingerprint(
        Schema([Field(f"f{number}", FieldKind.NAME), Field("all", FieldKind.ID)])
    )
    for number in range(700)
]


def with_fields(
    digit: str, *names: str, kind: FieldKind = FieldKind.ID, records: int = 0
) -> SchemaFingerprint:
    return SchemaFingerprint(
        schema_hash=digit * 64,
        field_stats=tuple(FieldStats(name=name, kind=kind) for name in names),
        record_count=records,
        created_at=0,
    )


@pytest.mark.parametrize("count", [0, 1, 511, 700])
def test_building_and_putting_lead_to_the_same_answers(count: int) -> None:
    built = RareFirstIndex.build(MANY[:count])
    put, scan = RareFirstIndex(), ScanIndex()
    for one in MANY[:count]:
        put.put(one)
        scan.put(one)
    assert len(built) == len(put) == count
    for query in (MANY[3], MANY[-1], ASKED):
        expected = scan.nearest(query, 5)
        assert built.nearest(query, 5) == put.nearest(query, 5) == expected
        assert (query.schema_hash in built) == (query.schema_hash in scan)


def test_of_equal_hashes_the_last_one_is_built_in() -> None:
    index = RareFirstIndex.build([with_fields("1", "a"), with_fields("1", "b")])
    assert len(index) == 1
    assert index.nearest(with_fields("2", "b"))[0].distance == 0.0


@pytest.mark.parametrize("sampled", ["1", "3"])
def test_without_a_common_field_equal_statistics_compete_by_hash(sampled: str) -> None:
    # The same name of another kind, and the same statistics: as far as no statistics.
    twin = with_fields(sampled, "a", kind=FieldKind.DATE, records=5)
    index = RareFirstIndex.build([twin, with_fields("2", "b"), with_fields("4", "c")])
    found = index.nearest(with_fields("5", "a", records=5), 2)
    assert [one.schema_hash[0] for one in found] == sorted([sampled, "2"])
    assert {one.distance for one in found} == {DISJOINT}


def test_sampled_strangers_are_farthest_and_the_smallest_hash_wins() -> None:
    index = RareFirstIndex.build(
        [with_fields(digit, digit, records=5) for digit in "3214"]
    )
    assert index.nearest(with_fields("5", "a", records=5), 2) == [
        Neighbor(distance=1.0, schema_hash=digit * 64) for digit in "12"
    ]


def test_without_fields_only_the_same_is_near() -> None:
    index = RareFirstIndex.build([with_fields("1"), with_fields("2", "a")])
    assert index.nearest(with_fields("5"), 2) == [
        Neighbor(distance=0.0, schema_hash="1" * 64),
        Neighbor(distance=DISJOINT, schema_hash="2" * 64),
    ]


def test_changes_during_a_compaction_are_not_lost() -> None:
    index = RareFirstIndex.build(MANY)
    gone, new, late = MANY[5], with_fields("a", "all"), with_fields("b", "late", "all")

    def meanwhile(state: rare_first.State) -> object:
        result = base_arrays_compacted(state)
        index.put(new)
        index.remove(gone.schema_hash)
        index.put(late)
        index.remove(late.schema_hash)
        index.put(late)
        assert gone.schema_hash not in index  # at once, not after the compaction
        return result

    base_arrays_compacted = base_arrays.compacted
    with patch.object(base_arrays, "compacted", meanwhile):
        index.compact()
    assert gone.schema_hash not in index
    assert len(index) == len(MANY) + 1
    assert index.nearest(with_fields("c", "late", "all"))[0].schema_hash == "b" * 64
    assert index.nearest(with_fields("c", "all"))[0].schema_hash == "a" * 64


def test_a_compaction_that_fails_changes_nothing() -> None:
    index = RareFirstIndex.build(MANY)
    with (
        patch.object(base_arrays, "compacted", side_effect=MemoryError),
        pytest.raises(MemoryError),
    ):
        index.compact()
    index.remove(MANY[0].schema_hash)
    index.compact()
    assert len(index) == len(MANY) - 1


def test_a_put_merges_what_has_become_too_much() -> None:
    index = RareFirstIndex()
    for one in MANY[: rare_first.SMALLEST_LIMIT]:
        index.put(one)
    assert index._state.base.count == 0
    index.put(MANY[-1])
    assert index._state.base.count == rare_first.SMALLEST_LIMIT + 1
    assert index._state.version == 0


def test_nothing_but_a_hash_is_in_it() -> None:
    index = RareFirstIndex.build(MANY)
    assert None not in index
    assert "f" * 63 not in index
    assert "F" * 64 not in index
    index.remove("no hash")
    assert len(index) == len(MANY)


def test_a_batch_gives_the_answers_of_single_calls() -> None:
    index = RareFirstIndex.build(MANY)
    queries = [ASKED, *MANY[::100]]
    assert index.nearest_many(queries, 3, 0.5) == [
        index.nearest(query, 3, 0.5) for query in queries
    ]


def test_a_small_index_needs_no_numpy() -> None:
    program = """
import sys
from tests import examples
from zsm_store.index.costs import DISJOINT
from zsm_store.index.rare_first import RareFirstIndex
index = RareFirstIndex.build([examples.fingerprint()])
index.put(examples.fingerprint(examples.SIM))
index.nearest(examples.fingerprint(examples.BRP_WITH_PHONE), 5)
assert "numpy" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)
