from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import strategies as zst
from zsm_store.index.rare_first import RareFirstIndex
from zsm_store.index.scan import ScanIndex
from zsm_store.model.distance import Neighbor, fingerprint_distance

if TYPE_CHECKING:
    from collections.abc import Callable

    from zsm_store.index.interface import FingerprintIndex
    from zsm_store.model.fingerprint import SchemaFingerprint

    NewIndex = Callable[[], FingerprintIndex]


class MergingIndex(RareFirstIndex):
    """Never keeps a change beside the base, so that all of its answers come from it."""

    def put(self, fingerprint: SchemaFingerprint) -> None:
        super().put(fingerprint)
        self.compact()


INDEXES = {"scan": ScanIndex, "rare first": RareFirstIndex, "merging": MergingIndex}
"""Every index there is; all of them give the same answers."""

for_each_index = pytest.mark.parametrize("new", INDEXES.values(), ids=INDEXES)

SETS = zst.fingerprint_sets()
QUERIES = zst.fingerprints()


def definition(
    stored: dict[str, SchemaFingerprint], query: SchemaFingerprint
) -> list[Neighbor]:
    """Sort everything there is: the slow way that cannot be wrong."""
    neighbors = [
        Neighbor(distance=fingerprint_distance(query, one), schema_hash=key)
        for key, one in stored.items()
    ]
    return sorted(
        neighbors,
        key=lambda one: (
            one.schema_hash != query.schema_hash,
            one.distance,
            one.schema_hash,
        ),
    )


def filled(new: NewIndex, fingerprints: list[SchemaFingerprint]) -> FingerprintIndex:
    index = new()
    for fingerprint in fingerprints:
        index.put(fingerprint)
    return index


def by_hash(fingerprints: list[SchemaFingerprint]) -> dict[str, SchemaFingerprint]:
    return {one.schema_hash: one for one in fingerprints}


@for_each_index
@given(fingerprints=SETS, query=QUERIES, k=st.integers(0, 10))
def test_the_nearest_are_those_of_the_definition(new, fingerprints, query, k) -> None:
    found = filled(new, fingerprints).nearest(query, k)
    assert found == definition(by_hash(fingerprints), query)[:k]


@for_each_index
@given(fingerprints=SETS, data=st.data())
def test_a_stored_query_finds_itself_first(new, fingerprints, data) -> None:
    if fingerprints:
        query = data.draw(st.sampled_from(fingerprints))
        found = filled(new, fingerprints).nearest(query, 10)
        assert found[0] == Neighbor(distance=0.0, schema_hash=query.schema_hash)
        assert found == definition(by_hash(fingerprints), query)


@for_each_index
@given(fingerprints=SETS, query=QUERIES, data=st.data())
def test_the_largest_distance_is_inclusive(new, fingerprints, query, data) -> None:
    expected = definition(by_hash(fingerprints), query)
    # Distances that occur, so that equality is met.
    limit = data.draw(
        st.sampled_from([0.0, 0.25, 1.0, *(one.distance for one in expected)])
    )
    found = filled(new, fingerprints).nearest(query, 10, limit)
    assert found == [one for one in expected if one.distance <= limit]


@for_each_index
@given(fingerprints=SETS, query=QUERIES, random=st.randoms())
def test_the_order_of_arrival_changes_nothing(new, fingerprints, query, random) -> None:
    shuffled = list(fingerprints)
    random.shuffle(shuffled)
    expected = filled(new, fingerprints).nearest(query, 10)
    assert filled(new, shuffled).nearest(query, 10) == expected


@for_each_index
@given(
    steps=st.lists(st.tuples(st.booleans(), st.integers(0, 5)), max_size=20),
    pool=st.lists(zst.fingerprints(zst.schemas(2)), min_size=6, max_size=6),
    query=QUERIES,
)
def test_after_any_puts_and_removals_the_answers_are_the_definitions(
    new, steps, pool, query
) -> None:
    index, model = new(), {}
    for is_put, number in steps:
        one = pool[number]
        if is_put:
            index.put(one)
            model[one.schema_hash] = one
        else:
            index.remove(one.schema_hash)
            model.pop(one.schema_hash, None)
        assert len(index) == len(model)
        assert (one.schema_hash in index) == is_put
    assert index.nearest(query, 10) == definition(model, query)
