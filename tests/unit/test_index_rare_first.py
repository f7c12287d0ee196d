from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest

from tests import examples
from zsm_store.index import base_arrays, rare_first
from zsm_store.index.costs import DISJOINT
from zsm_store.index.delta import Delta
from zsm_store.index.rare_first import RareFirstIndex
from zsm_store.index.scan import ScanIndex
from zsm_store.model.distance import Neighbor
from zsm_store.model.fingerprint import FieldStats, SchemaFingerprint
from zsm_store.model.schema import Field, FieldKind, Schema

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zsm_store.index.row import Row

ASKED = examples.fingerprint(examples.BRP_WITH_PHONE)
MANY = [
    examples.fingerprint(
        Schema([Field(f"f{number}", FieldKind.NAME), Field("all", FieldKind.ID)])
    )
    for number in range(700)
]


def with_fields(
    digits: str, *names: str, kind: FieldKind = FieldKind.ID, records: int = 0
) -> SchemaFingerprint:
    return SchemaFingerprint(
        schema_hash=digits * (64 // len(digits)),
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

    def meanwhile(*args: object) -> object:
        result = merged(*args)
        index.put(new)
        index.remove(gone.schema_hash)
        index.put(late)
        index.remove(late.schema_hash)
        index.put(late)
        assert gone.schema_hash not in index  # at once, not after the compaction
        return result

    merged = base_arrays.merged
    with patch.object(base_arrays, "merged", meanwhile):
        index.compact()
    assert gone.schema_hash not in index
    assert len(index) == len(MANY) + 1
    assert index.nearest(with_fields("c", "late", "all"))[0].schema_hash == "b" * 64
    assert index.nearest(with_fields("c", "all"))[0].schema_hash == "a" * 64


def test_a_compaction_that_fails_changes_nothing() -> None:
    index = RareFirstIndex.build(MANY)
    with (
        patch.object(base_arrays, "merged", side_effect=MemoryError),
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


@pytest.mark.parametrize("stored", [0, 10, 600])
@pytest.mark.parametrize("added", [1, 90])
@pytest.mark.parametrize("limit", [0, 40, 512])
def test_an_update_puts_and_removes(stored: int, added: int, limit: int) -> None:
    index, scan = RareFirstIndex.build(MANY[:stored]), ScanIndex()
    scan.update(MANY[:stored])
    puts = [*MANY[610 : 610 + added], with_fields("1", "a"), with_fields("1", "b")]
    puts.append(with_fields(MANY[3].schema_hash, "f3", "all"))
    both = MANY[610].schema_hash
    removals = [both, "not a hash", "0" * 64, *(one.schema_hash for one in MANY[1:60])]
    with patch.object(rare_first, "SMALLEST_LIMIT", limit):
        index.update(iter(puts), iter(removals))
    scan.update(iter(puts), iter(removals))
    assert both in index
    assert len(index) == len(scan)
    for query in (*puts, *MANY[::50], with_fields("2", "b")):
        assert index.nearest(query, 4) == scan.nearest(query, 4)
        assert (query.schema_hash in index) == (query.schema_hash in scan)


@pytest.mark.parametrize("limit", [0, 512])
@pytest.mark.parametrize("new", [RareFirstIndex, ScanIndex])
def test_an_update_that_cannot_be_read_changes_nothing(new: type, limit: int) -> None:
    text = "the file is gone"

    def unreadable() -> Iterator[SchemaFingerprint]:
        yield with_fields("1", "new")
        raise RuntimeError(text)

    index = new()
    index.update(MANY[:20])
    with (
        patch.object(rare_first, "SMALLEST_LIMIT", limit),
        pytest.raises(RuntimeError, match=text),
    ):
        index.update(unreadable(), [MANY[0].schema_hash])
    assert len(index) == 20
    assert MANY[0].schema_hash in index
    assert index.nearest(with_fields("2", "new"), 1, 0.5) == []


@pytest.mark.parametrize("limit", [0, 512])
def test_while_an_update_is_read_others_may_change_the_index(limit: int) -> None:
    index = RareFirstIndex.build(MANY[:20])

    def puts() -> Iterator[SchemaFingerprint]:
        yield with_fields("1", "first")
        index.put(with_fields("2", "own"))
        index.compact()
        assert "1" * 64 not in index
        yield with_fields("3", "own", "last")

    with patch.object(rare_first, "SMALLEST_LIMIT", limit):
        index.update(puts(), ["2" * 64])
    assert len(index) == 22
    assert index.nearest(with_fields("4", "own"))[0].schema_hash == "3" * 64
    assert index.nearest(with_fields("4", "first"))[0].schema_hash == "1" * 64


def test_changes_during_a_large_update_are_not_lost() -> None:
    index = RareFirstIndex.build(MANY[:600])

    def meanwhile(*args: object) -> object:
        result = merged(*args)
        index.put(with_fields("a", "all"))
        index.remove(MANY[5].schema_hash)
        index.update([with_fields("b", "new"), MANY[650]], [MANY[6].schema_hash])
        assert MANY[649].schema_hash not in index
        return result

    merged = base_arrays.merged
    with (
        patch.object(base_arrays, "merged", meanwhile),
        patch.object(rare_first, "SMALLEST_LIMIT", 90),
    ):
        index.update(MANY[600:], [MANY[7].schema_hash])
    assert len(index) == 700 - 3 + 2
    for gone in MANY[5:8]:
        assert gone.schema_hash not in index
    assert index.nearest(with_fields("c", "new"))[0].schema_hash == "b" * 64
    assert index.nearest(MANY[650])[0].distance == 0.0


@pytest.mark.parametrize("when", range(1, 5))
def test_a_change_that_is_interrupted_is_not_half_done(when: int) -> None:
    index = RareFirstIndex.build(MANY[:600])
    index.put(MANY[600])
    calls = 0

    def interrupted(delta: Delta, row: Row, previous: int) -> None:
        nonlocal calls
        calls += 1
        append(delta, row, previous)
        if calls == when:
            raise KeyboardInterrupt

    append = Delta.append
    replaced = with_fields(MANY[0].schema_hash, "other")
    puts = [with_fields("1", "new"), MANY[1], replaced, MANY[600]]
    with (
        patch.object(Delta, "append", interrupted),
        pytest.raises(KeyboardInterrupt),
    ):
        index.update(puts, [MANY[2].schema_hash])
    index.put(with_fields("2", "later"))
    expected = ScanIndex()
    expected.update([*MANY[:601], with_fields("2", "later")])
    assert len(index) == len(expected)
    for query in (*puts, *MANY[:3], MANY[600], with_fields("3", "later")):
        assert index.nearest(query, 3) == expected.nearest(query, 3)


def test_an_index_of_a_base_is_the_index_that_it_was_taken_from() -> None:
    index = RareFirstIndex.build(MANY)
    taken = index.live_base()
    assert taken is not None
    base, vocabulary, rows = taken
    assert base.count == len(MANY)
    assert [base.digest_of(row).hex() for row in rows] == sorted(
        one.schema_hash for one in MANY
    )
    again = RareFirstIndex.of_base(base, vocabulary)
    again.put(with_fields("1", "new"))
    assert len(again) == len(MANY) + 1
    for query in (ASKED, *MANY[::100]):
        assert again.nearest(query, 5) == index.nearest(query, 5)


def test_of_a_base_only_what_is_alive_is_told() -> None:
    index = RareFirstIndex.build(MANY)
    index.remove(MANY[3].schema_hash)
    index.put(with_fields(MANY[4].schema_hash, "new"))
    taken = index.live_base()
    assert taken is not None
    base, vocabulary, rows = taken
    assert vocabulary.find("new") is None
    assert len(vocabulary) == base.names
    live = {base.digest_of(row).hex() for row in rows}
    assert live == {one.schema_hash for one in MANY} - {
        MANY[3].schema_hash,
        MANY[4].schema_hash,
    }


def test_without_arrays_there_is_no_base_to_take() -> None:
    assert RareFirstIndex.build(MANY[:20]).live_base() is None


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
from zsm_store.index.delta import Delta
from zsm_store.index.rare_first import RareFirstIndex
index = RareFirstIndex.build([examples.fingerprint()])
index.put(examples.fingerprint(examples.SIM))
index.nearest(examples.fingerprint(examples.BRP_WITH_PHONE), 5)
assert "numpy" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_child_of_a_fork_waits_for_no_lock_of_a_thread_that_is_not_there() -> None:
    index = RareFirstIndex()
    index.put(examples.fingerprint())
    index._writing.acquire()
    index._merging.acquire()
    index._log = []
    # What a writer had added and not yet published.
    index._state.delta.append(index._state.delta.rows[0], -1)
    index.after_fork()
    index.put(examples.fingerprint(examples.SIM))
    index.compact()
    assert len(index) == 2
    for schema in (examples.BRP, examples.SIM):
        [found] = index.nearest(examples.fingerprint(schema))
        assert (found.distance, found.schema_hash) == (
            0.0,
            examples.fingerprint(schema).schema_hash,
        )
