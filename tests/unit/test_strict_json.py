from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import strategies as zst
from zsm_store.codec import strict_json
from zsm_store.codec.strict_json import line_of, parse_object
from zsm_store.errors import ArtifactFormatError

WHITE_SPACE = ["", " ", "\n", "\r\n\t "]


def refusal(data: bytes) -> ArtifactFormatError:
    with pytest.raises(ArtifactFormatError) as caught:
        parse_object(data)
    assert "\n" not in str(caught.value)
    return caught.value


@given(zst.json_objects(), st.sampled_from([None, 0, 1, "\t"]), st.booleans())
def test_an_object_is_parsed_however_it_is_laid_out(value, indent, ascii_only) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    for written in (text, text.replace("\n", "\r\n"), f"\n {text}\n\n"):
        assert parse_object(written.encode()) == value


@pytest.mark.parametrize(
    "text",
    [
        ":",
        " :",
        '":',
        '" :',
        '"a":1,"a":2',
        "\\",
        '\\":',
        "a\\",
        "\t\n:",
        "{",
        "}]",
    ],
)
def test_text_that_looks_like_a_key_is_none(text: str) -> None:
    for value in (
        {"a": text},
        {"a": [text, text, {"a": text, "b": text}]},
        {text: text, "a": {text: 1}},
        {"a": [{text: 1}, {text: 2}]},
    ):
        for separators in ((",", ":"), (", ", " : ")):
            written = json.dumps(value, separators=separators)
            assert parse_object(written.encode()) == value


@pytest.mark.parametrize("space", WHITE_SPACE, ids=ascii)
@pytest.mark.parametrize(
    "text",
    [
        '{"a"S:1,"b":2,"a"S:3}',
        '{"x":{"a"S:1,"a"S:1}}',
        '{"x":[1,{"y":[{"a"S:{},"b":1,"a"S:{}}]}]}',
        '{"a"S:1,"\\u0061"S:2}',
        '{"x"S:1,"a":2,"a":3}',
        '{"x":":","a"S:"\\":","a"S:1}',
        '{"a"S:{"a":{"a":1}},"b":{"a":1},"a"S:1}',
    ],
)
def test_a_key_that_stands_twice_is_refused_at_any_depth(text: str, space: str) -> None:
    error = refusal(text.replace("S", space).encode())
    assert error.code == "ZSM013"
    assert "'a' stands twice" in str(error)


@pytest.mark.parametrize("key", ["", ":", '"', "\\", "\u00e9", "\x00", '":'], ids=ascii)
def test_any_key_can_stand_twice(key: str) -> None:
    quoted = json.dumps(key)
    assert refusal(f'{{{quoted}:1,"b":2,{quoted}:1}}'.encode()).code == "ZSM013"


def test_the_key_that_stands_twice_is_where_the_error_says() -> None:
    text = (
        '{\n  "list": ["name", ":name"],\n  "fields": [\n    {"name":1,"b":2},\n'
        '    {"name":1,\n     "name":2}\n  ]\n}\n'
    )
    for written in (text, text.replace("\n", "\r\n")):
        error = refusal(written.encode())
        assert (error.code, error.line, error.column) == ("ZSM013", 6, 6)


@given(zst.json_objects(), zst.json_values(), st.data())
def test_repeating_any_key_of_any_object_is_seen(value, repeated, data) -> None:
    def written(item: Any, path: tuple[int, ...]) -> str:
        """Write an item; where the path ends, with its first key once more."""
        if isinstance(item, dict):
            pairs = [
                f"{json.dumps(key)}:{written(inner, path[1:] if number == path[0] else (-1,))}"  # noqa: E501
                if path
                else f"{json.dumps(key)}:{json.dumps(inner)}"
                for number, (key, inner) in enumerate(item.items())
            ]
            if not path:
                pairs.append(f"{json.dumps(next(iter(item)))}:{json.dumps(repeated)}")
            return "{" + ",".join(pairs) + "}"
        return json.dumps(item)

    paths: list[tuple[int, ...]] = []

    def walk(item: Any, path: tuple[int, ...]) -> None:
        if isinstance(item, dict) and item:
            paths.append(path)
            for number, inner in enumerate(item.values()):
                walk(inner, (*path, number))

    walk(value, ())
    if paths:
        text = written(value, data.draw(st.sampled_from(paths)))
        assert refusal(text.encode()).code == "ZSM013"


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize(
    "marker", ["<<<<<<< ours", "=======", ">>>>>>> theirs", "||||||| base", "<<<<<<<"]
)
def test_a_conflict_marker_is_named_with_its_line(marker: str, end: str) -> None:
    lines = ["{", '  "a": 1,', marker, '  "b": 2', "}", ""]
    error = refusal(end.join(lines).encode())
    assert (error.code, error.line) == ("ZSM010", 3)
    assert str(error) == "line 3: conflict marker of a merge: take one side whole"


def test_the_first_of_many_conflict_markers_is_named() -> None:
    lines = ["{", "<<<<<<< ours", '"a":1', "=======", '"a":2', ">>>>>>> theirs", "}"]
    assert refusal("\n".join(lines).encode()).line == 2


def test_a_conflict_at_the_very_start_or_end_is_seen() -> None:
    assert refusal(b"<<<<<<< ours\n{}\n").line == 1
    assert refusal(b"{}\n>>>>>>> theirs").line == 2


@pytest.mark.parametrize(
    "text",
    ["<<<<<<< ours", "=======", ">>>>>>>", "|||||||", "\n<<<<<<< ours\n=======\n"],
    ids=ascii,
)
def test_a_text_that_holds_a_marker_is_no_conflict(text: str) -> None:
    assert parse_object(json.dumps({"tag": text}).encode()) == {"tag": text}


@pytest.mark.parametrize(
    "line", ["<<<<<<<< eight", "======== ", "<<<<<<", " <<<<<<< indented", "=======x"]
)
def test_what_is_no_marker_is_plainly_not_json(line: str) -> None:
    assert refusal(f'{{\n{line}\n"a":1}}'.encode()).code == "ZSM012"


@pytest.mark.parametrize("data", [b"", b" ", b"\n\r\n\t "])
def test_an_empty_file_is_named_so(data: bytes) -> None:
    assert refusal(data).code == "ZSM011"


@pytest.mark.parametrize(
    "data",
    [b"\xef\xbb\xbf{}", "{}".encode("utf-16"), b"\xfe\xff\x00{\x00}"],
    ids=["UTF-8", "UTF-16 LE", "UTF-16 BE"],
)
def test_a_byte_order_mark_is_named_so(data: bytes) -> None:
    error = refusal(data)
    assert error.code == "ZSM012"
    assert "byte order mark" in str(error)


@pytest.mark.parametrize(
    "data",
    [
        b"[]",
        b"null",
        b"5",
        b'"a"',
        b"{",
        b'{"a":1,}',
        b"{'a':1}",
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":-Infinity}',
        b'{"a":nan}',
        b'{"a":1e999}',
        b'{"a":01}',
        b'{"a":+1}',
        b'{"a":.5}',
        b'{"a":0x1}',
        b'{"a":1} {"b":2}',
        b'{"a":1}\x00',
        b'{"a":"\x00"}',
        b'{"a":"\xff"}',
        b'{"a":"\\ud800"}',
        b'{"a":1 // comment\n}',
        b"{a:1}",
        b'{"a":TRUE}',
        b"\x00",
        b"ZSM\x01\x00\x00\x00\x00",
    ],
)
def test_what_is_no_json_object_is_refused(data: bytes) -> None:
    assert refusal(data).code == "ZSM012"


def test_an_error_of_the_syntax_is_where_it_says() -> None:
    error = refusal(b'{\n  "a": 1,\n  "b": nope\n}\n')
    assert (error.code, error.line) == ("ZSM012", 3)
    assert 7 <= error.column <= 10


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":['])
@pytest.mark.parametrize("closed", [True, False])
def test_a_hundred_thousand_brackets_are_refused_quickly(
    opening: bytes, *, closed: bool
) -> None:
    closing = {b"[": b"]", b'{"a":': b"}", b'[{"a":[': b"]}]"}[opening]
    data = b'{"x":' + opening * 100_000 + (b"1" + closing * 100_000) * closed + b"}"
    start = time.process_time()
    assert refusal(data).code == "ZSM012"
    assert time.process_time() - start < 2


def test_a_key_that_stands_twice_is_seen_below_hundreds_of_levels() -> None:
    data = b'{"x":' + b'{"a":' * 900 + b'{"b":1,"b":2}' + b"}" * 901
    assert refusal(data).code == "ZSM013"


@pytest.mark.parametrize("digits", ["9" * 30, "9" * 300, "-" + "9" * 40])
def test_integers_beyond_64_bits_become_floats(digits: str) -> None:
    assert parse_object(f'{{"a":{digits}}}'.encode()) == {"a": float(digits)}


@pytest.mark.parametrize("digits", ["9" * 400, "9" * 100_000])
def test_integers_beyond_any_float_are_refused(digits: str) -> None:
    assert refusal(f'{{"a":{digits}}}'.encode()).code == "ZSM012"


def test_a_file_over_the_limit_is_refused_unread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(strict_json, "MAX_BYTES", 10)
    assert parse_object(b'{"a":1234}') == {"a": 1234}
    error = refusal(b"{not json at all")
    assert error.code == "ZSM015"
    assert "16 bytes, more than 10 allowed" in str(error)


def test_the_limit_is_64_mebibytes() -> None:
    assert strict_json.MAX_BYTES == 64 * 2**20


def test_many_texts_that_look_like_keys_cost_no_more_than_linear_time() -> None:
    data = json.dumps({"a": [":"] * 200_000}).encode()
    start = time.process_time()
    assert len(parse_object(data)["a"]) == 200_000
    assert time.process_time() - start < 3


def test_a_line_is_found_by_its_key() -> None:
    data = b'{\n  "a": 1,\r\n  "digest": 2\n}\n'
    assert line_of(data, "digest") == 3
    assert line_of(data, "a") == 2
    assert line_of(data, "missing") == 1
