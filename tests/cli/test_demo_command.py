from __future__ import annotations

import json

import pytest

FAST = ("--records", "400")


def test_the_demo_keeps_its_registry_where_told(tmp_path, zsm) -> None:
    outcome = zsm("demo", "here", *FAST)
    assert outcome.code == 0
    assert "cold start" in outcome.out
    assert "answers are the same" in outcome.out
    assert outcome.err.endswith("next: 'zsm ls --registry here/registry'\n")
    assert (tmp_path / "here" / "registry.zsm").is_file()
    assert len(zsm("ls", "-q", "--registry", "here/registry").out.splitlines()) == 3
    again = zsm("demo", "here", *FAST, "--json").document
    modes = [step["mode"] for step in again["steps"] if step["step"] == "table"]
    assert modes == ["warm_load"] * 4


def test_the_demo_leaves_nothing_behind_unless_told(tmp_path, zsm, monkeypatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    outcome = zsm("demo", *FAST, "--seed", "3", "--json")
    assert outcome.code == 0
    assert list(tmp_path.iterdir()) == []
    document = outcome.document
    assert list(document) == ["directory", "seed", "records", "steps"]
    assert document["directory"] is None
    assert [step["step"] for step in document["steps"]] == ["table"] * 4 + ["bundle"]
    assert json.dumps(document)


@pytest.mark.parametrize("seed", ["1", "2"])
def test_the_demo_quietly_prints_what_it_saved(zsm, seed) -> None:
    outcome = zsm("demo", *FAST, "--seed", seed, "-q")
    assert outcome.code == 0
    assert [len(line) for line in outcome.out.splitlines()] == [64] * 3
    assert outcome.err == ""
