from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cli.sample_files import PARAMS
from tests.cli.test_documentation import ROOT
from zsm_store.registry.schema_registry import SchemaRegistry

if TYPE_CHECKING:
    from tests.cli.conftest import Run


@pytest.fixture(name="digests")
def _digests(files, zsm) -> list[str]:
    """Digests of three versions of 'people', the served one first."""
    zsm("init", "--keep", "10")
    saved = []
    for iterations in (1_001, 2, 3):
        outcome = zsm(
            *("save", "params.json", "people.csv", "--tag", "people", "--json"),
            *("--em-iterations", str(iterations), "--trained-on", "2026-03-31"),
        )
        saved.insert(0, outcome.document["digest"])
    assert (files / "history").is_dir()
    return saved


def key_of(zsm: Run) -> str:
    return zsm("fingerprint", "people.csv", "-q").out.strip()


def test_log_has_a_line_per_version_the_served_one_first(digests, zsm) -> None:
    outcome = zsm("log", "people")
    assert outcome.code == 0
    assert outcome.err == ""
    heading, blank, titles, *rows = outcome.out.splitlines()
    assert heading == f"schema hash {key_of(zsm)}"
    assert blank == ""
    assert re.split(r"  +", titles) == [
        *("digest", "replaced (UTC)", "records", "EM", "tag", "trained (UTC)")
    ]
    cells = [re.split(r"  +", row) for row in rows]
    assert [row[0] for row in cells] == [digest[7:19] for digest in digests]
    assert cells[0][1] == "served"
    assert all(
        re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", row[1]) for row in cells[1:]
    )
    assert [row[2:] for row in cells] == [
        ["3", iterations, "people", "2026-03-31 00:00"]
        for iterations in ("3", "2", "1,001")
    ]
    assert max(map(len, outcome.out.splitlines())) <= 80


@pytest.mark.parametrize("form", ["tag", "hash", "prefix", "upper"])
def test_log_takes_every_kind_of_reference(digests, zsm, form) -> None:
    key = key_of(zsm)
    refs = {"tag": "people", "hash": key, "prefix": key[:6], "upper": key.upper()}
    assert zsm("log", refs[form], "-q").out.splitlines() == digests


def test_log_as_json(files, digests, zsm) -> None:
    document = zsm("log", "people", "--json").document
    assert list(document) == ["registry", "schema_hash", "versions"]
    assert document["registry"] == str(files)
    assert document["schema_hash"] == key_of(zsm)
    rows = document["versions"]
    assert [row["digest"] for row in rows] == digests
    assert [row["em_iterations"] for row in rows] == [3, 2, 1_001]
    assert rows[0]["replaced_at"] is None
    assert isinstance(rows[1]["replaced_at"], int)
    assert rows[1]["replaced_at"] >= rows[2]["replaced_at"] > 1_700_000_000
    facts = {"tag": "people", "record_count": 3, "trained_on": 1_774_915_200}
    for row in rows:
        assert row | facts == row
        assert row["problem"] is None


def test_every_key_of_the_document_is_described(digests, zsm) -> None:
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    [log] = re.findall(r"^\| `log` \| (.*) \|$", text, re.MULTILINE)
    [restore] = re.findall(r"^\| `restore` \| (.*) \|$", text, re.MULTILINE)
    document = zsm("log", "people", "--json").document
    keys = {*document, *document["versions"][0]}
    assert set(re.findall(r"`(\w+)`", log)) - {"null"} == keys
    restored = zsm("restore", "people", digests[1], "--json").document
    assert set(re.findall(r"`(\w+)`", restore)) - {"null"} == {*restored}


def test_damaged_versions_are_named(files, digests, zsm) -> None:
    newest = max((files / "history" / key_of(zsm)).iterdir())
    newest.write_bytes(newest.read_bytes().replace(b'"people"', b'"peoples"'))
    outcome = zsm("log", key_of(zsm))
    assert outcome.code == 0
    row = outcome.out.splitlines()[4]
    assert row.split()[0] == "damaged"
    assert row.split()[3:] == ["-", "-", "-", "-"]
    assert outcome.err.count("zsm: warning: ") == 1
    assert str(newest) in outcome.err
    assert zsm("log", "people", "-q").out.splitlines() == [digests[0], digests[2]]
    row = zsm("log", "people", "--json").document["versions"][1]
    assert row["digest"] is row["tag"] is row["trained_on"] is None
    assert str(newest) in row["problem"]


def test_damaged_served_version_is_named(files, digests, zsm) -> None:
    (files / f"{key_of(zsm)}.json").write_text("")
    outcome = zsm("log", key_of(zsm))
    assert outcome.out.splitlines()[3].split()[:2] == ["damaged", "served"]
    assert "empty" in outcome.err
    assert zsm("log", key_of(zsm), "-q").out.splitlines() == digests[1:]


def test_deleted_artifact_is_named_by_its_hash(digests, zsm) -> None:
    key = key_of(zsm)
    zsm("rm", "people")
    outcome = zsm("log", key[:6])
    assert outcome.code == 0
    assert "served" not in outcome.out
    assert "zsm restore" in outcome.err
    assert zsm("log", key, "-q").out.splitlines() == digests
    assert zsm("log", key, "-q").err == ""
    assert zsm("log", "people").code == 3


def test_without_history_a_hint_says_how_to_have_one(stored, zsm) -> None:
    outcome = zsm("log", "people")
    assert outcome.code == 0
    assert len(outcome.out.splitlines()) == 4
    assert "zsm init --keep 10" in outcome.err
    assert len(outcome.err.splitlines()) == 1
    assert zsm("log", stored, "--json").err == ""
    zsm("pack", "all.zsm")
    bundled = zsm("log", "people", "--registry", "all.zsm")
    assert bundled.out == outcome.out
    assert bundled.err == ""


@pytest.mark.usefixtures("digests")
@pytest.mark.parametrize("ref", ["nobody", "f" * 64, "abcdef", "", "../../etc/passwd"])
def test_what_never_was_has_no_log(zsm, ref) -> None:
    outcome = zsm("log", ref)
    assert outcome.code == 3
    assert outcome.out == ""
    assert len(outcome.err.splitlines()) == 1


def test_history_that_cannot_be_read_is_exit_code_6(files, stored, zsm) -> None:
    (files / "history").symlink_to("elsewhere")
    outcome = zsm("log", stored)
    assert outcome.code == 6
    assert "history" in outcome.err


def test_control_characters_of_old_versions_do_not_reach_the_terminal(
    files, stored, zsm
) -> None:
    zsm("init", "--keep", "1")
    (files / "p.json").write_text(json.dumps({**PARAMS, "tag": "a\x1b[31mb"}))
    zsm("save", "p.json", "people.csv")
    zsm("save", "params.json", "people.csv")
    outcome = zsm("log", stored)
    assert "\x1b" not in outcome.out
    assert r"a\x1b[31mb" in outcome.out


def test_digests_are_shown_as_far_as_they_differ(files, digests, zsm) -> None:
    assert len({digest[:19] for digest in digests}) == 3
    with SchemaRegistry.open(Path(files)) as registry:
        assert [version.digest for version in registry.history("people")] == digests
    assert zsm("log", "people").out.count(digests[1][7:19]) == 1


def test_the_page_about_history_does_what_it_says(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "history.md").read_text(encoding="utf-8")
    examples = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert examples
    for example in examples:
        exec(example, {})  # noqa: S102  # what the page shows
