from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given

from tests.strategies import json_objects, mappings, schemas
from zsm_store.errors import InvalidArtifactError, TableError
from zsm_store.model.schema import Field, FieldKind, FieldMapping, NullPolicy, Schema
from zsm_store.tables.schema_file import SchemaFile, read_schema_file

if TYPE_CHECKING:
    from pathlib import Path

NAAM = {"name": "naam", "kind": "Name"}


def written(tmp_path: Path, document: Any) -> Path:
    path = tmp_path / "schema.json"
    text = document if isinstance(document, str) else json.dumps(document)
    path.write_text(text, encoding="utf-8")
    return path


def test_a_schema_file_has_fields_mappings_and_context(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        {
            "fields": [{"name": "b", "kind": "Date"}, NAAM],
            "mappings": [["naam", "name"], ["b", "dob", "penalise_absence"]],
            "context": {"blocking": ["naam"]},
        },
    )
    schema = read_schema_file(path)
    assert schema.fields == (
        Field("b", FieldKind.DATE),
        Field("naam", FieldKind.NAME),
    )
    assert schema.mappings == (
        FieldMapping("naam", "name"),
        FieldMapping("b", "dob", NullPolicy.PENALISE_ABSENCE),
    )
    assert schema.context == {"blocking": ["naam"]}


def test_mappings_and_context_are_optional(tmp_path: Path) -> None:
    plain = SchemaFile(fields=(Field("naam", FieldKind.NAME),))
    assert read_schema_file(written(tmp_path, {"fields": [NAAM]})) == plain
    path = written(tmp_path, {"fields": [NAAM], "mappings": None, "context": None})
    assert read_schema_file(path) == plain
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read_schema_file(str(path)) == plain


def test_an_artifact_and_a_printed_fingerprint_are_schema_files(tmp_path: Path) -> None:
    statistics = {"null_rate": 0.5, "cardinality": 3, "top_k": ["Jan"]}
    document = {
        "format": "zsm-store/1",
        "digest": "sha256:00",
        "schema_hash": "00",
        "tag": "q1",
        "trained_on": 1,
        "em_iterations": 2,
        "record_count": 3,
        "created_at": 4,
        "log_prior_odds": -2.0,
        "upper_threshold": 0.9,
        "lower_threshold": 0.1,
        "fields": [NAAM | statistics],
        "m": [[0.1]],
        "u": [[0.1]],
        "extra": {},
        "decisions": [],
    }
    assert read_schema_file(written(tmp_path, document)).fields == (
        Field("naam", FieldKind.NAME),
    )


@pytest.mark.parametrize(
    "key", ["mapping", "Mappings", "contexts", "field", "mapings", ""]
)
def test_a_key_that_no_schema_file_has_is_refused(tmp_path: Path, key: str) -> None:
    path = written(tmp_path, {"fields": [NAAM], key: []})
    with pytest.raises(TableError, match=f"unknown key '{key}'") as caught:
        read_schema_file(path)
    assert "fields, mappings, context" in str(caught.value)


@pytest.mark.parametrize(
    ("document", "fact"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ('{"fields": [], "fields": []}', "key 'fields' stands twice"),
        ('{"context": {"a": 1, "a": 2}}', "key 'a' stands twice"),
        ('{"fields": [], "context": {"a": NaN}}', "NaN is not JSON"),
        ("[]", "JSON object with 'fields'"),
        ('"fields"', "JSON object with 'fields'"),
        ({}, "'fields' must be a list"),
        ({"fields": None}, "'fields' must be a list"),
        ({"fields": {"naam": "Name"}}, "'fields' must be a list"),
        ({"fields": []}, "at least one field"),
        ({"fields": ["naam"]}, "field 1 must be an object with 'name' and 'kind'"),
        ({"fields": [NAAM, {"name": "b"}]}, "field 2 must be an object"),
        ({"fields": [{"name": "b", "kind": "name"}]}, "field 1: unknown field kind"),
        ({"fields": [{"name": "b", "kind": 0}]}, "field 1: unknown field kind 0"),
        ({"fields": [{"name": "b", "kind": []}]}, "field 1: unknown field kind []"),
        ({"fields": [{"name": 5, "kind": "Id"}]}, "field 1: field name must be text"),
        ({"fields": [NAAM, NAAM]}, "'naam' stands twice"),
        ({"fields": [{"name": "a\0", "kind": "Id"}]}, "control character"),
        ('{"fields": [{"name": "\\ud800", "kind": "Id"}]}', "surrogate"),
        ({"fields": [NAAM], "mappings": {}}, "'mappings' must be a list"),
        ({"fields": [NAAM], "mappings": ["ab"]}, "mapping 1 must be"),
        ({"fields": [NAAM], "mappings": [["a"]]}, "mapping 1 must be"),
        ({"fields": [NAAM], "mappings": [["a", "b", "skip", 1]]}, "mapping 1 must be"),
        ({"fields": [NAAM], "mappings": [["a", 1]]}, "mapping 1: mapped field"),
        (
            {"fields": [NAAM], "mappings": [["a", "b", "no"]]},
            "unknown null policy 'no'",
        ),
        ({"fields": [NAAM], "context": []}, "JSON object"),
        ({"fields": [NAAM], "context": "x"}, "JSON object"),
    ],
)
def test_a_bad_schema_file_is_refused(tmp_path: Path, document: Any, fact: str) -> None:
    path = written(tmp_path, document)
    with pytest.raises(TableError) as caught:
        read_schema_file(path)
    assert caught.value.source == str(path)
    assert fact in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_line_of_a_syntax_error_is_named(tmp_path: Path) -> None:
    with pytest.raises(TableError) as caught:
        read_schema_file(written(tmp_path, '{\n "fields": [\n  {"name" 1}\n]}'))
    assert caught.value.line == 3


def test_a_schema_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="no such file"):
        read_schema_file(tmp_path / "none.json")
    with pytest.raises(TableError, match="this is a directory"):
        read_schema_file(tmp_path)
    path = tmp_path / "latin.json"
    path.write_bytes(b'{"fields": "\xe9"}')
    with pytest.raises(TableError, match="byte 12 is not UTF-8"):
        read_schema_file(path)


def test_fields_are_checked_however_a_schema_file_is_made() -> None:
    with pytest.raises(InvalidArtifactError):
        SchemaFile(fields=())
    with pytest.raises(InvalidArtifactError):
        SchemaFile(fields=(Field("a\n", FieldKind.ID),))


@given(schemas(), mappings(), json_objects())
def test_what_a_schema_file_says_is_what_it_was_written_from(
    tmp_path_factory: pytest.TempPathFactory,
    schema: Schema,
    mapped: tuple[FieldMapping, ...],
    context: dict[str, Any],
) -> None:
    document = {
        "fields": [
            {"name": field.name, "kind": str(field.kind)} for field in schema.fields
        ],
        "mappings": [
            [mapping.a_field, mapping.b_field, str(mapping.null_policy)]
            for mapping in mapped
        ],
        "context": context,
    }
    path = written(tmp_path_factory.getbasetemp(), document)
    assert read_schema_file(path) == SchemaFile(
        fields=schema.fields, mappings=mapped, context=context
    )
