from __future__ import annotations

from zsm_store.index.base_arrays import base_of
from zsm_store.index.delta import NO_ROW, Delta
from zsm_store.index.row import Row, Vocabulary
from zsm_store.index.state import State

A, B = b"\x0a" * 32, b"\x0b" * 32


def row(digest: bytes, keys: tuple[int, ...], *, sampled: bool = False) -> Row:
    numbers = tuple(float(key) for key in keys) if sampled else ()
    return Row(digest, keys, sampled, numbers, numbers)


def first_state() -> State:
    """Return a moment at which A is in the base and B is not."""
    vocabulary = Vocabulary("abc")
    base = base_of([row(A, (1, 2))], vocabulary)
    return State(
        base=base,
        delta=Delta(base.count),
        vocabulary=vocabulary,
        deaths={},
        version=0,
        visible=1,
        live=1,
        unsampled=1,
    )


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
