from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from zsm_store.demo.comparison import LEVELS, MISSING, AgreementPatterns, compare
from zsm_store.demo.people import people_table
from zsm_store.demo.similarity import similarity
from zsm_store.demo.table import DemoTable
from zsm_store.model.schema import FieldKind


def levels_of(kind: FieldKind, a: str | None, b: str | None) -> int:
    table = DemoTable(
        name="test",
        columns={"field": (a, b)},
        kinds={"field": kind},
        entities=np.arange(2),
    )
    (row,) = compare(table, np.array([[0, 1]])).tolist()
    return row[0]


@pytest.mark.parametrize(
    ("kind", "a", "b", "level"),
    [
        (FieldKind.NAME, "Bakker", "Bakker", 3),
        (FieldKind.NAME, "Bakker", "Baker", 2),  # 5/6
        (FieldKind.NAME, "Jansen", "Janse", 2),
        (FieldKind.NAME, "Smith", "Smits", 2),  # exactly 0.8
        (FieldKind.NAME, "Smith", "Smets", 1),  # exactly 0.6
        (FieldKind.NAME, "Visser", "Mulder", 0),
        (FieldKind.NAME, "Bakker", "bakker", 2),
        (FieldKind.DATE, "1980-06-05", "1980-06-05", 3),
        (FieldKind.DATE, "1980-06-05", "1980-06-15", 2),  # one digit
        (FieldKind.DATE, "1980-06-05", "1980-05-06", 1),  # day and month swapped
        (FieldKind.DATE, "1980-06-05", "1990-05-06", 0),
        (FieldKind.ADDRESS, "12", "13", 1),
        (FieldKind.ADDRESS, None, "13", MISSING),
        (FieldKind.ADDRESS, "12", None, MISSING),
        (FieldKind.ADDRESS, None, None, MISSING),
    ],
)
def test_levels_go_from_different_to_equal(
    kind: FieldKind, a: str | None, b: str | None, level: int
) -> None:
    assert levels_of(kind, a, b) == level
    assert levels_of(kind, b, a) == level


def test_each_distinct_pair_of_values_is_compared_once_and_right() -> None:
    table = people_table(1, seed=1, records=25, phone=True)
    pairs = np.array(list(combinations(range(25), 2)))
    levels = compare(table, pairs)
    assert levels.dtype == np.int8
    assert levels.shape == (len(pairs), len(table.columns))
    for position, values in enumerate(table.columns.values()):
        for (i, j), level in zip(pairs.tolist(), levels[:, position], strict=True):
            a, b = values[i], values[j]
            if a is None or b is None:
                assert level == MISSING
            else:
                assert 0 <= level < LEVELS
                assert (level == LEVELS - 1) == (a == b)
                assert (level == 0) <= (similarity([a], [b])[0] < 0.8)


def test_no_pairs_compare_to_no_levels() -> None:
    table = people_table(1, seed=1, records=10)
    levels = compare(table, np.empty((0, 2), dtype=np.int64))
    assert levels.shape == (0, 7)
    assert len(AgreementPatterns.of(levels).counts) == 0


@given(
    npst.arrays(
        np.int8,
        st.tuples(st.integers(0, 30), st.integers(1, 5)),
        elements=st.integers(MISSING, LEVELS - 1),
    )
)
def test_patterns_are_the_distinct_rows_with_their_counts(levels) -> None:
    patterns = AgreementPatterns.of(levels)
    assert patterns.counts.sum() == len(levels)
    assert len(np.unique(patterns.levels, axis=0)) == len(patterns.levels)
    assert patterns.levels[patterns.of_pair].tolist() == levels.tolist()
    _, counts = np.unique(patterns.of_pair, return_counts=True)
    assert patterns.counts.tolist() == counts.tolist()


def test_patterns_of_too_many_fields_are_refused_not_mixed_up() -> None:
    levels = np.full((2, 27), LEVELS - 1, dtype=np.int8)
    levels[1, 26] = 0
    assert AgreementPatterns.of(levels).counts.tolist() == [1, 1]
    with pytest.raises(ValueError, match="28 fields of 4 levels"):
        AgreementPatterns.of(np.full((2, 28), LEVELS - 1, dtype=np.int8))
