from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from tests.cli.sample_files import PARAMS
from zsm_store.registry.schema_registry import SchemaRegistry

MISSING = "f" * 64


@pytest.fixture(name="three")
def _three(files, stored, zsm) -> dict[str, str]:
    """Three artifacts by tag: 'people', 'cards' and one without."""
    two = {**PARAMS, "m": PARAMS["m"][:2], "u": PARAMS["u"][:2]}
    (files / "two.json").write_text(json.dumps(two))
    save = ("--trained-on", "2024-01-01", "-q")
    cards = zsm("save", "two.json", "cards.csv", "--tag", "cards", *save).out.strip()
    (files / "more.csv").write_text("age,lat\n" + "1,2\n" * 10)
    more = zsm("save", "two.json", "more.csv", *save).out.strip()
    return {"people": stored, "cards": cards, "": more}


@pytest.mark.parametrize("form", ["tag", "hash", "prefix", "upper"])
def test_show_takes_every_kind_of_reference(stored, zsm, form) -> None:
    refs = {
        "tag": "people",
        "hash": stored,
        "prefix": stored[:6],
        "upper": stored.upper(),
    }
    outcome = zsm("show", refs[form])
    assert outcome.code == 0
    assert outcome.err == ""
    assert f"schema hash {stored}" in outcome.out
    assert zsm("show", refs[form], "-q").out == f"{stored}\n"


def test_show_has_the_match_weights_as_bars(stored, zsm) -> None:
    lines = zsm("show", stored).out.splitlines()
    assert "tag         people" in lines
    assert "trained     2025-01-01 00:00 UTC, 25 EM iterations" in lines
    assert "prior       log odds -2: 0.119 of the pairs match" in lines
    assert "thresholds  match from 0.9, non-match below 0.1" in lines
    at = lines.index("first_name (Name), 0.0 % missing, 2 distinct: Anna, Jan")
    assert lines[at + 1].split()[:4] == ["0", "0.0200", "0.7000", "-5.13"]
    assert lines[at + 3].split()[:4] == ["2", "0.8000", "0.1000", "+3.00"]
    bars = [line.index("│") for line in lines if "│" in line]
    assert len(bars) == 9
    assert len(set(bars)) == 1
    assert lines[at + 1].endswith("│")
    assert "█" in lines[at + 3].split("│")[1]
    # A digest is shown in full: it gets pasted.
    assert max(len(line) for line in lines if "sha256" not in line) <= 80


def test_infinite_weights_fill_their_side(files, stored, zsm) -> None:
    rows = [[0, 0.5, 0.5], [0, 0.2, 0.8], [1, 0, 0]]
    (files / "p.json").write_text(json.dumps({**PARAMS, "m": rows, "u": rows[::-1]}))
    zsm("save", "p.json", "people.csv")
    shown = zsm("show", stored).out
    assert "-inf" in shown
    assert "+inf" in shown
    assert len({line.index("│") for line in shown.splitlines() if "│" in line}) == 1


@pytest.mark.parametrize(("odds", "share"), [(3e38, "1"), (-3e38, "0"), (0, "0.5")])
def test_any_prior_can_be_shown(files, stored, zsm, odds, share) -> None:
    (files / "p.json").write_text(json.dumps({**PARAMS, "log_prior_odds": odds}))
    assert zsm("save", "p.json", "people.csv").code == 0
    assert f": {share} of the pairs match" in zsm("show", stored).out


def test_rows_that_cannot_be_aligned_are_shown_by_number(files, stored, zsm) -> None:
    with SchemaRegistry.open(files) as registry:
        artifact = registry.get(stored)
        params = replace(
            artifact.params, m=artifact.params.m[:2], u=artifact.params.u[:2]
        )
        registry.save(replace(artifact, params=params))
    lines = zsm("show", stored).out.splitlines()
    assert "2 rows of m for 3 fields: whose is not known" in lines
    assert "row 1" in lines
    outcome = zsm("lookup", "people.csv", "--json")
    assert outcome.code == 0
    assert outcome.document["params"] is None
    assert "cannot align" in outcome.err


def test_show_json_is_the_file(files, stored, zsm) -> None:
    assert zsm("show", "people", "--json").out == (files / f"{stored}.json").read_text()


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    "ref",
    [MISSING, "abcdef", "abc", "nobody", "../../etc/passwd", "/etc/passwd", "", "*"],
)
@pytest.mark.parametrize("verb", ["show", "rm"])
def test_a_reference_without_artifact_is_not_found(files, zsm, verb, ref) -> None:
    before = sorted(files.rglob("*"))
    outcome = zsm(verb, ref)
    assert outcome.code == 3
    assert outcome.out == ""
    assert len(outcome.err.splitlines()) == 1
    assert repr(ref) in outcome.err
    assert sorted(files.rglob("*")) == before


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("verb", ["show", "rm"])
def test_a_reference_that_looks_like_an_option(zsm, verb) -> None:
    assert zsm(verb, "-x").code == 2
    assert zsm(verb, "--", "-x").code == 3


def test_an_ambiguous_reference_names_the_candidates(files, stored, zsm) -> None:
    (files / "p.json").write_text(zsm("show", stored, "--json").out)
    with SchemaRegistry.open(files) as registry:
        (artifact,) = registry
        twin = stored[:8] + ("0" if stored[8] != "0" else "1") + stored[9:]
        fingerprint = replace(artifact.fingerprint, schema_hash=twin)
        registry.save(replace(artifact, fingerprint=fingerprint))
    for ref in (stored[:8], "people"):
        outcome = zsm("show", ref)
        assert outcome.code == 3
        assert stored in outcome.err
        assert twin in outcome.err
    removed = zsm("rm", stored, stored[:8])
    assert removed.code == 3
    assert len(zsm("ls", "-q").out.splitlines()) == 2


def test_ls_sorts_and_filters(three, zsm) -> None:
    def tags(*args: str) -> list[str]:
        by_hash = {schema_hash: tag for tag, schema_hash in three.items()}
        return [by_hash[line] for line in zsm("ls", "-q", *args).out.splitlines()]

    assert zsm("ls", "-q").out.splitlines() == sorted(three.values())
    assert tags("--sort", "tag") == ["cards", "people", ""]
    assert tags("--sort", "records") == ["cards", "people", ""]
    assert tags("--sort", "records", "--reverse") == ["", "people", "cards"]
    assert tags("--sort", "trained")[-1] == "people"
    assert tags("--sort", "fields")[-1] == "people"
    assert tags("--tag", "p*") == ["people"]
    assert tags("--tag", "*", "--sort", "tag") == ["cards", "people"]
    assert tags("--min-records", "3", "--max-records", "9") == ["people"]


def test_ls_is_a_table_and_json(three, zsm) -> None:
    lines = zsm("ls", "--sort", "tag").out.splitlines()
    assert lines[0].split() == ["hash", "tag", "fields", "records", "trained", "(UTC)"]
    assert lines[1].split()[:4] == [three["cards"][:12], "cards", "2", "1"]
    assert lines[3].split()[1] == "-"
    document = zsm("ls", "--json", "--tag", "cards").document
    assert list(document) == ["registry", "artifacts"]
    assert document["artifacts"] == [
        {
            "schema_hash": three["cards"],
            "tag": "cards",
            "fields": 2,
            "record_count": 1,
            "trained_on": 1704067200,
            "em_iterations": 0,
        }
    ]


def test_ls_of_nothing_hints_on_standard_error(zsm) -> None:
    zsm("init")
    outcome = zsm("ls")
    assert (outcome.code, outcome.out) == (0, "")
    assert "that can be used: see 'zsm save'" in outcome.err
    assert zsm("ls", "-q").err == ""
    assert zsm("ls", "--json").document["artifacts"] == []


@pytest.mark.usefixtures("stored")
def test_ls_that_filters_everything_away_says_so(zsm) -> None:
    outcome = zsm("ls", "--tag", "x*")
    assert (outcome.code, outcome.out) == (0, "")
    assert "none like that among 1 artifact" in outcome.err


def test_a_damaged_artifact_is_warned_about_once_and_the_others_listed(
    files, three, zsm
) -> None:
    bad = files / f"{three['cards']}.json"
    bad.write_text(bad.read_text().replace('"tag": "cards"', '"tag": "other"'))
    outcome = zsm("ls", "-q")
    assert outcome.code == 0
    assert three["cards"] not in outcome.out
    assert len(outcome.out.splitlines()) == 2
    warnings = [line for line in outcome.err.splitlines() if "warning" in line]
    assert len(warnings) == 1
    assert three["cards"] in warnings[0]
    shown = zsm("show", three["cards"])
    assert shown.code == 4
    assert "digest is" in shown.last_error
    looked_up = zsm("lookup", "people.csv", "--exit-code")
    assert looked_up.code == 0
    assert looked_up.err.count("warning") == 1
    assert zsm("rm", three["cards"]).code == 0
    assert not bad.exists()


def test_rm_deletes_all_or_none(three, zsm) -> None:
    refs = [three["cards"][:8], "people"]
    refused = zsm("rm", *refs, "nobody")
    assert refused.code == 3
    assert len(zsm("ls", "-q").out.splitlines()) == 3
    refused = zsm("rm", *refs, MISSING)
    assert refused.code == 3
    assert len(zsm("ls", "-q").out.splitlines()) == 3
    outcome = zsm("rm", *refs, "people")
    assert outcome.code == 0
    assert outcome.out.splitlines() == [
        f"deleted {three['cards']}",
        f"deleted {three['people']}",
    ]
    assert zsm("ls", "-q").out.split() == [three[""]]


def test_rm_force_takes_what_is_not_there_for_done(stored, zsm) -> None:
    outcome = zsm("rm", "nobody", MISSING, "people", "--force", "--json")
    assert outcome.code == 0
    assert outcome.document == {"deleted": [stored], "missing": ["nobody", MISSING]}
    assert zsm("rm", "people", "--force", "-q").out == ""


def test_rm_with_a_precondition(stored, zsm) -> None:
    digest = re.search(r"sha256:\w+", zsm("show", stored).out)[0]
    assert zsm("rm", "people", "--if-match", "sha256:" + "0" * 64).code == 5
    assert zsm("rm", "people", "people", "--if-match", digest).code == 2
    assert zsm("rm", "people", "--if-match", digest, "-q").out == f"{stored}\n"
