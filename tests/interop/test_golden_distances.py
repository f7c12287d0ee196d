from __future__ import annotations

from typing import Any

import pytest

from tests.interop import golden
from zsm_store.model.distance import fingerprint_distance

CASES = golden.load("distances.json")


def test_every_vector_is_used() -> None:
    assert len(CASES) == 225
    assert sum(case["distance_bits_min"] < case["distance_bits_max"] for case in CASES)


@pytest.mark.parametrize("case", CASES, ids=golden.names(CASES))
def test_distance_is_one_that_the_peer_computes(case: dict[str, Any]) -> None:
    a, b = golden.fingerprint(case["a"]), golden.fingerprint(case["b"])
    bits = golden.float32_bits(fingerprint_distance(a, b))
    assert case["distance_bits_min"] <= bits <= case["distance_bits_max"]


@pytest.mark.parametrize("case", CASES, ids=golden.names(CASES))
def test_distance_is_symmetric_bit_for_bit(case: dict[str, Any]) -> None:
    a, b = golden.fingerprint(case["a"]), golden.fingerprint(case["b"])
    there, back = fingerprint_distance(a, b), fingerprint_distance(b, a)
    assert golden.float32_bits(there) == golden.float32_bits(back)
