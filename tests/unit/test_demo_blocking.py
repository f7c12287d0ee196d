from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from zsm_store.demo.blocking import BlockingKey, candidate_pairs
from zsm_store.demo.table import DemoTable
from zsm_store.model.schema import FieldKind

values = st.none() | st.text("ab", min_size=1, max_size=3)
KEYS: tuple[BlockingKey, ...] = ((("x", None),), (("x", 1), ("y", 2)))


def table_of(rows: list[tuple[str | None, str | None]]) -> DemoTable:
    return DemoTable(
        name="test",
        columns={"x": tuple(x for x, _ in rows), "y": tuple(y for _, y in rows)},
        kinds={"x": FieldKind.NAME, "y": FieldKind.NAME},
        entities=np.arange(len(rows)),
    )


@given(st.lists(st.tuples(values, values), max_size=12))
def test_candidate_pairs_are_the_pairs_that_share_a_complete_key(rows) -> None:
    def share(one: tuple, other: tuple) -> bool:
        (x, y), (v, w) = one, other
        whole = x is not None and x == v
        parts = None not in (x, y, v, w) and (x[0], y[:2]) == (v[0], w[:2])
        return whole or parts

    expected = [
        [i, j]
        for i in range(len(rows))
        for j in range(i + 1, len(rows))
        if share(rows[i], rows[j])
    ]
    found = candidate_pairs(table_of(rows), KEYS)
    assert found.shape == (len(expected), 2)
    assert found.dtype == np.int64
    assert found.tolist() == expected


def test_no_keys_give_no_pairs() -> None:
    assert candidate_pairs(table_of([("a", "b")] * 3), ()).shape == (0, 2)
