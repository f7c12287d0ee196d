from __future__ import annotations

from typing import Any

import pytest

from tests.interop import golden
from zsm_store.model.sampling import float_text, value_text

CASES = golden.load("float_to_string.json")


def test_every_vector_is_used() -> None:
    assert len(CASES) == 238


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["bits"]))
def test_text_of_a_float_equals_the_peers(case: dict[str, Any]) -> None:
    value = golden.float64(case["bits"])
    assert float_text(value) == case["rust"]
    assert value_text(value) == case["rust"]
