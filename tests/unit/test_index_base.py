from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from zsm_store.index.base import Base
from zsm_store.index.base_arrays import base_of, merged
from zsm_store.index.gathered import Gathered
from zsm_store.index.row import KINDS, Row, Vocabulary
from zsm_store.index.state import State

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def row(digest: bytes, keys: Sequence[int], *, sampled: bool = False) -> Row:
    numbers = tuple(float(key) for key in keys) if sampled else ()
    return Row(digest, tuple(keys), sampled, numbers, numbers)


def sha(number: int) -> bytes:
    return hashlib.sha256(str(number).encode()).digest()


ROWS = [
    row(sha(number), [KINDS * (number % 7), KINDS * 7 + number % 3][: number % 3])
    for number in range(300)
] + [row(sha(number), [1, KINDS + 1], sampled=True) for number in range(300, 400)]
VOCABULARY = Vocabulary("abcdefgh")


def gathered(rows: Iterable[Row], vocabulary: Vocabulary = VOCABULARY) -> Gathered:
    result = Gathered()
    result.vocabulary = vocabulary
    for one in rows:
        result.append(one)
    return result


def state(base: Base) -> State:
    return State.of(base, VOCABULARY)


def put(digest: bytes, *names: str) -> Gathered:
    """Return a row that has its names from a vocabulary of its own."""
    vocabulary = Vocabulary(("unused", *names))
    keys = [KINDS * number + 1 for number in range(1, len(names) + 1)]
    return gathered([row(digest, keys)], vocabulary)


def test_what_went_in_comes_out() -> None:
    base = base_of(gathered(ROWS))
    assert base.count == len(ROWS)
    for one in ROWS:
        place = base.find(one.digest)
        assert base.digest_of(place) == one.digest
        assert base.keys_of(place) == list(one.keys)
        assert bool(base.sampled[place]) == one.sampled
        expected = list(one.null_rates)
        assert base.statistics_of(place) == (expected, expected)


def test_rows_are_in_order_of_size_then_digest() -> None:
    base = base_of(gathered(ROWS))
    order = [(len(base.keys_of(one)), base.digest_of(one)) for one in range(base.count)]
    assert order == sorted(order)
    for low in range(5):
        for high in (None, 0, 1, 2, 7):
            first, after = base.rows_of_size(low, high)
            assert list(range(first, after)) == [
                place
                for place, (size, _) in enumerate(order)
                if size >= low and (high is None or size <= high)
            ]


def test_a_posting_list_holds_the_rows_with_its_key() -> None:
    base = base_of(gathered(ROWS))
    for key in range(len(VOCABULARY) * KINDS):
        start, end = base.posting_range(key)
        assert base.postings[start:end].tolist() == [
            place for place in range(base.count) if key in base.keys_of(place)
        ]
    assert base.posting_range(len(VOCABULARY) * KINDS) == (0, 0)


def test_ranks_are_places_in_the_order_of_digests() -> None:
    base = base_of(gathered(ROWS))
    digests = [base.digest_of(place) for place in base.by_digest]
    assert digests == sorted(digests)
    assert [base.by_digest[base.ranks[one]] for one in range(base.count)] == list(
        range(base.count)
    )


@pytest.mark.parametrize("count", [0, 1, 2, 5, 300])
def test_hashes_that_differ_in_the_last_bits_only_are_told_apart(count: int) -> None:
    digests = [number.to_bytes(32) for number in range(1, 2 * count, 2)]
    base = base_of(gathered(row(digest, []) for digest in digests))
    found = [base.find(number.to_bytes(32)) for number in range(2 * count + 1)]
    assert [number for number, place in enumerate(found) if place >= 0] == list(
        range(1, 2 * count, 2)
    )
    assert base.find(b"\xff" * 32) == -1


def test_columns_have_the_types_that_they_promise() -> None:
    base = base_of(gathered(ROWS))
    for column, dtype in {
        "offsets": np.uint32,
        "keys": np.int32,
        "stat_offsets": np.uint32,
        "null_rates": np.float32,
        "cardinalities": np.float32,
        "sampled": np.uint8,
        "posting_offsets": np.uint32,
        "postings": np.int32,
        "size_starts": np.int32,
        "by_digest": np.int32,
        "ranks": np.int32,
        "digest_starts": np.uint32,
    }.items():
        assert np.asarray(getattr(base, column)).dtype == dtype, column


def test_an_empty_base_has_nothing() -> None:
    for base in (Base.empty(), base_of(Gathered())):
        assert base.count == 0
        assert base.find(b"\x00" * 32) == -1
        assert base.posting_range(0) == (0, 0)
        assert base.rows_of_size(0, None) == base.rows_of_size(3, 9) == (0, 0)


def test_merging_keeps_what_is_alive() -> None:
    before = state(base_of(gathered(ROWS)))
    for one in ROWS[:100]:
        before = before.after_removal(one.digest)
    replaced = row(ROWS[200].digest, [2, 3, 4], sampled=True)
    before = before.after_put(replaced).after_put(row(sha(-1), []))
    base, vocabulary = merged(before, Gathered(), ())
    assert base.count == before.live == 301
    assert vocabulary is VOCABULARY
    assert base.find(ROWS[0].digest) == -1
    assert base.keys_of(base.find(replaced.digest)) == [2, 3, 4]
    assert base.keys_of(base.find(sha(-1))) == []


def test_merging_forgets_names_that_nobody_uses() -> None:
    before = state(base_of(gathered(ROWS)))
    for one in ROWS[:300]:
        before = before.after_removal(one.digest)
    base, vocabulary = merged(before, Gathered(), ())
    assert vocabulary.names() == ["a", "b"]
    assert base.keys_of(0) == [1, KINDS + 1]


def test_what_is_put_wins_over_what_is_there_and_over_removals() -> None:
    before = state(base_of(gathered(ROWS))).after_put(row(sha(-1), [1]))
    both, gone = ROWS[5].digest, ROWS[6].digest
    base, vocabulary = merged(before, put(both, "b", "new"), [both, gone, sha(-1)])
    assert base.count == len(ROWS) - 1
    assert base.find(gone) == base.find(sha(-1)) == -1
    names = vocabulary.names()
    assert [
        (names[key // KINDS], key % KINDS) for key in base.keys_of(base.find(both))
    ] == [("b", 1), ("new", 1)]
    # Others may be adding to it, and not all of them know that.
    assert VOCABULARY.names() == list("abcdefgh")


def test_of_rows_with_the_same_hash_the_last_one_stays() -> None:
    rows = [row(sha(1), [1]), row(sha(2), [2, 3]), row(sha(1), [4, 5, 6])]
    base = base_of(gathered(rows))
    assert base.count == 2
    assert base.keys_of(base.find(sha(1))) == [4, 5, 6]
    assert [base.digest_of(one) for one in base.by_digest] == sorted([sha(1), sha(2)])


def test_hashes_may_lie_in_any_bytes() -> None:
    built = base_of(gathered(ROWS))
    mapped = replace(built, digests=memoryview(built.digests))
    for one in ROWS:
        place = built.find(one.digest)
        assert mapped.find(one.digest) == place
        assert isinstance(mapped.digest_of(place), bytes)
    assert merged(state(mapped), Gathered(), ())[0] == built


def test_a_base_knows_how_many_names_there_were() -> None:
    assert base_of(gathered(ROWS)).names == len(VOCABULARY)
    assert Base.empty().names == 0


def test_the_rows_without_statistics_are_told() -> None:
    base = base_of(gathered(ROWS))
    assert [base.digest_of(one) for one in base.unsampled()] == [
        base.digest_of(one) for one in range(base.count) if not base.sampled[one]
    ]
    assert len(list(base.unsampled())) == 300
    assert list(Base.empty().unsampled()) == []
