"""The byte tables of docs/format.md are those of a real file."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from zsm_store.codec import artifact_json
from zsm_store.codec.bundle import Bundle, MemorySource, encode_bundle
from zsm_store.codec.strict_json import parse_object
from zsm_store.model.canonical import canonical_json

if TYPE_CHECKING:
    from zsm_store.model.artifact import ModelArtifact

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "format.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| (\d+) \| (\d+) \| `([0-9a-f …]+)` \|", re.MULTILINE)


class Row(NamedTuple):
    offset: int
    size: int
    start: bytes
    end: bytes


def documented_rows() -> list[Row]:
    rows = []
    for offset, size, shown in ROW.findall(DOCUMENT):
        start, _, end = shown.partition("…")
        rows.append(
            Row(int(offset), int(size), bytes.fromhex(start), bytes.fromhex(end))
        )
    return rows


@pytest.fixture(scope="module")
def artifact() -> ModelArtifact:
    path = ROOT / "tests" / "data" / "golden" / "bundles" / "one.zsm"
    (only,) = Bundle(MemorySource(path.read_bytes()))
    return only


def test_the_byte_tables_cover_the_example_to_its_last_byte(
    artifact: ModelArtifact,
) -> None:
    example = b"".join(encode_bundle([artifact], 1))
    position = 0
    for row in documented_rows():
        assert row.offset == position
        piece = example[position : position + row.size]
        if row.end:
            assert piece.startswith(row.start), row
            assert piece.endswith(row.end), row
        else:
            assert piece == row.start, row
        position += row.size
    assert position == len(example)


def test_the_json_example_is_the_file_itself(artifact: ModelArtifact) -> None:
    shown = re.search(r"```json\n(.*?)```", DOCUMENT, re.DOTALL)
    assert shown is not None
    assert shown[1].encode() == artifact_json.encode(artifact)


def test_the_canonical_example_is_what_the_digest_covers() -> None:
    document = re.search(r"```json\n(.*?)```", DOCUMENT, re.DOTALL)
    shown = re.search(r"```text\n(\{.*?\})\n```", DOCUMENT, re.DOTALL)
    assert document is not None
    assert shown is not None
    value = parse_object(document[1].encode())
    digest = value.pop("digest")
    assert canonical_json(value).decode() == shown[1]
    assert digest == "sha256:" + hashlib.sha256(shown[1].encode()).hexdigest()
