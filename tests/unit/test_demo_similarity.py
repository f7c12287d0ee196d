from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zsm_store.demo.similarity import edit_distance, similarity

anything = st.text(max_size=12)
alike = st.text("abA", max_size=8)
pairs = st.lists(st.tuples(anything, anything) | st.tuples(alike, alike), max_size=8)


def by_definition(a: str, b: str) -> int:
    @cache
    def distance(i: int, j: int) -> int:
        if i == 0 or j == 0:
            return i + j
        best = min(
            distance(i - 1, j) + 1,
            distance(i, j - 1) + 1,
            distance(i - 1, j - 1) + (a[i - 1] != b[j - 1]),
        )
        if i > 1 and j > 1 and a[i - 1] == b[j - 2] and a[i - 2] == b[j - 1]:
            best = min(best, distance(i - 2, j - 2) + 1)
        return best

    return distance(len(a), len(b))


@given(pairs)
def test_all_pairs_at_once_agree_with_the_definition(batch) -> None:
    left, right = [a for a, _ in batch], [b for _, b in batch]
    found = edit_distance(left, right)
    assert found.tolist() == [by_definition(a, b) for a, b in batch]
    assert found.shape == (len(batch),)


@pytest.mark.parametrize(
    ("a", "b", "edits"),
    [
        ("kitten", "sitting", 3),  # Levenshtein's textbook pair
        ("saturday", "sunday", 3),
        ("martha", "marhta", 1),  # Winkler's pairs
        ("dwayne", "duane", 2),
        ("dixon", "dicksonx", 4),
        ("ca", "abc", 3),  # 2 without the rule that nothing is edited twice
        ("", "abc", 3),
        ("abc", "", 3),
        ("", "", 0),
        ("a", "a\0", 1),
    ],
)
def test_known_distances(a: str, b: str, edits: int) -> None:
    assert edit_distance([a], [b]).tolist() == [edits]


@given(pairs)
def test_similarity_is_symmetric_from_0_to_1_and_1_for_equal_texts_only(batch) -> None:
    left, right = [a for a, _ in batch], [b for _, b in batch]
    alike = similarity(left, right)
    assert alike.dtype == np.float64
    assert alike.tolist() == similarity(right, left).tolist()
    assert ((alike >= 0) & (alike <= 1)).all()
    assert (alike == 1).tolist() == [a == b for a, b in batch]


def test_similarity_counts_edits_per_character_of_the_longer_text() -> None:
    left = ["martha", "1980-06-05", "abc", "", "Jan"]
    right = ["marhta", "1980-05-06", "xyz", "", "Jansen"]
    assert similarity(left, right).tolist() == [5 / 6, 0.8, 0.0, 1.0, 0.5]
