from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.interop import golden
from zsm_store.errors import FormatError
from zsm_store.model.startup import ColdStart, WarmLoad
from zsm_store.registry.problem import Severity
from zsm_store.registry.schema_registry import SchemaRegistry

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def bundles(golden_dir: Path) -> Path:
    return golden_dir / "bundles"


def test_a_bundle_of_the_peer_answers_lookups(bundles: Path) -> None:
    [case] = golden.load("bundles/one.json")
    with SchemaRegistry.open(bundles / "one.zsm") as registry:
        mode = registry.lookup_startup_mode(golden.fingerprint(case))
        assert isinstance(mode, WarmLoad)
        assert mode.artifact == golden.artifact(case)
        assert registry.list_all() == [mode.artifact]


def test_what_breaks_the_rules_is_named_and_never_served(bundles: Path) -> None:
    cases = golden.load("bundles/three.json")
    with SchemaRegistry.open(bundles / "three.zsm") as registry:
        assert registry.list_all() == []
        for case in cases:
            query = golden.fingerprint(case)
            assert registry.lookup_startup_mode(query) == ColdStart(
                wanted=query, stored=0
            )
            with pytest.raises(FormatError, match="expected a valid artifact"):
                registry.get_exact(query)
        errors = [
            problem
            for problem in registry.verify()
            if problem.severity is Severity.ERROR
        ]
    for case in cases:
        assert any(case["key"] in str(problem) for problem in errors)


def test_unpacking_takes_what_is_valid_and_names_the_rest(bundles: Path) -> None:
    with SchemaRegistry.in_memory() as registry:
        assert len(registry.unpack(bundles / "one.zsm").saved) == 1
        report = registry.unpack(bundles / "three.zsm")
        assert (len(report.saved), len(report.refused)) == (0, 3)
        assert len(registry) == 1


def test_an_empty_bundle_is_an_empty_registry(bundles: Path) -> None:
    with SchemaRegistry.open(bundles / "empty.zsm") as registry:
        assert len(registry) == 0
        assert registry.verify() == []
