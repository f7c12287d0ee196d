"""The quick way to read an artifact and the one that looks at each value agree."""

from __future__ import annotations

import contextlib
import copy
import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import event, example, given
from hypothesis import strategies as st

from tests import examples
from tests import strategies as zst
from tests.property.test_codec_round_trips import bits
from tests.property.test_hostile_bytes import JSON_PIECES, mutations
from zsm_store.codec import artifact_json
from zsm_store.codec.artifact_json import IndexEntry, decode_index_entry
from zsm_store.codec.document import decode_document
from zsm_store.codec.strict_json import loads
from zsm_store.codec.usual_content import UnusualError, UsualContent
from zsm_store.errors import ArtifactFormatError, InvalidArtifactError
from zsm_store.model.canonical import canonical_json
from zsm_store.model.fingerprint import SchemaFingerprint
from zsm_store.model.params import ModelParams
from zsm_store.model.schema import FieldMapping

ARTIFACT = replace(
    examples.trained(
        SchemaFingerprint.from_sample(
            examples.SIM,
            [{"imsi": "204", "msisdn": "06"}, {"imsi": "204", "msisdn": None}],
            mappings=[FieldMapping("imsi", "b")],
            context={"blocking": ["year"], "limit": 2.0},
        ),
        tag="sim",
        extra={"seed": 7},
    ),
    params=ModelParams(
        m=[[0.1, 0.9], [0.0, 1.0], []],
        u=[[0.8, 0.2], [0.5, 0.5], []],
        log_prior_odds=-2.0,
        upper_threshold=0.9,
        lower_threshold=0.1,
    ),
)
TEXT = artifact_json.encode(ARTIFACT)
DOCUMENT: dict[str, Any] = json.loads(TEXT)

PIECES = [
    *JSON_PIECES,
    b'"tag":null,',
    b'"name" :"imsi",',
    b'"seed"\n:7,',
    b'"\\u0074ag":"sim",',
    b'":',
    b"-0.0",
    b"1.0",
    b"0",
    b"true",
    b"1e0",
    b" ",
    b"\\u003a",
]
"""What may stand twice, or be written in two ways."""

TRICKY = [
    *(0, 1, -1, 2**63, 2**64 - 1),
    *(0.0, -0.0, 1.0, 0.5, 5e-324, -1e-60, 1.00000001, 1.5, 2.0, -4.0),
    *(1000.0, 1001.0, 1e16, -1e16, 1e17, 2.0**63, 1e20, 3.5e38, 1e300),
    *(True, False, None, "", "x", "1.0,", "-0.0]", '":', ": ", "sha256:", "Name"),
    *([], {}, [[]], [0.0], [[0.5]], ["a"], [["a", "b"]], {"a": 1.0}, {"a": {"a": 1}}),
    *([[0.1, 0.2, 1.0]], [["a", "b", "skip"]], "0" * 64, "zsm-store/2"),
]
"""Where a check of types, of a range or of a spelling may be too generous."""


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths to everything but the whole."""
    found = [path] if path else []
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        found += [one for key, item in items for one in paths(item, (*path, key))]
    return found


def copy_to(path: tuple[Any, ...]) -> tuple[dict[str, Any], Any]:
    """Return a copy of the document, and what in it holds the value at a path."""
    document = at = copy.deepcopy(DOCUMENT)
    for key in path[:-1]:
        at = at[key]
    return document, at


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """Documents in which any value may be any other, or gone, or moved."""
    document = copy.deepcopy(DOCUMENT)
    for _ in range(draw(st.integers(0, 3))):
        *above, last = draw(st.sampled_from(paths(document)))
        at: Any = document
        for key in above:
            at = at[key]
        value = copy.deepcopy(draw(st.sampled_from(TRICKY) | zst.json_values()))
        match draw(st.sampled_from(["replace", "replace", "remove", "add"])):
            case "replace":
                at[last] = value
            case "remove":
                del at[last]
            case "add" if isinstance(at, dict):
                at[draw(st.sampled_from(["extra", "context", "a"]))] = value
            case _:
                at.append(value)
    return document


def sealed(text: bytes) -> set[bytes]:
    """Put in the digest that the text should have, and that of the quick way."""
    try:
        document = loads(text)
        content = {key: document[key] for key in document if key != "digest"}
    except (ValueError, TypeError):
        return {text}
    texts = {text}
    with contextlib.suppress(InvalidArtifactError):
        texts.add(with_digest(text, canonical_json(content)))
    with contextlib.suppress(UnusualError):
        texts.add(with_digest(text, UsualContent(content).canonical()))
    return texts


def with_digest(text: bytes, canonical: bytes) -> bytes:
    stated = artifact_json._digest_of_text(canonical).encode()
    return re.sub(rb"sha256:[0-9a-f]{64}", stated, text)


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


def outcome(read: Any, data: bytes, schema_hash: str | None) -> Any:
    try:
        return read(data, schema_hash)
    except ArtifactFormatError as error:
        return error.code, str(error)


def assert_all_ways_agree(text: bytes) -> None:
    for data in sealed(text):
        for schema_hash in (None, DOCUMENT["schema_hash"], "0" * 64):
            assert_ways_agree(data, schema_hash)


def assert_ways_agree(data: bytes, schema_hash: str | None) -> None:
    expected = outcome(artifact_json._decode_unusual, data, schema_hash)
    found = outcome(artifact_json.decode_with_digest, data, schema_hash)
    entry = outcome(decode_index_entry, data, schema_hash)
    assert found == expected
    if isinstance(entry, IndexEntry):
        artifact = expected[0]
        assert bits(found[0]) == bits(artifact)
        assert repr(found) == repr(expected)  # of equal type, True is not 1
        assert repr(entry) == repr(IndexEntry(artifact.fingerprint, artifact.tag))
    else:
        assert entry == expected


@pytest.mark.parametrize(
    "artifact", [ARTIFACT, examples.trained(), examples.numbered(1)]
)
def test_what_is_usual_is_read_the_quick_way(artifact) -> None:
    data = artifact_json.encode(artifact)
    for text in (data, data.replace(b"\n", b"\r\n"), data.replace(b".0,", b",")):
        content, stated = artifact_json._usual(text, artifact.schema_hash)
        assert (content.artifact(), stated) == (
            artifact,
            artifact_json.digest(artifact),
        )
    with pytest.raises(UnusualError):
        artifact_json._usual(data, "0" * 64)


@pytest.mark.parametrize("path", paths(DOCUMENT), ids=repr)
def test_a_value_at_any_place_is_judged_alike(path) -> None:
    for value in TRICKY:
        document, at = copy_to(path)
        at[path[-1]] = value
        assert_all_ways_agree(json.dumps(document).encode())


@pytest.mark.parametrize("path", paths(DOCUMENT), ids=repr)
def test_something_more_or_less_is_judged_alike(path) -> None:
    document, at = copy_to(path)
    del at[path[-1]]
    assert_all_ways_agree(json.dumps(document).encode())
    for value in (0, 0.5, "a", [], {}):
        document, at = copy_to(path)
        if isinstance(at, dict):
            at["a"] = value
        else:
            at.append(value)
        assert_all_ways_agree(json.dumps(document).encode())


@pytest.mark.parametrize("start", ["", " ", "\n", "\ufeff", "[", "0"], ids=ascii)
def test_another_start_is_judged_alike(start) -> None:
    assert_all_ways_agree(start.encode() + TEXT)
    assert_all_ways_agree(json.dumps([DOCUMENT]).encode())
    assert_all_ways_agree(start.encode())


@pytest.mark.parametrize("key", ["context", "extra"])
@pytest.mark.parametrize("levels", [40, 60, 120, 198, 199, 200, 201, 202, 253, 400])
def test_what_nests_deeply_is_judged_alike(key, levels) -> None:
    document = {**DOCUMENT, key: nested(levels)}
    assert_all_ways_agree(json.dumps(document).encode())


@pytest.mark.parametrize("colon", [b":", b"\\u003a"])
@pytest.mark.parametrize("key", [b"tag", b"\\u0074ag"])
@pytest.mark.parametrize("space", [b"", b"\n"])
@pytest.mark.parametrize("tag", [b"sim", b":", b"sha256:", b"sha256\\u003a"])
def test_a_key_that_stands_twice_is_seen_whatever_the_colons(
    colon, key, space, tag
) -> None:
    text = TEXT.replace(b'"tag": "sim"', b'"%s"%s: "%s"' % (key, space, tag))
    twice = text.replace(b'  "em', b'  "tag": "%s",\n  "em' % tag)
    for data in sealed(text):
        spelled = data.replace(b'"digest": "sha256:', b'"digest": "sha256' + colon)
        assert_ways_agree(spelled, None)
    for data in sealed(twice):
        spelled = data.replace(b'"digest": "sha256:', b'"digest": "sha256' + colon)
        assert_ways_agree(spelled, None)
        assert outcome(decode_index_entry, spelled, None)[0] == "ZSM013"


@given(mutations(TEXT, PIECES))
def test_edited_texts_are_judged_alike(data) -> None:
    assert_all_ways_agree(data)


@given(
    documents(), st.sampled_from([None, 0, 1]), st.booleans(), st.sampled_from(PIECES)
)
def test_edited_documents_are_judged_alike(document, indent, ascii_only, piece) -> None:
    text = json.dumps(document, indent=indent, ensure_ascii=ascii_only).encode()
    assert_all_ways_agree(text)
    # Behind each brace once: where keys stand, one may stand twice.
    for brace in list(re.finditer(rb"\{", text))[:8]:
        assert_all_ways_agree(text[: brace.end()] + piece + text[brace.end() :])


@given(documents())
@example({**DOCUMENT, "log_prior_odds": -0.0})
@example({**DOCUMENT, "m": [[-0.0, 1.0, 0.5]] * 3})
@example({**DOCUMENT, "tag": "1.0,"})
def test_the_canonical_text_of_usual_content_is_that_of_the_definition(
    document,
) -> None:
    content = loads(json.dumps(document).encode())
    content.pop("digest", None)
    before = copy.deepcopy(content)
    try:
        usual = UsualContent(content)
    except UnusualError:
        event("unusual")
        return
    event("usual")
    assert usual.canonical() == canonical_json(before)
    artifact = decode_document({**before, "digest": ""})
    assert repr(usual.artifact()) == repr(artifact)
    assert bits(usual.artifact()) == bits(artifact)
