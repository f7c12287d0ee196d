from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from zsm_store.demo.blocking import PEOPLE_BLOCKING
from zsm_store.demo.linking import fingerprint_of, link_table
from zsm_store.demo.people import people_table
from zsm_store.demo.render import as_dict, lines
from zsm_store.demo.reopening import pack_and_ask
from zsm_store.demo.scenario import run_demo
from zsm_store.demo.steps import BundleStep, DemoStep, TableStep
from zsm_store.registry.schema_registry import SchemaRegistry

if TYPE_CHECKING:
    from pathlib import Path

RECORDS = 1_500


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def steps(directory: Path) -> list[DemoStep]:
    return list(run_demo(directory, seed=1, records=RECORDS))


@pytest.fixture(scope="module")
def tables(steps: list[DemoStep]) -> list[TableStep]:
    return [step for step in steps if isinstance(step, TableStep)]


@pytest.fixture(scope="module")
def bundle(steps: list[DemoStep]) -> BundleStep:
    last = steps[-1]
    assert isinstance(last, BundleStep)
    return last


def test_the_registry_advises_cold_load_start_cold(tables: list[TableStep]) -> None:
    modes = [step.mode for step in tables]
    assert modes == ["cold_start", "warm_load", "warm_start", "cold_start"]
    first, second, third, fourth = tables
    assert first.distance is None
    assert second.distance == 0.0
    assert third.distance is not None
    # One of eight columns is new, and the statistics drift a little.
    assert 0.7 / 8 < third.distance < 0.25
    assert fourth.distance == 1.0


def test_em_is_skipped_cut_to_three_iterations_or_run_to_its_end(
    tables: list[TableStep],
) -> None:
    first, second, third, fourth = tables
    assert (second.advised.iterations, second.advised.converged) == (0, None)
    assert third.advised.iterations <= 3
    assert (second.filled, third.filled) == ((), ("phone",))
    for step in (first, fourth):
        assert step.advised.iterations == step.cold.iterations
        assert step.advised.quality == step.cold.quality
    for step in tables:
        assert step.cold.converged
        assert step.cold.iterations > 3
        assert step.advised.seconds > 0


def test_what_was_trained_links_well_and_what_was_loaded_about_as_well(
    tables: list[TableStep],
) -> None:
    for step in tables:
        quality = step.advised.quality
        assert quality.precision > 0.75
        assert quality.recall > 0.8
        assert abs(quality.f1 - step.cold.quality.f1) < 0.05
        assert quality.true_pairs == step.cold.quality.true_pairs > 100


def test_what_was_trained_is_saved_and_nothing_else(
    tables: list[TableStep], directory: Path
) -> None:
    first, second, third, fourth = (step.saved_as for step in tables)
    assert second is None
    with SchemaRegistry.open(directory / "registry") as registry:
        for schema_hash, tag, step in (
            (first, "people_q1", tables[0]),
            (third, "people_q3", tables[2]),
            (fourth, "sim_cards", tables[3]),
        ):
            assert schema_hash is not None
            artifact = registry.get(schema_hash)
            assert artifact.tag == tag
            assert artifact.em_iterations == step.advised.iterations
            assert artifact.fingerprint.record_count == 1_000
            assert tuple(f.name for f in artifact.fingerprint.fields) == step.fields
        assert len(registry.list_all()) == 3


def test_the_reopened_bundle_gives_the_same_answers(bundle: BundleStep) -> None:
    assert bundle.artifacts == 3
    assert bundle.size == bundle.bundle.stat().st_size > 0
    assert bundle.identical
    assert [question.directory.mode for question in bundle.questions] == [
        *["warm_load"] * 4,
        "warm_start",
        "cold_start",
    ]
    for question in bundle.questions:
        assert question.directory == question.bundle


def test_parameters_follow_their_fields_when_columns_move() -> None:
    table = people_table(1, seed=1, records=RECORDS)
    with SchemaRegistry.in_memory() as registry:
        one, moved = (
            link_table(registry, each, PEOPLE_BLOCKING, title="test", tag="test")
            for each in (table, table.reordered())
        )
    assert (one.mode, moved.mode) == ("cold_start", "warm_load")
    assert one.fields != moved.fields
    assert moved.advised.quality == one.advised.quality


@pytest.mark.usefixtures("steps")  # which fill the directory
def test_an_answer_that_differs_is_reported(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = people_table(1, seed=1, records=RECORDS)
    wanted = {"people": fingerprint_of(table)}
    with SchemaRegistry.open(directory / "registry") as registry:
        other = SchemaRegistry.in_memory()
        stored = registry.get("people_q1")
        other.save(replace(stored, params=replace(stored.params, log_prior_odds=-1.0)))
        monkeypatch.setattr(SchemaRegistry, "open", lambda _path: other)
        step = pack_and_ask(registry, tmp_path / "a.zsm", wanted, title="test")
    (question,) = step.questions
    assert question.directory == question.bundle
    assert not question.identical
    assert not step.identical
    assert lines(step)[-2].endswith("NO")
    assert lines(step)[-1].startswith("  0 of 1 answers")


def test_equal_seeds_give_equal_numbers_but_for_the_seconds(
    steps: list[DemoStep], tmp_path: Path
) -> None:
    def without_times(value: object) -> object:
        if isinstance(value, dict):
            return {
                key: without_times(item)
                for key, item in value.items()
                if "seconds" not in key and key not in {"bundle", "size"}
            }
        if isinstance(value, list):
            return [without_times(item) for item in value]
        return value

    again = run_demo(tmp_path, seed=1, records=RECORDS)
    for one, other in zip(steps, again, strict=True):
        assert without_times(as_dict(one)) == without_times(as_dict(other))


def test_a_second_run_in_the_same_place_loads_everything(tmp_path: Path) -> None:
    list(run_demo(tmp_path, seed=1, records=300))
    modes = [
        step.mode
        for step in run_demo(tmp_path, seed=2, records=300)
        if isinstance(step, TableStep)
    ]
    assert modes == ["warm_load"] * 4


def test_the_smallest_tables_do_not_break_it(tmp_path: Path) -> None:
    for records in (0, 1, 2, 20):
        steps = list(run_demo(tmp_path / str(records), seed=1, records=records))
        assert len(steps) == 5
        assert all(lines(step) for step in steps)


def test_lines_are_plain_and_fit_a_terminal(steps: list[DemoStep]) -> None:
    for step in steps:
        text = lines(step)
        assert all(line.isascii() and line.isprintable() for line in text)
        assert max(map(len, text)) <= 80
        assert all(line == line.rstrip() for line in text)


def test_lines_say_what_was_measured(
    tables: list[TableStep], bundle: BundleStep
) -> None:
    third = "\n".join(lines(tables[2]))
    assert third.startswith("quarter 3, one column added: warm start\n")
    assert "from priors: phone" in third
    assert f"{tables[2].advised.quality.f1:.3f}" in third
    assert "nothing to save" in "\n".join(lines(tables[1]))
    assert lines(bundle)[-1].startswith("  6 of 6 answers are the same")


def test_a_step_as_json_holds_every_number(steps: list[DemoStep]) -> None:
    for step in steps:
        assert json.loads(json.dumps(as_dict(step), allow_nan=False)) == as_dict(step)
    third = as_dict(steps[2])
    assert third["mode"] == "warm_start"
    assert third["advised"].keys() == third["cold"].keys()
    assert {"iterations", "seconds", "precision", "recall", "f1"} < third["cold"].keys()
