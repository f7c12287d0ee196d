from __future__ import annotations

from zsm_store.index.base_arrays import base_of
from zsm_store.index.delta import NO_ROW
from zsm_store.index.gathered import Gathered
from zsm_store.index.row import Row, Vocabulary
from zsm_store.index.state import State

A, B = b"\x0a" * 32, b"\x0b" * 32


def row(digest: bytes, keys: tuple[int, ...], *, sampled: bool = False) -> Row:
    numbers = tuple(float(key) for key in keys) if sampled else ()
    return Row(digest, keys, sampled, numbers, numbers)


def first_state() -> State:
    """Return a moment at which A is in the base and B is not."""
    rows = Gathered()
    rows.vocabulary = Vocabulary("abc")
    rows.append(row(A, (1, 2)))
    return State.of(base_of(rows), rows.vocabulary)


def test_a_moment_stays_what_it_was() -> None:
    moments = [first_state()]
    moments.append(moments[-1].after_put(row(B, (3,), sampled=True)))
    moments.append(moments[-1].after_put(row(A, (4,))))
    moments.append(moments[-1].after_removal(A))
    moments.append(moments[-1].after_put(row(A, (5,))))
    keys = [
        [
            None if found == NO_ROW else tuple(moment.keys_of(found))
            for found in (moment.find(A), moment.find(B))
        ]
        for moment in moments
    ]
    assert keys == [
        [(1, 2), None],
        [(1, 2), (3,)],
        [(4,), (3,)],
        [None, (3,)],
        [(5,), (3,)],
    ]
    assert [moment.live for moment in moments] == [1, 2, 2, 1, 2]
    assert [moment.unsampled for moment in moments] == [1, 1, 1, 0, 1]


def test_removing_what_is_not_there_is_no_change() -> None:
    state = first_state()
    assert state.after_removal(B) is state
    gone = state.after_removal(A)
    assert gone.after_removal(A) is gone


def test_a_posting_list_ends_where_the_moment_does() -> None:
    before = first_state()
    after = before.after_put(row(B, (1,)))
    assert before.delta.rows_with(1, before.visible) == []
    assert after.delta.rows_with(1, after.visible) == [1]
    assert after.delta.rows_with(99, after.visible) == []


def test_a_first_moment_counts_what_is_in_the_base() -> None:
    rows = Gathered()
    rows.append(row(A, (1,)))
    rows.append(row(B, (1, 2), sampled=True))
    state = State.of(base_of(rows), Vocabulary("abc"))
    assert (state.visible, state.live, state.unsampled) == (2, 2, 1)


def test_apart_a_moment_has_nothing_of_a_change_that_was_not_completed() -> None:
    state = first_state().after_put(row(B, (1,))).after_put(row(B, (2,)))
    begun = state.after_removal(A).after_put(row(B, (3,)))
    assert begun.find(A) == NO_ROW
    apart = state.apart()
    later = apart.after_put(row(b"\x0c" * 32, (1,)))
    for moment in (apart, later):
        assert [moment.keys_of(moment.find(one)) for one in (A, B)] == [[1, 2], (2,)]
    assert later.keys_of(later.find(b"\x0c" * 32)) == (1,)
    assert later.delta.rows_with(3, later.visible) == []
    assert (later.live, later.unsampled) == (3, 3)
