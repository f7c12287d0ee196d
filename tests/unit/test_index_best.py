from __future__ import annotations

from zsm_store.index.best import Best
from zsm_store.model.distance import Neighbor

A, B, C = (bytes([digit]) * 32 for digit in (1, 2, 3))


def neighbor(distance: float, digest: bytes) -> Neighbor:
    return Neighbor(distance=distance, schema_hash=digest.hex())


def test_the_bound_is_the_distance_of_the_last_of_k() -> None:
    best = Best(2, 1.0)
    assert best.offer(0.5, B)
    assert best.bound == 1.0
    assert best.offer(0.25, C)
    assert best.bound == 0.5
    assert best.offer(0.25, A)
    assert best.bound == 0.25
    assert best.neighbors() == [neighbor(0.25, A), neighbor(0.25, C)]


def test_of_equally_far_ones_the_smallest_digest_stays() -> None:
    best = Best(1, 1.0)
    assert best.offer(0.5, B)
    assert not best.offer(0.5, C)
    assert best.offer(0.5, A)
    assert best.neighbors() == [neighbor(0.5, A)]


def test_the_bound_is_inclusive() -> None:
    best = Best(3, 0.5)
    assert best.offer(0.5, A)
    assert not best.offer(0.5000000001, B)


def test_offering_twice_changes_nothing() -> None:
    best = Best(2, 1.0)
    assert best.offer(0.5, A)
    assert best.offer(0.5, A)
    assert best.neighbors() == [neighbor(0.5, A)]
