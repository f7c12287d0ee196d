from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given

from tests.cli.sample_files import PARAMS
from tests.cli.test_documentation import ROOT
from tests.examples import fingerprint, trained
from tests.strategies import artifacts
from zsm_store.cli.diff_tables import difference_tables
from zsm_store.cli.diff_view import diff_json, diff_lines
from zsm_store.cli.markdown import markdown_table
from zsm_store.cli.named_artifact import NamedArtifact
from zsm_store.cli.printable import printable
from zsm_store.codec.artifact_json import digest, encode
from zsm_store.model.comparison import compare
from zsm_store.model.fingerprint import FieldStats, SchemaFingerprint
from zsm_store.model.schema import FieldKind, FieldMapping, NullPolicy

if TYPE_CHECKING:
    from pathlib import Path

NASTY = "a|b`c` @all <img> \x1b[31m"


@pytest.fixture(name="two")
def _two(files, zsm, stored) -> tuple[str, str]:  # noqa: ARG001  # save first
    """Tags of an artifact and of one with a field more, trained anew."""
    params = {
        "fields": ["street", "city", "first_name", "birth_date"],
        "m": [[0.5, 0.5], [0.1, 0.1, 0.8], [0.0, 0.2, 0.8], [0.05, 0.15001, 0.79999]],
        "u": [[0.9, 0.1], [0.6, 0.2, 0.2], [0.7, 0.2, 0.1], [0.8, 0.1, 0.1]],
        "log_prior_odds": -1.5,
        "upper_threshold": 0.9,
        "lower_threshold": 0.1,
        "extra": {"seed": 1},
    }
    (files / "later.json").write_text(json.dumps(params))
    saved = zsm(
        *("save", "later.json", "street.csv", "--tag", "later"),
        *("--em-iterations", "1031", "--trained-on", "2026-03-31"),
    )
    assert saved.code == 0
    return "people", "later"


def cells(line: str) -> list[str]:
    return re.split(r"  +", line.strip())


def test_diff_shows_what_differs_the_largest_change_first(two, zsm) -> None:
    outcome = zsm("diff", *two)
    assert (outcome.code, outcome.err) == (0, "")
    parts = [part.splitlines() for part in outcome.out.split("\n\n")]
    sides, facts, fields, levels = (
        [cells(line) for line in part] for part in parts if part[0] != "statistics"
    )
    assert [side[:2] for side in sides[1:]] == [
        ["before", "people"],
        ["after", "later"],
    ]
    assert facts[1:] == [
        ["tag", '"people"', '"later"'],
        ["trained", "2025-01-01 00:00:00 UTC", "2026-03-31 00:00:00 UTC"],
        ["EM iterations", "25", "1,031", "+1,006"],
        [
            "prior log odds",
            "-2 (0.119203 of the pairs match)",
            "-1.5 (0.182426 of the pairs match)",
            "+0.5",
        ],
        ["extra seed", "-", "1"],
    ]
    assert fields == [
        ["fields"],
        ["field", "is", "kind", "levels"],
        ["street", "added", "Address", "2"],
    ]
    assert levels[1] == ["field", "level", "m", "u", "weight", "change"]
    assert levels[2:] == [
        ["street", "0", "- -> 0.5", "- -> 0.9", "- -> -0.85", "-"],
        ["street", "1", "- -> 0.5", "- -> 0.1", "- -> +2.32", "-"],
        ["first_name", "0", "0.02 -> 0", "0.7", "-5.13 -> -inf", "-inf"],
        ["first_name", "1", "0.18 -> 0.2", "0.2", "-0.15 -> +0.00", "+0.15"],
        ["birth_date", "1", "0.15 -> 0.15001", "0.1", "+0.58 -> +0.59", "+0.00"],
        ["birth_date", "2", "0.8 -> 0.79999", "0.1", "+3.00", "-0.00"],
    ]


def test_nothing_to_show_is_said(stored, zsm) -> None:
    outcome = zsm("diff", "people", stored[:6])
    assert outcome.code == 0
    assert outcome.out.splitlines()[-1] == "no difference"
    assert zsm("diff", "people", "people", "--md").out.endswith("\n\nNo difference.\n")
    assert zsm("diff", "people", "people", "-q").out == ""
    document = zsm("diff", "people", "people", "--json").document
    assert (document["differs"], document["facts"], document["fields"]) == (
        False,
        [],
        [],
    )


@pytest.mark.parametrize("form", [[], ["--json"], ["--md"], ["-q"]])
def test_exit_code_tells_on_request(two, zsm, form) -> None:
    assert zsm("diff", *two, *form).code == 0
    assert zsm("diff", *two, "--exit-code", *form).code == 1
    assert zsm("diff", "later", "later", "--exit-code", *form).code == 0
    assert zsm("diff", "later", "nobody", "--exit-code", *form).code == 3


def test_diff_as_json(two, zsm) -> None:
    document = zsm("diff", *two, "--json").document
    assert document["before"]["name"] == "people"
    assert document["after"]["digest"].startswith("sha256:")
    assert document["differs"] is True
    facts = {it["name"]: (it["before"], it["after"]) for it in document["facts"]}
    assert facts["log_prior_odds"] == (-2.0, -1.5)
    assert facts["extra"] == (None, {"seed": 1})
    street, first_name, *_ = document["fields"]
    assert (street["name"], street["change"]) == ("street", "added")
    assert street["before"] is None
    assert street["after"]["kind"] == "Address"
    assert street["levels"][1] == {
        "level": 1,
        "before": None,
        "after": {"m": 0.5, "u": 0.1, "weight": pytest.approx(2.3219, abs=1e-4)},
        "weight_change": 0.0,
    }
    assert first_name["change"] == "changed"
    assert first_name["largest_weight_change"] is None
    assert first_name["levels"][0]["after"] == {"m": 0.0, "u": 0.7, "weight": None}
    assert first_name["levels"][0]["weight_change"] is None


def _keys(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value).union(*map(_keys, value.values()))
    return set().union(*map(_keys, value)) if isinstance(value, list) else set()


def test_every_key_of_the_document_is_described(two, zsm) -> None:
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (?:— )?`diff`.* \| (.*) \|$", text, re.MULTILINE)
    document = zsm("diff", *two, "--json").document
    described = set(re.findall(r"`(\w+)`", " ".join(rows)))
    assert _keys(document) - {"seed"} <= described


def test_quiet_prints_the_names_of_the_fields(two, zsm) -> None:
    printed = zsm("diff", *two, "-q").out.splitlines()
    assert printed[:2] == ["street", "first_name"]
    assert set(printed) <= {"street", "first_name", "birth_date", "city"}


def test_markdown_is_a_table_per_part(two, zsm) -> None:
    lines = zsm("diff", *two, "--md").out.splitlines()
    assert "| EM iterations | 25 | 1,031 | +1,006 |" in lines
    assert "| field | level | m | u | weight | change |" in lines
    assert "|---|--:|---|---|---|--:|" in lines
    assert "| first_name | 0 | 0.02 -> 0 | 0.7 | -5.13 -> -inf | -inf |" in lines
    for before, line in zip(["", *lines], lines, strict=False):
        # A table ends at an empty line, and begins behind one.
        assert line.startswith(("|", "**")) or not line
        assert not line.startswith("**") or not before


def test_stored_text_is_no_markup(files, zsm) -> None:
    for number, tag in enumerate((NASTY, "_x_", "https://example.org", "- x")):
        (files / f"{number}.json").write_bytes(
            encode(trained(tag=tag, extra={NASTY: NASTY}))
        )
    outcome = zsm("diff", "0.json", "1.json", "--md")
    [row] = [it for it in outcome.out.splitlines() if it.startswith("| tag ")]
    assert row == (
        '| tag | `` "a\\|b`c` @all <img> \\u001b[31m" `` | `"_x_"` |  |'
    )  # fmt: skip
    assert "\x1b" not in outcome.out
    assert "\x1b" not in zsm("diff", "0.json", "1.json").out
    row = zsm("diff", "2.json", "3.json", "--md").out
    assert '| tag | `"https://example.org"` | `"- x"` |  |' in row


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("a|b`c` @all <img> ", "`` a\\|b`c` @all <img>  ``"),
        ("_x_", "`_x_`"),
        ("snake_case", "snake_case"),
        ("https://example.org", "`https://example.org`"),
        ("www.example.org", "`www.example.org`"),
        ("- x", "- x"),
        ("**bold**", "`**bold**`"),
        ("é", "`é`"),
    ],
)
def test_names_of_fields_are_no_markup(files, zsm, name, cell) -> None:
    for number in range(2):
        stats = FieldStats(name=name, kind=FieldKind.ID, cardinality=number)
        made = SchemaFingerprint(
            schema_hash="ab" * 32, field_stats=(stats,), record_count=1, created_at=0
        )
        (files / f"{number}.json").write_bytes(encode(trained(made)))
    lines = zsm("diff", "0.json", "1.json", "--md").out.splitlines()
    assert f"| {cell} |  | 0 -> 1 |  |" in lines


def test_files_are_compared_without_a_registry(files, zsm, monkeypatch) -> None:
    (files / "a.json").write_bytes(encode(trained(em_iterations=1)))
    (files / "plain").write_bytes(encode(trained(em_iterations=2)))
    outcome = zsm("diff", "a.json", "./plain")
    assert outcome.code == 0
    assert "EM iterations" in outcome.out
    # A word alone is a REF, whatever lies there.
    assert zsm("diff", "a.json", "plain").code == 2
    monkeypatch.setenv("ZSM_REGISTRY", str(files / "empty"))
    assert zsm("diff", "a.json", "plain").code == 3
    assert zsm("diff", "a.json", "b.json").code == 3
    (files / "b.json").write_text("<<<<<<< ours")
    outcome = zsm("diff", "a.json", "b.json")
    assert outcome.code == 4
    assert "'b.json'" in outcome.err


def test_a_file_beside_a_tag_of_the_same_name_is_not_taken(stored, zsm, files) -> None:
    (files / "people").write_bytes(encode(trained()))
    assert zsm("diff", "people", stored, "--exit-code").code == 0
    assert zsm("diff", "./people", stored, "--exit-code").code == 1


def test_a_bundle_is_a_registry_to_compare_in(two, zsm) -> None:
    there = zsm("diff", *two).out
    zsm("pack", "all.zsm")
    assert zsm("diff", *two, "--registry", "all.zsm").out == there


def saved_pair(files: Path, before: Any, after: Any) -> tuple[str, str]:
    (files / "a.json").write_bytes(encode(before))
    (files / "b.json").write_bytes(encode(after))
    return "a.json", "b.json"


def test_what_differs_behind_six_digits_is_shown(files, zsm) -> None:
    for number, m in enumerate((0.1, 0.10000001)):
        rows = {"m": [[m, 0.9]], "u": [[0.5, 0.5]], "fields": ["msisdn"]}
        params = {**PARAMS, **rows, "log_prior_odds": -2 - number * 1e-6}
        rows["m"].append([0.5, 0.5])
        rows["u"].append([0.5, 0.5])
        rows["fields"].append("imsi")
        (files / f"{number}.json").write_text(json.dumps(params))
        zsm("init", f"r{number}")
        saved = zsm("save", f"{number}.json", "cards.csv", "--registry", f"r{number}")
        assert saved.code == 0, saved.err
    [a], [b] = (sorted((files / f"r{n}").glob("?" * 64 + ".json")) for n in (0, 1))
    out = zsm("diff", a, b).out
    assert "0.100000001 -> 0.100000009" in out
    assert "-2.00000095" in out


def test_other_shape_of_a_field_is_shown(files, zsm) -> None:
    before = trained()
    stats = before.fingerprint.field_stats
    rows = (*before.params.m[:4], (0.1, 0.9))
    changed = replace(stats[0], kind=FieldKind.ALIAS, null_rate=0.1)
    after = replace(
        before,
        fingerprint=replace(before.fingerprint, field_stats=(changed, *stats[1:])),
        params=replace(before.params, m=rows, u=rows),
    )
    slightly = replace(changed, null_rate=0.10000001)
    nearly = replace(
        after,
        fingerprint=replace(after.fingerprint, field_stats=(slightly, *stats[1:])),
    )
    lines = zsm("diff", *saved_pair(files, before, after)).out.splitlines()
    rows_shown = [cells(line) for line in lines]
    assert ["voornamen", "changed", "Name -> Alias", "3"] in rows_shown
    assert ["bsn", "changed", "Id", "3 -> 2"] in rows_shown
    assert ["bsn", "2", "0.7 -> -", "0.1 -> -", "+2.81 -> -", "-"] in rows_shown
    out = zsm("diff", *saved_pair(files, after, nearly)).out
    assert "10.0000001 % -> 10.0000009 %" in out


def test_mappings_context_and_extra_are_shown(files, zsm) -> None:
    mappings = [FieldMapping("a", "b", policy) for policy in NullPolicy]
    before, after = (
        trained(fingerprint(mappings=[mapping], context=context), extra=extra)
        for mapping, context, extra in zip(
            mappings, ({"k": 1}, {"k": [2], "l": None}), (None, {}), strict=True
        )
    )
    out = zsm("diff", *saved_pair(files, before, after)).out
    rows = [cells(line) for line in out.splitlines()]
    assert ["mappings", '"a" = "b"', '"a" = "b" (penalise_absence)'] in rows
    assert ["context k", "1", "[2]"] in rows
    assert ["context l", "-", "null"] in rows
    assert ["extra", "-", "{}"] in rows
    document = zsm("diff", "a.json", "b.json", "--json").document
    facts = {it["name"]: it["after"] for it in document["facts"]}
    assert facts["mappings"] == [["a", "b", "penalise_absence"]]
    assert facts["extra"] == {}


def test_order_of_fields_is_a_difference(files, zsm) -> None:
    before = trained(fingerprint())
    turned = SchemaFingerprint(
        schema_hash=before.schema_hash,
        field_stats=before.fingerprint.field_stats[::-1],
        record_count=0,
        created_at=before.fingerprint.created_at,
    )
    out = zsm("diff", *saved_pair(files, before, trained(turned))).out
    assert "order of fields" in out
    assert '"bsn", "woonplaats"' in out


@pytest.mark.parametrize("extra", ["--json", "-q"])
def test_one_form_at_a_time(two, zsm, extra) -> None:
    outcome = zsm("diff", *two, "--md", extra)
    assert outcome.code == 2
    assert "exclude each other" in outcome.err


def test_largest_change_is_colored_on_a_terminal(two, zsm, monkeypatch) -> None:
    from zsm_store.cli import terminal  # noqa: PLC0415  # to be told what it is

    monkeypatch.setattr(terminal, "_is_colored", lambda _: True)
    out = zsm("diff", *two).out
    assert "\x1b[32m+0.15\x1b[0m" in out
    assert "\x1b[31m-inf\x1b[0m" in out
    assert re.search(r"-> -0\.85 +-\n", out), "no change is no loss"
    plain = re.sub(r"\x1b\[\d+m", "", out)
    monkeypatch.undo()
    assert re.search(r"first_name +0 +0\.02 -> 0 ", plain)


def test_what_is_neither_a_file_nor_an_artifact(two, zsm, files) -> None:
    for ref, code in (
        ("nobody", 3),
        ("nobody:nobody", 3),
        ("", 3),
        ("no/such.json", 3),
        (files / "people.csv", 4),
        (files, 3),
    ):
        outcome = zsm("diff", two[0], ref)
        assert outcome.code == code, ref
        assert len(outcome.err.splitlines()) == 1


@given(artifacts(), artifacts())
def test_any_two_artifacts_can_be_shown(one, other) -> None:
    sides = [NamedArtifact("a", one, digest(one)), NamedArtifact("b", other, "sha256:")]
    comparison = compare(one, other)
    tables = list(difference_tables(comparison))
    # Other hashes stand in the heading.
    is_told = bool(tables) or one.schema_hash != other.schema_hash
    assert is_told == comparison.differs
    lines = list(diff_lines(*sides, comparison))
    assert len(lines) >= sum(len(table.rows) for table in tables)
    assert json.dumps(diff_json(*sides, comparison), allow_nan=False)
    for table in tables:
        cells_of_a_row = len(table.columns)
        for row in markdown_table(table.columns, table.rows):
            assert len(re.findall(r"(?<!\\)\|", row)) == cells_of_a_row + 1
            assert row == printable(row)
