from __future__ import annotations

import json
import os

import pytest

from tests.cli.sample_files import PARAMS
from zsm_store import SchemaRegistry


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


def _damage(files, stored) -> None:
    path = files / f"{stored}.json"
    path.write_text(path.read_text().replace('": 25', '": 26', 1))


def test_fix_moves_what_is_damaged_and_a_second_run_finds_nothing(
    files, stored, zsm
) -> None:
    _damage(files, stored)
    (files / f"{'0' * 64}.json").write_text("")
    outcome = zsm("verify", "--fix")
    assert outcome.code == 0
    lines = outcome.out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith(f"{files / ('0' * 64)}.json: moved to '")
    assert f"{stored}.json': ZSM020 digest is" in lines[1]
    assert outcome.err.endswith(": no problems\n")
    assert zsm("verify").out == ""
    assert zsm("verify", "--fix").out == ""
    assert len(list(files.glob("quarantine/*/reason.txt"))) == 2
    # What was moved is whole, and saving it says what is wrong with it.
    (kept,) = files.glob(f"quarantine/*/{stored}.json")
    assert '": 26' in kept.read_text()
    assert zsm("save", kept).code == 4
    kept.write_text(kept.read_text().replace('": 26', '": 25', 1))
    assert zsm("save", kept).code == 0
    assert zsm("show", stored).code == 0


def test_fix_leaves_what_is_no_file_and_says_why(files, stored, zsm) -> None:
    (files / f"{'1' * 64}.json").mkdir()
    outcome = zsm("verify", "--fix")
    assert outcome.code == 4
    assert "left there: a directory may hold more" in outcome.out
    assert outcome.err.endswith(": 1 error\n")
    assert zsm("ls", "-q").out == f"{stored}\n"


def test_a_dry_run_says_what_fix_would_do(files, stored, zsm) -> None:
    _damage(files, stored)
    outcome = zsm("verify", "--fix", "--dry-run")
    assert outcome.code == 4
    assert f"{stored}.json: would be moved: ZSM020" in outcome.out
    assert (files / f"{stored}.json").exists()
    assert not (files / "quarantine").exists()
    document = zsm("verify", "--fix", "--dry-run", "--json").document
    assert document["dry_run"] is True
    assert document["moved"][0]["to"] is None
    assert document["errors"] == len(document["problems"]) == 1


def test_fix_as_json(files, stored, zsm) -> None:
    _damage(files, stored)
    leftover = files / ".zsm" / "tmp" / "left"
    leftover.touch()
    os.utime(leftover, (0, 0))
    document = zsm("verify", "--fix", "--json").document
    assert list(document) == [
        "registry",
        "errors",
        "warnings",
        "notes",
        "problems",
        "dry_run",
        "moved",
        "swept",
        "stale_lock",
    ]
    (moved,) = document["moved"]
    assert moved["code"] == "ZSM020"
    assert moved["path"] == str(files / f"{stored}.json")
    assert (files / moved["to"]).is_file()
    assert document["errors"] == 0
    assert document["swept"] == 1
    assert document["stale_lock"] is None


def test_fix_says_what_was_swept(files, stored, zsm) -> None:  # noqa: ARG001  # a registry
    leftover = files / ".zsm" / "tmp" / "left"
    leftover.touch()
    os.utime(leftover, (0, 0))
    assert "would remove 1 staging file" in zsm("verify", "--fix", "--dry-run").err
    assert "removed 1 staging file" in zsm("verify", "--fix").err
    assert not leftover.exists()


@pytest.mark.usefixtures("stored")
def test_fix_is_for_directories_and_dry_run_is_for_fix(zsm) -> None:
    zsm("pack", "all.zsm")
    outcome = zsm("verify", "--fix", "all.zsm")
    assert outcome.code == 2
    assert "'all.zsm' is a bundle" in outcome.err
    assert zsm("verify", "--fix", "--registry", "all.zsm").code == 2
    assert zsm("verify", "--dry-run").code == 2
    assert zsm("verify", "--fix", "nowhere").code == 3


def test_fix_waits_for_writers_as_long_as_it_is_told(files, stored, zsm) -> None:
    _damage(files, stored)
    with SchemaRegistry.open(files) as registry, registry._store.locked():
        outcome = zsm("verify", "--fix", "--lock-timeout", "0.1")
    assert outcome.code == 6
    assert "registry is locked" in outcome.err
    assert (files / f"{stored}.json").exists()
