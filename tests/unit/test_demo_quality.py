from __future__ import annotations

import math

import numpy as np
import pytest

from zsm_store.demo.quality import Quality, linkage_quality
from zsm_store.demo.table import DemoTable
from zsm_store.model.params import ModelParams
from zsm_store.model.schema import FieldKind

# Odds of a match: 9 where the field agrees, 1/9 where not.
PARAMS = ModelParams(
    m=((0.1, 0.9),),
    u=((0.9, 0.1),),
    log_prior_odds=0.0,
    upper_threshold=0.89,
    lower_threshold=0.1,
)
TABLE = DemoTable(
    name="test",
    columns={"name": ("a", "a", "b", "b", "c", "c")},
    kinds={"name": FieldKind.NAME},
    entities=np.array([1, 1, 1, 2, 3, 3]),
)
# True pairs: 0-1, 0-2, 1-2 and 4-5. Blocking finds two of them, and two others.
PAIRS = np.array([[0, 1], [0, 2], [2, 3], [3, 4]])
LEVELS = np.array([[1], [0], [1], [0]], dtype=np.int8)


def test_true_pairs_that_blocking_lost_count_against_recall() -> None:
    quality = linkage_quality(TABLE, PAIRS, LEVELS, PARAMS)
    assert quality == Quality(linked=2, correct=1, true_pairs=4)
    assert (quality.precision, quality.recall) == (1 / 2, 1 / 4)
    assert quality.f1 == pytest.approx(2 * (1 / 2) * (1 / 4) / (1 / 2 + 1 / 4))


def test_the_threshold_is_a_match_probability() -> None:
    all_linked = linkage_quality(TABLE, PAIRS, LEVELS, PARAMS, threshold=0.09)
    assert all_linked == Quality(linked=4, correct=2, true_pairs=4)
    none_linked = linkage_quality(TABLE, PAIRS, LEVELS, PARAMS, threshold=0.91)
    assert none_linked == Quality(linked=0, correct=0, true_pairs=4)


@pytest.mark.parametrize(
    ("quality", "precision", "recall", "f1"),
    [
        (Quality(linked=0, correct=0, true_pairs=4), 1.0, 0.0, 0.0),
        (Quality(linked=2, correct=0, true_pairs=0), 0.0, 1.0, 0.0),
        (Quality(linked=0, correct=0, true_pairs=0), 1.0, 1.0, 1.0),
        (Quality(linked=4, correct=4, true_pairs=4), 1.0, 1.0, 1.0),
    ],
)
def test_shares_of_nothing_are_defined(
    quality: Quality, precision: float, recall: float, f1: float
) -> None:
    shares = (quality.precision, quality.recall, quality.f1)
    assert shares == (precision, recall, f1)
    assert not any(map(math.isnan, shares))
