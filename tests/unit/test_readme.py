"""The lines of Python in README.md run as they stand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zsm_store.model.params import ModelParams
from zsm_store.registry.schema_registry import SchemaRegistry

if TYPE_CHECKING:
    import pytest

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
TRAINED = ModelParams(
    m=[[0.1, 0.9]] * 3,
    u=[[0.9, 0.1]] * 3,
    log_prior_odds=-2,
    upper_threshold=0.9,
    lower_threshold=0.1,
)


def test_the_ten_lines_train_once_and_then_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "people.csv").write_text(
        "first_name,dob,postcode\nJan,1980-01-01,1234AB\n", encoding="utf-8"
    )
    found = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert found is not None
    trainings: list[ModelParams | None] = []

    def run_em(initial: ModelParams | None) -> tuple[ModelParams, int]:
        trainings.append(initial)
        return TRAINED, 25

    names: dict[str, Any] = {"run_em": run_em}
    exec(found[1], names)  # noqa: S102  # what the README shows
    assert trainings == [None]
    assert len(SchemaRegistry.open("registry")) == 1
    exec(found[1], names)  # noqa: S102  # what the README shows
    assert trainings == [None], "the second run must not train"
    assert names["params"] == TRAINED
