from __future__ import annotations

from typing import Any

import pytest

from tests.interop import golden
from zsm_store.model.schema import FieldMapping, NullPolicy, schema_hash

CASES = golden.load("hashes.json")


def test_every_vector_is_used() -> None:
    assert len(CASES) == 84
    assert sum("null_policies" in case for case in CASES) == 2


@pytest.mark.parametrize("case", CASES, ids=golden.names(CASES))
def test_hash_equals_the_peers(case: dict[str, Any]) -> None:
    policies = case.get("null_policies", ["skip"] * len(case["mappings"]))
    mappings = [
        FieldMapping(a, b, NullPolicy(policy))
        for (a, b), policy in zip(case["mappings"], policies, strict=True)
    ]
    assert (
        schema_hash(golden.fields(case["fields"]), mappings) == case["schema_hash_hex"]
    )
