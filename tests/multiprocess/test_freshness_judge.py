"""The judge of fresh answers, on histories made by hand. Times are plain numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.multiprocess.freshness_judge import (
    Answer,
    Count,
    Found,
    Judge,
    Membership,
    Neighbors,
    Operation,
    rank,
)
from tests.multiprocess.freshness_scene import (
    ASKED,
    Key,
    Step,
    fingerprint,
    queries,
    schema_hash,
)
from zsm_store.index.scan import ScanIndex
from zsm_store.model.distance import WARM_START_THRESHOLD

ONE, OTHER = Key("pair 0", "one"), Key("pair 0", "other")
QUERY = Key("pair 0", ASKED)
FILLERS = [Step(Key(f"filler {number}", "only"), 2) for number in range(3)]

KEPT = [
    Operation(10, 20, ONE, 2),
    Operation(30, 40, OTHER, 2),
    Operation(50, 60, ONE, None),
    Operation(70, 80, ONE, 4),
    Operation(90, 100, OTHER, None),
]
"""From 20 on there is one of two at any moment, but not the same one."""


def found(query: Key, key: Key, version: int) -> Found:
    return Found(key, version, rank(query, key, version).distance)


def lookup(begin: int, end: int, query: Key, *near: Step) -> Neighbors:
    told = tuple(found(query, key, version or 0) for key, version in near)
    mode = "cold_start"
    if near:
        mode = "warm_load" if near[0].key == query else "warm_start"
    return Neighbors(
        begin=begin,
        end=end,
        query=query,
        most=1,
        bound=WARM_START_THRESHOLD,
        found=told,
        mode=mode,
    )


def nearest(begin: int, end: int, *near: Step) -> Neighbors:
    told = tuple(found(QUERY, key, version or 0) for key, version in near)
    most = len(near)
    return Neighbors(
        begin=begin, end=end, query=QUERY, most=most, bound=None, found=told
    )


def is_right(operations: list[Operation], *answers: Answer) -> bool:
    return not Judge(FILLERS, operations).faults(answers)


@pytest.mark.parametrize(
    ("begin", "end", "versions"),
    [
        (1, 9, {None}),
        (1, 10, {None, 2}),
        (12, 15, {None, 2}),
        (20, 29, {None, 2}),
        (21, 29, {2}),
        (32, 38, {2, 4}),
        (25, 55, {2, 4, 7}),
        (61, 99, {7}),
    ],
)
def test_answer_is_of_a_moment_of_its_call(begin, end, versions) -> None:
    replaced = [
        Operation(10, 20, ONE, 2),
        Operation(30, 40, ONE, 4),
        Operation(50, 60, ONE, 7),
    ]
    for version in (None, 2, 4, 7):
        near = [] if version is None else [Step(ONE, version)]
        right = version in versions
        assert is_right(replaced, lookup(begin, end, ONE, *near)) == right
        # The seventh version is farther than the threshold.
        assert is_right(replaced, lookup(begin, end, QUERY, *near)) == (
            (right and version != 7) or (version is None and 7 in versions)
        )


def test_nothing_near_is_wrong_where_there_always_was_one_of_two() -> None:
    assert is_right(KEPT, lookup(15, 25, QUERY))
    for begin, end in [(21, 120), (45, 75), (65, 95), (95, 300)]:
        assert not is_right(KEPT, lookup(begin, end, QUERY))
    moved = [*KEPT[:1], Operation(50, 60, ONE, None), Operation(70, 80, OTHER, 2)]
    assert is_right(moved, lookup(21, 120, QUERY)), "in the middle there was none"
    gone = [*KEPT, Operation(110, 120, ONE, None)]
    assert is_right(gone, lookup(95, 115, QUERY))
    assert not is_right(gone, lookup(95, 105, QUERY))


def test_nearer_one_that_was_surely_there_must_not_be_missed() -> None:
    near, nearer = sorted((ONE, OTHER), key=lambda key: rank(QUERY, key, 2))[::-1]
    both = [Operation(10, 20, near, 2), Operation(30, 40, nearer, 2)]
    assert is_right(both, lookup(35, 50, QUERY, Step(near, 2)))
    assert not is_right(both, lookup(41, 50, QUERY, Step(near, 2)))
    assert is_right(both, nearest(41, 50, Step(nearer, 2), Step(near, 2)))
    assert not is_right(both, nearest(41, 50, Step(near, 2), Step(nearer, 2)))
    assert not is_right(both, nearest(41, 50, Step(nearer, 2), Step(nearer, 2)))


def test_of_equally_near_ones_the_smaller_hash_must_be_found() -> None:
    larger, smaller = sorted((ONE, OTHER), key=schema_hash)[::-1]
    both = [Operation(10, 20, larger, 8), Operation(30, 40, smaller, 8)]
    assert rank(QUERY, larger, 8).distance == rank(QUERY, smaller, 8).distance
    assert is_right(both, lookup(41, 50, QUERY, Step(smaller, 8)))
    assert not is_right(both, lookup(41, 50, QUERY, Step(larger, 8)))


def test_equal_hash_must_be_found_before_what_is_as_near() -> None:
    both = [Operation(10, 20, ONE, 7), Operation(10, 20, OTHER, 8)]
    assert is_right(both, lookup(30, 40, ONE, Step(ONE, 7)))
    assert not is_right(both, lookup(30, 40, ONE, Step(OTHER, 8)))


def test_what_never_changes_must_be_found_too() -> None:
    filler = min(FILLERS, key=lambda step: rank(QUERY, *step))
    others = [step for step in FILLERS if step != filler]
    assert is_right([], nearest(1, 2, filler))
    assert not is_right([], nearest(1, 2, others[0]))
    assert is_right(KEPT, nearest(21, 29, Step(ONE, 2), filler))
    assert not is_right(KEPT, nearest(21, 29, Step(ONE, 2), *others))


def test_distance_and_mode_must_be_those_of_the_version() -> None:
    right = lookup(21, 29, QUERY, Step(ONE, 2))
    assert is_right(KEPT, right)
    for wrong in (
        {"found": (Found(ONE, 2, right.found[0].distance + 1e-9),)},
        {"found": (found(QUERY, ONE, 4),)},
        {"mode": "cold_start"},
        {"mode": "warm_load"},
    ):
        assert not is_right(KEPT, replace(right, **wrong))


def test_another_version_at_the_same_distance_is_another_answer() -> None:
    bare = [Operation(10, 20, ONE, 8)]
    assert rank(QUERY, ONE, 8) == rank(QUERY, ONE, 16)
    assert is_right(bare, lookup(21, 29, QUERY, Step(ONE, 8)))
    assert not is_right(bare, lookup(21, 29, QUERY, Step(ONE, 16)))


def test_version_may_be_unknown_but_not_its_distance() -> None:
    told = nearest(21, 29, Step(ONE, 2)).found[0]
    for distance, right in [(told.distance, True), (0.5, False)]:
        answer = Neighbors(
            begin=21,
            end=29,
            query=QUERY,
            most=1,
            bound=None,
            found=(Found(ONE, None, distance),),
        )
        assert is_right(KEPT, answer) == right


@pytest.mark.parametrize(
    ("begin", "end", "counts"),
    [(1, 5, {3}), (12, 15, {3, 4}), (41, 49, {5}), (45, 75, {4, 5}), (101, 102, {4})],
)
def test_count_is_of_one_moment(begin, end, counts) -> None:
    for count in range(3, 7):
        answer = Count(begin=begin, end=end, count=count)
        assert is_right(KEPT, answer) == (count in counts)


def test_key_is_stored_from_its_save_to_its_deletion() -> None:
    for begin, end, possible in [
        (1, 5, {False}),
        (15, 18, {False, True}),
        (41, 49, {True}),
        (62, 68, {False}),
    ]:
        for stored in (False, True):
            answer = Membership(begin=begin, end=end, key=ONE, stored=stored)
            assert is_right(KEPT, answer) == (stored in possible)


def test_what_one_reader_was_shown_no_later_one_may_miss() -> None:
    slow = [Operation(10, 20, ONE, 2), Operation(30, 90, ONE, 4)]
    old, new = Step(ONE, 2), Step(ONE, 4)
    assert is_right(slow, lookup(40, 60, QUERY, new), lookup(50, 70, QUERY, old))
    assert is_right(slow, lookup(40, 50, QUERY, old), lookup(60, 70, QUERY, new))
    assert not is_right(slow, lookup(40, 50, QUERY, new), lookup(60, 70, QUERY, old))
    saved = [Operation(10, 90, ONE, 2)]
    assert is_right(saved, lookup(40, 60, QUERY, old), lookup(50, 70, QUERY))
    assert not is_right(saved, lookup(40, 50, QUERY, old), lookup(60, 70, QUERY))
    gone = [Operation(10, 20, ONE, 2), Operation(30, 90, ONE, None)]
    assert is_right(gone, lookup(40, 60, QUERY), lookup(50, 70, QUERY, old))
    assert not is_right(gone, lookup(40, 50, QUERY), lookup(60, 70, QUERY, old))


def test_on_a_network_drive_the_past_counts_for_a_while() -> None:
    late = Judge(FILLERS, [Operation(10, 20, ONE, 2)], late_s=100e-9)
    assert not late.faults([lookup(30, 60, QUERY), lookup(119, 200, QUERY)])
    assert not late.faults([lookup(30, 60, QUERY, Step(ONE, 2)), lookup(70, 80, QUERY)])
    assert late.faults([lookup(121, 200, QUERY)])


def test_only_one_answer_is_right_where_nobody_writes() -> None:
    judge = Judge(FILLERS, KEPT)
    for begin, end, decided in [(41, 49, True), (41, 55, False), (35, 36, False)]:
        assert judge.is_decided(Count(begin=begin, end=end, count=5)) == decided


def test_the_judge_ranks_like_the_plain_index() -> None:
    index = ScanIndex()
    stored = [Step(key, 2 + number) for number, key in enumerate(queries())]
    for step in stored:
        index.put(fingerprint(*step))
    for query in queries():
        ranked = sorted(rank(query, *step) for step in stored)
        assert [
            (near.distance, near.schema_hash)
            for near in index.nearest(fingerprint(query, 0), len(stored))
        ] == [one[1:] for one in ranked]
