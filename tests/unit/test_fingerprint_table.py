from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import field_names
from zsm_store.errors import InvalidArtifactError, TableError
from zsm_store.model.fingerprint import SchemaFingerprint
from zsm_store.model.schema import Field, FieldKind, FieldMapping, Schema
from zsm_store.tables.fingerprint import fingerprint_table
from zsm_store.tables.inference import KindDecision
from zsm_store.tables.kind_rules import load_kind_rules
from zsm_store.tables.schema_file import SchemaFile, read_schema_file
from zsm_store.tables.values import WHITE_SPACE

PEOPLE = """\
voornamen;geboortedatum;geslacht;opmerking
 Jan ;1980-06-15;M;
Maria;1981-01-02;V;
Jan;;M;
"""


def write(tmp_path: Path, text: str, name: str = "t.csv") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8", newline="")
    return path


def undated(fingerprint: SchemaFingerprint) -> SchemaFingerprint:
    return dataclasses.replace(fingerprint, created_at=0)


def test_a_table_gives_fields_statistics_and_reasons(tmp_path: Path) -> None:
    found = fingerprint_table(write(tmp_path, PEOPLE))
    assert [(d.name, d.kind, d.rule) for d in found.decisions] == [
        ("voornamen", FieldKind.NAME, "name contains 'voornamen'"),
        ("geboortedatum", FieldKind.DATE, "name contains 'geboortedatum'"),
        ("geslacht", FieldKind.FREE_TEXT, "no rule fits the 3 values"),
        ("opmerking", FieldKind.FREE_TEXT, "no values"),
    ]
    assert found.fingerprint.record_count == 3
    stats = found.fingerprint.field_stats
    assert [one.cardinality for one in stats] == [2, 2, 2, 0]
    assert stats[0].top_k == ("Jan", "Maria")
    assert stats[1].null_rate == pytest.approx(1 / 3)
    assert [field.kind for field in found.fingerprint.fields] == [
        decision.kind for decision in found.decisions
    ]


def test_json_lines_with_the_same_values_give_the_same_fingerprint(
    tmp_path: Path,
) -> None:
    lines = "\n".join(
        json.dumps(row) for row in csv.DictReader(io.StringIO(PEOPLE), delimiter=";")
    )
    of_csv = fingerprint_table(write(tmp_path, PEOPLE))
    of_json = fingerprint_table(write(tmp_path, lines, "t.jsonl"))
    assert undated(of_json.fingerprint) == undated(of_csv.fingerprint)
    assert of_json.decisions == of_csv.decisions


def test_a_header_alone_has_a_hash_and_no_statistics(tmp_path: Path) -> None:
    found = fingerprint_table(write(tmp_path, "naam,bsn\n"))
    assert found.fingerprint.record_count == 0
    assert [one.kind for one in found.fingerprint.field_stats] == ["Name", "Id"]
    assert all(one.cardinality == 0 for one in found.fingerprint.field_stats)


# samples


def test_the_first_thousand_records_are_the_sample(tmp_path: Path) -> None:
    path = write(tmp_path, "a\n" + "".join(f"v{n}\n" for n in range(2_500)))
    for sample, count in ((1000, 1000), (10, 10), (2_400, 2_400), (None, 2_500)):
        fingerprint = fingerprint_table(path, sample=sample).fingerprint
        assert fingerprint.record_count == count
        assert fingerprint.field_stats[0].cardinality == count
        assert fingerprint.field_stats[0].top_k[0] == "v0"
    assert fingerprint_table(path).fingerprint.record_count == 1000


def test_below_the_sample_nothing_is_read(tmp_path: Path) -> None:
    path = write(tmp_path, "a,b\n" + "1,2\n" * 1000 + "1,2,3\n")
    assert fingerprint_table(path).fingerprint.record_count == 1000
    with pytest.raises(TableError, match="line 1002"):
        fingerprint_table(path, sample=None)


@pytest.mark.parametrize("sample", [0, -1])
def test_a_sample_without_records_is_refused(tmp_path: Path, sample: int) -> None:
    with pytest.raises(TableError, match="at least 1 record"):
        fingerprint_table(write(tmp_path, PEOPLE), sample=sample)


def test_kinds_rest_on_the_head_of_the_sample(tmp_path: Path) -> None:
    path = write(tmp_path, "a\n1980-01-01\nx\nx\nx\n")
    assert fingerprint_table(path, sample=1).decisions[0].kind is FieldKind.DATE
    assert fingerprint_table(path).decisions[0].kind is not FieldKind.DATE
    late = write(tmp_path, "a,b\n" + "x,\n" * 1000 + "x,1980-01-01\n")
    assert fingerprint_table(late, sample=None).decisions[1].rule == "no values"


def test_memory_does_not_grow_with_the_records(tmp_path: Path) -> None:
    row = "x" * 90 + ",2024-01-01\n"
    path = write(tmp_path, "a,b\n" + row * 50_000)
    tracemalloc.start()
    try:
        found = fingerprint_table(path, sample=None)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found.fingerprint.record_count == 50_000
    assert peak < path.stat().st_size / 3


# kinds


def test_kinds_and_rules_are_the_callers(tmp_path: Path) -> None:
    path = write(tmp_path, PEOPLE)
    rules_file = write(
        tmp_path,
        'otherwise = "Alias"\n[[name]]\nkind = "Id"\nstarts = ["ges"]',
        "rules.toml",
    )
    found = fingerprint_table(
        path,
        kinds={"opmerking": FieldKind.CATEGORICAL},
        rules=load_kind_rules(rules_file),
    )
    assert [(decision.kind, decision.rule) for decision in found.decisions] == [
        (FieldKind.ALIAS, "no rule fits the 3 values"),
        (FieldKind.ALIAS, "no rule fits the 2 values"),
        (FieldKind.ID, "name starts with 'ges'"),
        (FieldKind.CATEGORICAL, "given by --kind"),
    ]


def test_a_kind_for_no_column_names_the_file_and_the_columns(tmp_path: Path) -> None:
    path = write(tmp_path, PEOPLE)
    with pytest.raises(TableError) as caught:
        fingerprint_table(path, kinds={"Geslacht": FieldKind.ID})
    assert caught.value.source == str(path)
    assert "did you mean 'geslacht'" in str(caught.value)
    assert "'opmerking'" in str(caught.value)


# schema files

SCHEMA = SchemaFile(
    fields=(Field("geslacht", FieldKind.ALIAS), Field("voornamen", FieldKind.NAME)),
    mappings=(FieldMapping("voornamen", "first"),),
    context={"blocking": "tight"},
)


def test_a_schema_file_decides_fields_order_mappings_and_context(
    tmp_path: Path,
) -> None:
    found = fingerprint_table(write(tmp_path, PEOPLE), schema=SCHEMA)
    rows = [
        {"voornamen": "Jan", "geslacht": "M"},
        {"voornamen": "Maria", "geslacht": "V"},
        {"voornamen": "Jan", "geslacht": "M"},
    ]
    assert undated(found.fingerprint) == SchemaFingerprint.from_sample(
        Schema(SCHEMA.fields),
        rows,
        mappings=SCHEMA.mappings,
        context=SCHEMA.context,
        created_at=0,
    )
    assert found.decisions == tuple(
        KindDecision(name=field.name, kind=field.kind, rule="given by the schema file")
        for field in SCHEMA.fields
    )


def test_explicit_arguments_win_over_the_schema_file(tmp_path: Path) -> None:
    found = fingerprint_table(
        write(tmp_path, PEOPLE),
        schema=SCHEMA,
        kinds={"geslacht": FieldKind.CATEGORICAL},
        mappings=iter([FieldMapping("geslacht", "sex")]),
        context={},
    )
    assert found.fingerprint.mappings == (FieldMapping("geslacht", "sex"),)
    assert found.fingerprint.context == {}
    assert found.decisions[0].kind is FieldKind.CATEGORICAL
    assert found.decisions[0].rule == "given by --kind"
    assert found.decisions[1].rule == "given by the schema file"


def test_a_kind_for_no_field_of_the_schema_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="no column 'opmerking'"):
        fingerprint_table(
            write(tmp_path, PEOPLE), schema=SCHEMA, kinds={"opmerking": FieldKind.ID}
        )


def test_a_csv_without_a_field_of_the_schema_file_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "voornamen,sex\nJan,M\n")
    with pytest.raises(TableError, match="no column 'geslacht'") as caught:
        fingerprint_table(path, schema=SCHEMA)
    assert caught.value.source == str(path)


def test_in_json_lines_an_absent_field_is_missing(tmp_path: Path) -> None:
    text = '{"voornamen":"Jan"}\n{"voornamen":"An","late\\u0007":1}\n'
    found = fingerprint_table(write(tmp_path, text, "t.jsonl"), schema=SCHEMA)
    assert [one.null_rate for one in found.fingerprint.field_stats] == [1.0, 0.0]
    assert found.fingerprint.record_count == 2


def test_mappings_and_context_extend_the_hash(tmp_path: Path) -> None:
    path = write(tmp_path, PEOPLE)
    hashes = {
        fingerprint_table(path, **options).fingerprint.schema_hash
        for options in (
            {},
            {"mappings": [FieldMapping("voornamen", "first")]},
            {"context": {"blocking": 1}},
            {"context": {"blocking": 2}},
        )
    }
    assert len(hashes) == 4
    with pytest.raises(InvalidArtifactError):
        fingerprint_table(path, context={"a": float("nan")})


# the law

CELLS = st.sampled_from(["", " ", "a", "b", "5", " 5", "5.0", "true", "é"]) | st.text(
    st.characters(codec="utf-8"), max_size=4
)


@given(
    st.lists(field_names(), min_size=1, max_size=4, unique=True),
    st.data(),
    st.integers(1, 12) | st.none(),
)
def test_a_table_is_fingerprinted_like_its_rows(
    tmp_path_factory: pytest.TempPathFactory,
    header: list[str],
    data: st.DataObject,
    sample: int | None,
) -> None:
    row = st.lists(CELLS, min_size=len(header), max_size=len(header))
    rows = data.draw(st.lists(row, max_size=10))
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([header, *rows])
    path = tmp_path_factory.getbasetemp() / "law.csv"
    path.write_bytes(text.getvalue().encode("utf-8-sig"))
    found = fingerprint_table(path, sample=sample, delimiter=",")
    records = [
        dict(zip(header, (cell.strip(WHITE_SPACE) for cell in cells), strict=True))
        for cells in rows[:sample]
    ]
    assert undated(found.fingerprint) == SchemaFingerprint.from_sample(
        Schema(Field(one.name, one.kind) for one in found.decisions),
        records,
        created_at=0,
    )


# the documentation

PAGE = (Path(__file__).parents[2] / "docs" / "tables.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def test_the_worked_example_is_what_comes_out(tmp_path: Path) -> None:
    table, printed = blocks("text")
    found = fingerprint_table(write(tmp_path, table))
    assert printed.splitlines() == [
        f"{decision.name:14}{decision.kind:9} {decision.rule}"
        for decision in found.decisions
    ]


def test_the_files_in_the_documentation_can_be_read(tmp_path: Path) -> None:
    rules = load_kind_rules(write(tmp_path, blocks("toml")[0], "rules.toml"))
    assert rules.values[0].what == "a Dutch phone number"
    schema = read_schema_file(write(tmp_path, blocks("json")[0], "schema.json"))
    assert schema.mappings == (FieldMapping("voornamen", "first_name"),)
