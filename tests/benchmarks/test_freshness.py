"""The measurement of freshness, on a local directory: nothing is ever late there."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from tests.benchmarks.freshness import main
from tests.benchmarks.freshness_run import Change, measure_freshness
from zsm_store.storage import freshness

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.multiprocess
def test_local_directory_is_never_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["freshness", "--registries=2", "--rounds=1", str(tmp_path)]
    monkeypatch.setattr("sys.argv", [*arguments, str(tmp_path)])
    assert main() == 0
    _, _, *rows = capsys.readouterr().out.splitlines()
    cells = [[cell.strip() for cell in row.split("|")[2:9]] for row in rows]
    never_late = ["6", "0", "0 / 0", "0 / 0", "0 / 0", "0"]
    assert cells == [["off", *never_late], ["on", *never_late]]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.multiprocess
def test_reader_that_never_looks_again_is_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(freshness.Reading, "holds", lambda *_: True)
    monkeypatch.setattr("tests.benchmarks.freshness_run._WAIT_MOST_S", 0.5)
    times = measure_freshness(tmp_path, tmp_path, watch=False, registries=1, rounds=1)
    assert times.of(Change.ADD) == [math.inf]
    assert times.missed
