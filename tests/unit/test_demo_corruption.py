from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from zsm_store.demo.corruption import (
    Columns,
    lose,
    mistype,
    swap_day_and_month,
    swap_fields,
    typing_error,
)
from zsm_store.demo.similarity import edit_distance

texts = st.text(st.characters(codec="utf-8"), max_size=12)
seeds = st.integers(0, 2**32 - 1)


@given(texts, seeds)
def test_a_typing_error_is_exactly_one_edit_and_never_empties(
    text: str, seed: int
) -> None:
    wrong = typing_error(text, np.random.default_rng(seed))
    assert wrong
    assert edit_distance([text], [wrong]).tolist() == [1]


def test_all_four_kinds_of_typing_errors_occur() -> None:
    rng = np.random.default_rng(1)
    errors = {typing_error("ab", rng) for _ in range(200)}
    assert {"a", "b", "ba"} < errors
    assert {len(error) for error in errors} == {1, 2, 3}


def test_a_rate_of_one_hits_every_value_and_leaves_missing_ones_missing() -> None:
    columns: Columns = {"name": ["Jan", None, "Maria"], "city": ["Breda"] * 3}
    mistype(columns, {"name": 1.0, "city": 0.0}, np.random.default_rng(1))
    first, second, third = columns["name"]
    assert first != "Jan"
    assert second is None
    assert third != "Maria"
    assert columns["city"] == ["Breda"] * 3
    lose(columns, {"city": 1.0}, np.random.default_rng(1))
    assert columns["city"] == [None] * 3


def test_swapped_fields_trade_places_within_a_record() -> None:
    columns: Columns = {"given": ["Jan", "Piet"], "surname": ["Bos", None]}
    swap_fields(columns, "given", "surname", 1.0, np.random.default_rng(1))
    assert columns == {"given": ["Bos", None], "surname": ["Jan", "Piet"]}


def test_day_and_month_are_swapped_only_where_a_date_results() -> None:
    columns: Columns = {"born": ["1980-06-05", "1980-06-13", None]}
    swap_day_and_month(columns, "born", 1.0, np.random.default_rng(1))
    assert columns == {"born": ["1980-05-06", "1980-06-13", None]}
