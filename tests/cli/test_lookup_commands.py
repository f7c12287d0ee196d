from __future__ import annotations

import json

import pytest

from zsm_store.registry.schema_registry import SchemaRegistry
from zsm_store.tables.fingerprint import fingerprint_table


def test_fingerprint_shows_what_decided_each_kind(files, zsm) -> None:
    outcome = zsm("fingerprint", "people.csv")
    wanted = fingerprint_table(files / "people.csv").fingerprint
    assert outcome.code == 0
    assert outcome.err == ""
    assert outcome.out.splitlines()[1] == f"schema hash {wanted.schema_hash}"
    assert "name contains 'first'" in outcome.out
    assert "33.3 %" in outcome.out
    assert "Anna, Jan" in outcome.out


def test_fingerprint_is_cut_on_a_narrow_terminal_only(files, zsm) -> None:
    long = "x" * 200
    (files / "long.csv").write_text(f"first_name,{long}\nAnna,{long}\n")
    assert long in zsm("fingerprint", "long.csv").out


def test_fingerprint_json_is_a_schema_file_for_the_same_hash(files, zsm) -> None:
    first = zsm("fingerprint", "people.csv", "--kind", "city=categorical", "--json")
    (files / "schema.json").write_text(first.out)
    again = zsm("fingerprint", "people.csv", "--schema", "schema.json", "--json")
    document = first.document
    assert document["fields"] == again.document["fields"]
    assert document["schema_hash"] == again.document["schema_hash"]
    assert document["fields"][2]["kind"] == "Categorical"
    assert document["fields"][2]["null_rate"] == 0.33333334
    assert document["decisions"][2]["rule"] == "given by --kind"
    alone = zsm("fingerprint", "--schema", "schema.json", "-q")
    assert alone.out.strip() == document["schema_hash"]


def test_fingerprint_quiet_prints_the_hash(files, zsm) -> None:
    wanted = fingerprint_table(files / "people.csv").fingerprint.schema_hash
    assert zsm("fingerprint", "people.csv", "-q").out == f"{wanted}\n"
    assert zsm("-q", "fingerprint", "people.csv").out == f"{wanted}\n"


@pytest.mark.parametrize(
    ("name", "content", "options"),
    [
        ("t.tsv", b"first_name\tcity\nAnna\tUtrecht\n", []),
        ("t", b"first_name|city\nAnna|Utrecht\n", ["--delimiter", "|"]),
        ("t.txt", b"first_name\tcity\nAnna\tUtrecht\n", ["--format", "tsv"]),
        ("t.jsonl", b'{"first_name": "Anna", "city": "Utrecht"}\n', []),
        ("t.csv", b"first_name,city\nZo\xeb,x\n", ["--encoding", "cp1252"]),
    ],
)
def test_tables_of_every_form_have_one_hash(files, zsm, name, content, options) -> None:
    (files / name).write_bytes(content)
    (files / "plain.csv").write_text("first_name,city\nAnna,Utrecht\n")
    found = zsm("fingerprint", name, *options, "-q")
    assert found.code == 0
    assert found.out == zsm("fingerprint", "plain.csv", "-q").out


def test_a_table_may_come_from_standard_input(files, zsm) -> None:
    piped = zsm("fingerprint", "-", "-q", stdin=(files / "people.csv").read_bytes())
    assert piped.out == zsm("fingerprint", "people.csv", "-q").out


@pytest.mark.parametrize(("sample", "records"), [("2", 2), ("all", 3), ("1000", 3)])
@pytest.mark.usefixtures("files")
def test_the_sample_is_the_first_records(zsm, sample, records) -> None:
    found = zsm("fingerprint", "people.csv", "--sample", sample, "--json").document
    assert found["record_count"] == records


def test_mappings_and_context_extend_the_hash(files, zsm) -> None:
    plain = zsm("fingerprint", "people.csv", "-q").out
    mapped = zsm("fingerprint", "people.csv", "--map", "city=town", "--json").document
    assert mapped["mappings"] == [["city", "town"]]
    (files / "context.json").write_text('{"blocking": "tight"}')
    inline = zsm("fingerprint", "people.csv", "--context", '{"blocking":"tight"}', "-q")
    named = zsm("fingerprint", "people.csv", "--context", "context.json", "-q")
    assert inline.out == named.out
    assert len({plain.strip(), mapped["schema_hash"], inline.out.strip()}) == 3
    options = ("--map", "city=town", "--context", "context.json")
    shown = zsm("fingerprint", "people.csv", *options)
    assert "mappings    city = town\n" in shown.out
    assert 'context     {"blocking": "tight"}\n' in shown.out
    document = zsm("fingerprint", "people.csv", *options, "--json")
    (files / "schema.json").write_text(document.out)
    alone = zsm("fingerprint", "--schema", "schema.json", "-q").out.strip()
    assert alone == document.document["schema_hash"]


def test_the_rules_can_be_replaced(files, zsm) -> None:
    (files / "rules.toml").write_text('otherwise = "Alias"\n')
    found = zsm("fingerprint", "people.csv", "--kind-rules", "rules.toml", "--json")
    assert {field["kind"] for field in found.document["fields"]} == {"Alias"}


@pytest.mark.usefixtures("files")
def test_an_empty_registry_is_a_cold_start(zsm) -> None:
    assert zsm("init").code == 0
    outcome = zsm("lookup", "people.csv")
    assert outcome.code == 0
    assert outcome.out == "cold start: the registry holds no usable artifact\n"
    assert outcome.err == "next: train, then 'zsm save PARAMS.json TABLE'\n"
    assert zsm("lookup", "people.csv", "-q").out == ""
    document = zsm("lookup", "people.csv", "--json").document
    assert document["mode"] == "cold_start"
    assert document["artifact"] is document["params"] is document["distance"] is None


@pytest.mark.usefixtures("files")
def test_the_same_columns_are_a_warm_load(stored, zsm) -> None:
    outcome = zsm("lookup", "people.csv", "--exit-code")
    assert outcome.code == 0
    assert outcome.out.startswith("warm load: the very same schema was trained before")
    assert f"people ({stored[:12]})" in outcome.out
    assert outcome.err.startswith(f"next: 'zsm show {stored[:12]}'")


def test_an_added_column_is_a_warm_start(stored, zsm) -> None:
    outcome = zsm("lookup", "street.csv", "--exit-code")
    assert outcome.code == 10
    assert outcome.out.startswith("warm start: ")
    assert "added         1: street" in outcome.out
    assert "structure" in outcome.out
    assert "drift" in outcome.out
    assert zsm("lookup", "street.csv", "-q").out == f"{stored}\n"


@pytest.mark.usefixtures("stored")
def test_another_table_is_a_cold_start_that_names_the_nearest(zsm) -> None:
    outcome = zsm("lookup", "cards.csv", "--exit-code")
    assert outcome.code == 11
    assert "nearest       people" in outcome.out
    assert "removed       3: first_name, birth_date, city" in outcome.out


def test_lookup_json_has_parameters_that_save_reads(files, stored, zsm) -> None:
    document = zsm("lookup", "street.csv", "--json").document
    assert document["mode"] == "warm_start"
    assert document["artifact"]["schema_hash"] == stored
    assert document["alignment"]["filled"] == ["street"]
    fields = document["params"]["fields"]
    assert fields == ["street", "city", "first_name", "birth_date"]
    assert document["params"]["m"][1] == [0.1, 0.1, 0.8]
    (files / "start.json").write_text(json.dumps(document["params"]))
    assert zsm("save", "start.json", "street.csv").code == 0
    assert zsm("lookup", "street.csv", "--exit-code").code == 0


@pytest.mark.usefixtures("stored")
def test_lookup_by_schema_alone_needs_no_table(files, zsm) -> None:
    (files / "schema.json").write_text(zsm("fingerprint", "people.csv", "--json").out)
    assert zsm("lookup", "--schema", "schema.json", "--exit-code").code == 0
    changed = zsm("lookup", "--schema", "schema.json", "--kind", "city=Name", "--json")
    assert changed.document["explanation"]["kind_changed"] == [
        {"name": "city", "stored": "Address", "wanted": "Name"}
    ]
    unknown = zsm("lookup", "--schema", "schema.json", "--kind", "town=Name")
    assert unknown.code == 4
    assert "cannot read 'schema.json': no column 'town'" in unknown.err
    refused = zsm("lookup", "--schema", "schema.json", "--delimiter", ";")
    assert refused.code == 2
    assert "--delimiter needs a TABLE" in refused.err


@pytest.mark.parametrize("verb", ["fingerprint", "lookup", "nearest"])
def test_neither_table_nor_schema_is_wrong_usage(zsm, verb) -> None:
    assert zsm("init").code == 0
    outcome = zsm(verb)
    assert outcome.code == 2
    assert "give a TABLE" in outcome.err


def test_lookup_says_more_with_verbose(stored, zsm) -> None:
    outcome = zsm("lookup", "people.csv", "-v", "-q")
    assert outcome.out == f"{stored}\n"
    assert "zsm: info: warm_load" in outcome.err
    assert "zsm: info" not in zsm("lookup", "people.csv", "-q").err


def test_nearest_lists_by_distance(files, stored, zsm) -> None:
    (files / "two.json").write_text(
        '{"m":[[1],[1]],"u":[[1],[1]],"log_prior_odds":0,'
        '"upper_threshold":1,"lower_threshold":0}'
    )
    other = zsm("save", "two.json", "cards.csv", "-q").out.strip()
    outcome = zsm("nearest", "people.csv")
    assert [line.split()[1] for line in outcome.out.splitlines()] == [
        "hash",
        stored[:12],
        other[:12],
    ]
    assert zsm("nearest", "cards.csv", "-k", "1", "-q").out == f"{other}\n"
    document = zsm("nearest", "people.csv", "--json").document
    assert [row["distance"] for row in document["nearest"]] == [0.0, 1.0]
    with SchemaRegistry.open(files) as registry:
        assert {it.schema_hash for it in registry} == {stored, other}


@pytest.mark.usefixtures("files")
def test_nearest_in_an_empty_registry_says_so(zsm) -> None:
    assert zsm("init").code == 0
    outcome = zsm("nearest", "people.csv")
    assert (outcome.code, outcome.out) == (0, "")
    assert "holds no artifact that can be used" in outcome.err


@pytest.mark.usefixtures("files")
def test_a_registry_that_does_not_exist_is_empty_and_said_so(zsm) -> None:
    outcome = zsm("lookup", "people.csv", "--registry", "nowhere")
    assert outcome.out.startswith("cold start")
    assert "'nowhere' does not exist" in outcome.err
