from __future__ import annotations

import json

import pytest

from tests.cli.sample_files import PARAMS
from zsm_store.registry.schema_registry import SchemaRegistry


def _write(path, **changes: object) -> None:
    document = {**PARAMS, **changes}
    path.write_text(json.dumps({k: v for k, v in document.items() if v is not ...}))


def test_save_prints_hash_and_digest(files, zsm) -> None:
    zsm("init")
    outcome = zsm("save", "params.json", "people.csv")
    assert outcome.code == 0
    saved, digest = outcome.out.splitlines()
    with SchemaRegistry.open(files) as registry:
        (artifact,) = registry
        assert saved == f"saved  {artifact.schema_hash}"
        assert digest == f"digest {registry.digest(artifact.schema_hash)}"
        assert artifact.params.m[0] == pytest.approx((0.02, 0.18, 0.8))
    document = zsm("save", "params.json", "people.csv", "--tag", "t", "--json").document
    assert list(document) == ["registry", "schema_hash", "digest", "tag"]
    assert document["tag"] == "t"


def test_options_and_file_say_what_it_is_and_options_win(files, zsm) -> None:
    zsm("init")
    _write(files / "p.json", tag="file", em_iterations=3, extra={"a": 1})
    zsm("save", "p.json", "people.csv")
    with SchemaRegistry.open(files) as registry:
        (artifact,) = registry
        assert (artifact.tag, artifact.em_iterations) == ("file", 3)
        assert dict(artifact.extra) == {"a": 1}
    (files / "extra.json").write_text('{"b": [2]}')
    options = ("--tag", "o", "--em-iterations", "0", "--extra", "extra.json")
    zsm("save", "p.json", "people.csv", *options, "--trained-on", "2025-01-01")
    with SchemaRegistry.open(files) as registry:
        (artifact,) = registry
        assert (artifact.tag, artifact.em_iterations) == ("o", 0)
        assert artifact.trained_on == 1735689600
        assert dict(artifact.extra) == {"b": [2]}


def test_rows_are_matched_by_name(files, zsm) -> None:
    zsm("init")
    _write(files / "p.json", fields=["city", "first_name", "birth_date"])
    assert zsm("save", "p.json", "people.csv").code == 0
    with SchemaRegistry.open(files) as registry:
        (artifact,) = registry
        assert artifact.params.m[0] == pytest.approx(PARAMS["m"][1])
        assert artifact.params.m[2] == pytest.approx(PARAMS["m"][0])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"fields": ["first_name", "birth_date", "town"]},
            "'fields' and the columns differ: no rows for 'city'; unknown 'town'",
        ),
        ({"fields": ["city", "city", "x"]}, "field 'city' stands twice in 'fields'"),
        ({"fields": "city"}, "'fields' must be a list of names"),
        ({"m": [[1.0]]}, "m has 1 rows for 3 fields"),
        ({"m": ...}, "key 'm' is missing"),
        ({"m": 3}, "m must be a list of rows, one per field"),
        ({"m": [[1, 0], [1, 0], [1, 0]]}, "row 0 has 2 levels in m and 3 in u"),
        ({"m": [["a"], [1], [1]]}, "m[0] must hold numbers, found 'a'"),
        ({"m": [[2, 0, 0], [1, 0, 0], [1, 0, 0]]}, "m[0][0] is 2.0, not in [0, 1]"),
        ({"log_prior_odds": None}, "log_prior_odds must hold numbers, found None"),
        ({"upper_threshold": 0.05}, "lower_threshold 0.1"),
        ({"thresholds": [0, 1]}, "unknown key 'thresholds', the keys are m, u, "),
        ({"tag": 3}, "tag must be text"),
        ({"em_iterations": -1}, "em_iterations must be from 0"),
        ({"extra": [1]}, "expected a JSON object"),
    ],
)
def test_bad_parameters_are_refused(files, zsm, changes, message) -> None:
    zsm("init")
    _write(files / "p.json", **changes)
    outcome = zsm("save", "p.json", "people.csv")
    assert outcome.code == 4
    assert message in outcome.err
    assert len(outcome.err.splitlines()) == 1
    assert zsm("ls", "-q").out == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"m": [[NaN]]}', "not JSON"),
        ('{"m": [[1e999]]}', "not JSON"),
        ('{"m": 1, "m": 2}', "key 'm' stands twice"),
        ("[1]", "not a JSON object"),
        ("", "the file is empty"),
        ("{" * 5000, "not JSON"),
        ("\ufeff{}", "byte order mark"),
        ("<<<<<<< ours\n", "conflict marker"),
    ],
)
def test_what_is_no_strict_json_is_refused(files, zsm, text, message) -> None:
    zsm("init")
    (files / "p.json").write_text(text)
    outcome = zsm("save", "p.json", "people.csv")
    assert outcome.code == 4
    assert "'p.json'" in outcome.err
    assert message in outcome.err


def test_a_shown_artifact_is_saved_as_it_is(files, stored, zsm) -> None:
    document = zsm("show", "people", "--json").out
    assert document == (files / f"{stored}.json").read_text()
    zsm("init", "copy")
    saved = zsm("save", "-", "--registry", "copy", stdin=document)
    assert saved.code == 0
    assert (files / "copy" / f"{stored}.json").read_text() == document


def test_a_changed_artifact_is_refused(stored, zsm) -> None:
    document = zsm("show", stored, "--json").out
    changed = document.replace('"em_iterations": 25', '"em_iterations": 26')
    outcome = zsm("save", "-", stdin=changed)
    assert outcome.code == 4
    assert "cannot read artifact 'standard input': line 3: digest is" in outcome.err


@pytest.mark.parametrize(
    "args", [["people.csv"], ["--schema", "s.json"], ["--tag", "t"], ["--extra", "{}"]]
)
def test_a_whole_artifact_takes_nothing_beside_it(stored, zsm, args) -> None:
    document = zsm("show", stored, "--json").out
    outcome = zsm("save", "-", *args, stdin=document)
    assert outcome.code == 2
    assert "saved as it is: leave out" in outcome.err


def test_preconditions(stored, zsm) -> None:
    save = ("save", "params.json", "people.csv")
    digest = zsm("show", stored, "--json").document["digest"]
    assert zsm(*save, "--if-absent").code == 5
    wrong = "sha256:" + "0" * 64
    refused = zsm(*save, "--if-match", wrong)
    assert refused.code == 5
    assert digest in refused.err
    assert zsm("show", stored, "--json").document["digest"] == digest
    assert zsm(*save, "--if-match", digest).code == 0
    assert zsm(*save, "--if-match", digest).code == 5
    both = zsm(*save, "--if-match", digest, "--if-absent")
    assert both.code == 2
    assert zsm(*save, "--if-match", "abc").code == 2


def test_rows_that_do_not_sum_to_1_are_saved_with_a_warning(files, zsm) -> None:
    zsm("init")
    _write(files / "p.json", m=[[0.5, 0.1, 0.1], [0, 0, 1], [0, 0, 1]])
    outcome = zsm("save", "p.json", "people.csv")
    assert outcome.code == 0
    assert "zsm: warning: row 0 of m sums to 0.7, not to 1" in outcome.err


@pytest.mark.usefixtures("stored")
def test_parameters_and_table_cannot_share_standard_input(zsm) -> None:
    assert zsm("save", "-", "-", stdin="{}").code == 2


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("when", ["tomorrow", "-5", "1969-01-01", "99999-01-01", "7"])
def test_a_time_that_is_none_is_wrong_usage(zsm, when) -> None:
    outcome = zsm("save", "params.json", "people.csv", f"--trained-on={when}")
    assert outcome.code == 2


@pytest.mark.usefixtures("stored")
def test_parameters_without_a_table_are_wrong_usage(zsm) -> None:
    outcome = zsm("save", "params.json")
    assert outcome.code == 2
    assert "give a TABLE" in outcome.err
