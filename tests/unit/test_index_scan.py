from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests import examples
from zsm_store.index.scan import ScanIndex
from zsm_store.model.distance import Neighbor, fingerprint_distance
from zsm_store.model.fingerprint import FieldStats, SchemaFingerprint
from zsm_store.model.schema import Field, FieldKind, FieldMapping, Schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from zsm_store.index.interface import FingerprintIndex

BRP = examples.fingerprint()
WITH_PHONE = examples.fingerprint(examples.BRP_WITH_PHONE)
WITHOUT_TWO = examples.fingerprint(examples.BRP_WITHOUT_TWO)
SIM = examples.fingerprint(examples.SIM)


def index_of(fingerprints: Iterable[SchemaFingerprint]) -> FingerprintIndex:
    index = ScanIndex()
    for fingerprint in fingerprints:
        index.put(fingerprint)
    return index


def hashes(neighbors: list[Neighbor]) -> list[str]:
    return [neighbor.schema_hash for neighbor in neighbors]


def with_hash(digit: str, records: int = 0, null_rate: float = 0) -> SchemaFingerprint:
    """Return a fingerprint of one field under a hash of our choice."""
    return SchemaFingerprint(
        schema_hash=digit * 64,
        field_stats=(FieldStats(name="a", kind=FieldKind.NAME, null_rate=null_rate),),
        record_count=records,
        created_at=0,
    )


def test_an_empty_index_knows_no_neighbor() -> None:
    index = index_of([])
    assert index.nearest(BRP) == []
    assert len(index) == 0
    assert BRP.schema_hash not in index


def test_the_closer_one_is_preferred() -> None:
    index = index_of([SIM, WITHOUT_TWO, BRP])
    expected = [BRP, WITHOUT_TWO, SIM]
    assert index.nearest(WITH_PHONE, k=5) == [
        Neighbor(
            distance=fingerprint_distance(one, WITH_PHONE), schema_hash=one.schema_hash
        )
        for one in expected
    ]
    assert hashes(index.nearest(WITH_PHONE)) == [BRP.schema_hash]


def test_of_equally_close_the_smallest_hash_wins() -> None:
    for order in ("321", "123", "213"):
        index = index_of(map(with_hash, order))
        assert hashes(index.nearest(with_hash("0"), k=3)) == [
            "1" * 64,
            "2" * 64,
            "3" * 64,
        ]


def test_an_equal_hash_comes_before_a_smaller_one_at_the_same_distance() -> None:
    index = index_of([with_hash("1"), with_hash("2")])
    found = index.nearest(with_hash("2"), k=2)
    assert hashes(found) == ["2" * 64, "1" * 64]
    assert [one.distance for one in found] == [0.0, 0.0]


def test_an_equal_hash_is_nearest_whatever_its_statistics() -> None:
    index = index_of([with_hash("1", 5, 0.0), with_hash("2", 5, 1.0)])
    assert hashes(index.nearest(with_hash("2", 5, 0.0), k=1)) == ["2" * 64]


@pytest.mark.parametrize(("k", "count"), [(0, 0), (1, 1), (2, 2), (4, 4), (9, 4)])
def test_up_to_k_neighbors_are_returned(k: int, count: int) -> None:
    index = index_of([BRP, WITH_PHONE, WITHOUT_TWO, SIM])
    found = index.nearest(BRP, k=k)
    assert len(found) == count
    assert found == index.nearest(BRP, k=9)[:k]


def test_many_queries_get_the_answers_of_each() -> None:
    index = index_of([BRP, WITHOUT_TWO, SIM])
    assert index.nearest_many([BRP, WITH_PHONE], 2, 0.7) == [
        index.nearest(BRP, 2, 0.7),
        index.nearest(WITH_PHONE, 2, 0.7),
    ]


def test_the_largest_distance_is_included_and_nothing_beyond() -> None:
    nine = Schema([Field(f"f{number}", FieldKind.NAME) for number in range(9)])
    fourteen = Schema([Field(f"f{number}", FieldKind.NAME) for number in range(14)])
    index = index_of([examples.fingerprint(fourteen), SIM])
    query = examples.fingerprint(nine)
    assert [one.distance for one in index.nearest(query, 5, 0.25)] == [0.25]
    below = float(np.nextafter(np.float32(0.25), np.float32(0)))
    assert index.nearest(query, 5, below) == []
    assert len(index.nearest(query, 5, 1.0)) == 2
    assert len(index.nearest(query, 5, None)) == 2
    assert index.nearest(SIM, 5, 0.0) == [
        Neighbor(distance=0.0, schema_hash=SIM.schema_hash)
    ]


def test_putting_a_hash_again_replaces_what_was_there() -> None:
    index = index_of([with_hash("1", 5, 1.0), with_hash("1", 5, 0.25)])
    assert len(index) == 1
    query = with_hash("2", 5, 0.25)
    assert index.nearest(query) == [Neighbor(distance=0.0, schema_hash="1" * 64)]


def test_what_was_removed_is_forgotten_and_may_come_back() -> None:
    index = index_of([BRP, SIM])
    index.remove(BRP.schema_hash)
    assert BRP.schema_hash not in index
    assert SIM.schema_hash in index
    assert hashes(index.nearest(BRP, k=5)) == [SIM.schema_hash]
    index.remove(BRP.schema_hash)  # nothing there, nothing happens
    assert len(index) == 1
    index.put(BRP)
    assert hashes(index.nearest(BRP)) == [BRP.schema_hash]


def test_anything_may_be_asked_for() -> None:
    assert None not in index_of([BRP])
    assert 5 not in index_of([BRP])


def test_other_mappings_are_another_artifact_at_distance_zero() -> None:
    mapped = examples.fingerprint(mappings=[FieldMapping("bsn", "nummer")])
    index = index_of([BRP])
    assert index.nearest(mapped) == [
        Neighbor(distance=0.0, schema_hash=BRP.schema_hash)
    ]
    assert mapped.schema_hash not in index


@pytest.fixture
def _hasty_threads() -> Iterator[None]:
    """Let threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("_hasty_threads")
def test_searching_while_others_put_and_remove_is_safe() -> None:
    index = index_of([BRP])
    others = [
        examples.fingerprint(Schema([Field(f"f{number}", FieldKind.NAME)]))
        for number in range(200)
    ]

    def change() -> None:
        for _ in range(5):
            for one in others:
                index.put(one)
            for one in others:
                index.remove(one.schema_hash)

    with ThreadPoolExecutor(max_workers=3) as pool:
        changes = [pool.submit(change) for _ in range(2)]
        while not all(one.done() for one in changes):
            found = pool.submit(index.nearest, BRP).result()
            assert hashes(found) == [BRP.schema_hash]
        for one in changes:
            one.result()
    assert len(index) == 1
