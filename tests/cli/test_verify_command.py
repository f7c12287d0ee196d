from __future__ import annotations

import json

import pytest

from tests.cli.sample_files import PARAMS


@pytest.mark.usefixtures("stored")
def test_a_sound_registry_has_no_problems(zsm) -> None:
    outcome = zsm("verify")
    assert (outcome.code, outcome.out) == (0, "")
    assert outcome.err.endswith(": no problems\n")
    document = zsm("verify", "--json").document
    assert document["problems"] == []
    assert document["errors"] == document["warnings"] == document["notes"] == 0
    assert zsm("verify", "-q").err == ""


def test_each_problem_is_a_line_with_path_line_column_and_code(
    files, stored, zsm
) -> None:
    path = files / f"{stored}.json"
    path.write_text(
        path.read_text().replace('"em_iterations": 25', '"em_iterations": 26')
    )
    (files / f"{'0' * 64}.json").write_text('{"a": 1\n')
    (files / f"{'A' * 64}.json").write_text("{}")
    outcome = zsm("verify")
    assert outcome.code == 4
    lines = outcome.out.splitlines()
    assert len(lines) == 3
    assert f"{path}:3:1: ZSM020 digest is" in outcome.out
    assert f"{'0' * 64}.json:2:1: ZSM012 not JSON" in outcome.out
    assert f"{'A' * 64}.json:1:1: ZSM001 " in outcome.out
    assert outcome.err.endswith(": 3 errors\n")
    document = zsm("verify", "--json").document
    assert document["errors"] == 3
    assert list(document["problems"][0]) == [
        "path",
        "line",
        "column",
        "code",
        "severity",
        "message",
    ]


def test_warnings_and_notes_do_not_fail(files, stored, zsm) -> None:
    rows = [[0.5, 0.1, 0.1], [0, 0, 1], [0, 0, 1]]
    (files / "p.json").write_text(json.dumps({**PARAMS, "m": rows}))
    assert zsm("save", "p.json", "people.csv").code == 0
    outcome = zsm("verify")
    assert outcome.code == 0
    assert f"{stored}.json" in outcome.out
    assert "ZSM030 warning: row 0 of m sums to 0.7" in outcome.out
    assert outcome.err.endswith(": 1 warning\n")


@pytest.mark.usefixtures("stored")
def test_a_bundle_is_verified_by_path_or_as_the_registry(zsm) -> None:
    zsm("pack", "all.zsm")
    assert zsm("verify", "all.zsm").code == 0
    assert zsm("verify", "--registry", "all.zsm").code == 0


def test_the_peers_bundle_is_verified(zsm, golden_dir) -> None:
    outcome = zsm("verify", golden_dir / "bundles" / "three.zsm")
    assert outcome.code == 4
    assert "ZSM016" in outcome.out


def test_damaged_settings_are_a_problem_like_others(files, stored, zsm) -> None:
    (files / "registry.json").write_text("{")
    outcome = zsm("verify")
    assert outcome.code == 4
    assert "registry.json:1:1: ZSM050" in outcome.out
    assert zsm("ls", "-q").out == f"{stored}\n"


@pytest.mark.usefixtures("stored")
def test_settings_of_a_newer_version_are_an_error(files, zsm) -> None:
    (files / "registry.json").write_text('{"format": "zsm-registry/2"}')
    for args in (["ls"], ["verify"], ["lookup", "people.csv"]):
        outcome = zsm(*args)
        assert outcome.code == 4
        assert "newer" in outcome.err


def test_a_path_that_is_not_there_is_not_found(zsm) -> None:
    outcome = zsm("verify", "nowhere")
    assert outcome.code == 3
    assert "'nowhere'" in outcome.err
