"""The measurement of saves, in the small: every step runs and every table is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
import pytest

from tests.benchmarks.codec_run import sample_artifact
from tests.benchmarks.save_goals import SaveResults, save_verdicts
from tests.benchmarks.save_peers import raw_save, rewrite_everything
from tests.benchmarks.save_rates import Crowd, Rate
from tests.benchmarks.save_run import Comparison, filled_registry, measure_saves
from tests.benchmarks.saves import main
from tests.benchmarks.stopwatch import Latency
from zsm_store import LockStrategy, SchemaRegistry
from zsm_store.codec import artifact_json

if TYPE_CHECKING:
    from pathlib import Path

SMALL = ["--rounds=3", "--many=5", "--writers=2", "--seconds=0.05"]
TITLES = [
    "### Goals",
    "### One save: p50 / p99, us",
    "### The peer's way, imitated: p50 / p99, us",
    "### Many saves in a row",
    "### Durable saves per second",
    "### The lock, by its kind: p50 / p99, us",
]


@pytest.mark.multiprocess
def test_a_small_run_prints_every_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "saves.json"
    at = ["--directory", str(tmp_path), "--json", str(report)]
    few = ["--sizes", "1", "1000", "--repeats=1", "--kills=1"]
    monkeypatch.setattr("sys.argv", ["saves", *SMALL, *few, *at])
    assert main() == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("###")] == TITLES
    found = orjson.loads(report.read_bytes())
    results = found["results"]
    assert [one["writers"] for one in results["rates"]] == [2, 2]
    assert [one["artifacts"] for one in results["rewritings"]] == [1_000]
    assert [one["artifacts"] for one in results["comparisons"]] == 4 * [1] + 4 * [1_000]
    assert set(results["locks"]) == set(LockStrategy)
    assert list(tmp_path.iterdir()) == [report]


def test_measured_saves_leave_the_registry_as_it_was(tmp_path: Path) -> None:
    with filled_registry(tmp_path, 3) as directory:
        before = {path.name for path in directory.iterdir()}
        assert len(list(measure_saves(directory, 3, rounds=2))) == 4
        assert {path.name for path in directory.iterdir()} == before
        assert sum(name.endswith(".json") for name in before) == 3 + 1  # the settings
        assert SchemaRegistry.open(directory).get(sample_artifact(0).schema_hash)


def test_a_raw_save_does_what_a_save_does(tmp_path: Path) -> None:
    data = artifact_json.encode(sample_artifact(0))
    raw_save(f"{tmp_path}/staging", f"{tmp_path}/{'0' * 64}.json", data)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [data]


@pytest.mark.parametrize("artifacts", [1, 1_000, 2_001])
def test_the_peer_writes_every_artifact(tmp_path: Path, artifacts) -> None:
    for _ in range(2):
        rewrite_everything(f"{tmp_path}/all", b"four", artifacts)
        assert [path.name for path in tmp_path.iterdir()] == ["all"]
        assert (tmp_path / "all").read_bytes() == b"four" * artifacts


def test_goals_that_were_not_measured_are_neither_met_nor_missed() -> None:
    assert {verdict.met for verdict in save_verdicts(SaveResults())} == {None}


def test_a_busy_disk_hides_no_slow_save() -> None:
    usual = Latency(p50_us=100.0, p99_us=100.0, calls=10)
    one = Comparison(
        artifacts=1,
        is_new=True,
        is_durable=True,
        ours=usual,
        raw=usual,
        ours_cpu_us=1.0,
        raw_cpu_us=1.0,
        quiet_ratio=1.6,
    )
    judged = save_verdicts(SaveResults(comparisons=[one]))
    (verdict,) = (found for found in judged if "over raw" in found.goal)
    assert one.ratio == 1.0
    assert verdict.met is False


def test_eight_processes_are_measured_against_one() -> None:
    rates = [
        Rate(crowd=Crowd.PROCESSES, writers=1, ours=100.0, raw=1.0),
        Rate(crowd=Crowd.PROCESSES, writers=8, ours=149.0, raw=1.0),
        Rate(crowd=Crowd.THREADS, writers=1, ours=1.0, raw=1.0),
    ]
    judged = save_verdicts(SaveResults(rates=rates))
    (verdict,) = (one for one in judged if "8 processes" in one.goal)
    assert verdict.measured == pytest.approx(1.49)
    assert verdict.met is False
