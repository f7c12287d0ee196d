from __future__ import annotations

import copy
import hashlib
import json
import struct
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests import examples
from tests import strategies as zst
from zsm_store.codec import artifact_json, strict_json
from zsm_store.codec.artifact_json import decode, digest, encode, encode_with_digest
from zsm_store.errors import ArtifactFormatError, InvalidArtifactError
from zsm_store.model.artifact import ModelArtifact
from zsm_store.model.canonical import canonical_json
from zsm_store.model.fingerprint import FieldStats, SchemaFingerprint
from zsm_store.model.float32 import float32_from_bits
from zsm_store.model.params import ModelParams
from zsm_store.model.schema import FieldKind, FieldMapping, NullPolicy

if TYPE_CHECKING:
    from collections.abc import Callable

HASH = "3fa1" * 16

FULL = ModelArtifact(
    fingerprint=SchemaFingerprint(
        schema_hash=HASH,
        field_stats=(
            FieldStats(
                name="voornamen",
                kind=FieldKind.NAME,
                null_rate=0.02,
                cardinality=4312,
                top_k=("Jan", "Maria", 'J"\n\u00e9'),
            ),
            FieldStats(name="geboortedatum", kind=FieldKind.DATE),
        ),
        record_count=5000,
        created_at=1735689600,
        mappings=(
            FieldMapping("voornamen", "first_name"),
            FieldMapping("geboortedatum", "dob", NullPolicy.PENALISE_ABSENCE),
        ),
        context={"link_type": "dedupe", "blocking": ["year"], "limit": 2.0},
    ),
    params=ModelParams(
        m=[[0.02, 0.06, 0.12, 0.8], [0.01, 0.04, 0.1, 0.85]],
        u=[[0.7, 0.15, 0.1, 0.05], [0.8, 0.1, 0.07, 0.03]],
        log_prior_odds=-2.0,
        upper_threshold=0.9,
        lower_threshold=0.1,
    ),
    tag="brp_2024_q1",
    trained_on=1735689601,
    em_iterations=25,
    extra={"seed": 7},
)

FULL_TEXT = """\
{
  "format": "zsm-store/1",
  "digest": "sha256:DIGEST",
  "schema_hash": "HASH",
  "tag": "brp_2024_q1",
  "trained_on": 1735689601,
  "em_iterations": 25,
  "record_count": 5000,
  "created_at": 1735689600,
  "log_prior_odds": -2.0,
  "upper_threshold": 0.9,
  "lower_threshold": 0.1,
  "mappings": [["voornamen","first_name"],["geboortedatum","dob","penalise_absence"]],
  "context": {"blocking":["year"],"limit":2,"link_type":"dedupe"},
  "extra": {"seed":7},
  "fields": [
    {"name":"voornamen","kind":"Name","null_rate":0.02,"cardinality":4312,\
"top_k":["Jan","Maria","J\\"\\n\u00e9"]},
    {"name":"geboortedatum","kind":"Date","null_rate":0.0,"cardinality":0,"top_k":[]}
  ],
  "m": [
    [0.02,0.06,0.12,0.8],
    [0.01,0.04,0.1,0.85]
  ],
  "u": [
    [0.7,0.15,0.1,0.05],
    [0.8,0.1,0.07,0.03]
  ]
}
"""

BARE_TEXT = """\
{
  "format": "zsm-store/1",
  "digest": "sha256:DIGEST",
  "schema_hash": "HASH",
  "tag": null,
  "trained_on": 0,
  "em_iterations": 0,
  "record_count": 0,
  "created_at": 0,
  "log_prior_odds": 0.0,
  "upper_threshold": 1.0,
  "lower_threshold": 0.0,
  "fields": [],
  "m": [],
  "u": []
}
"""

BARE = ModelArtifact(
    fingerprint=SchemaFingerprint(
        schema_hash=HASH, field_stats=(), record_count=0, created_at=0
    ),
    params=ModelParams(
        m=(), u=(), log_prior_odds=0, upper_threshold=1, lower_threshold=0
    ),
    em_iterations=0,
    trained_on=0,
)


def plain_digest(document: dict[str, Any]) -> str:
    """Return a document's digest by the rule of the format, with nothing of ours."""

    def integral(value: Any) -> Any:
        if isinstance(value, float) and value.is_integer():
            return int(value)
        if isinstance(value, dict):
            return {key: integral(item) for key, item in value.items()}
        return [integral(item) for item in value] if isinstance(value, list) else value

    content = integral({key: document[key] for key in document if key != "digest"})
    text = json.dumps(
        content, sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def complete(text: str) -> bytes:
    """Fill the place holders of a literal document."""
    text = text.replace("HASH", HASH)
    stated = plain_digest(json.loads(text)).removeprefix("sha256:")
    return text.replace("DIGEST", stated).encode()


def document(artifact: ModelArtifact = FULL) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(encode(artifact))
    return parsed


def written(value: Any) -> bytes:
    """Write a document with the digest that it should have."""
    if isinstance(value, dict):
        content = {key: item for key, item in value.items() if key != "digest"}
        stated = "sha256:" + hashlib.sha256(canonical_json(content)).hexdigest()
        value = {**value, "digest": stated}
    return json.dumps(value, ensure_ascii=False).encode()


def refusal(data: bytes, schema_hash: str | None = None) -> ArtifactFormatError:
    with pytest.raises(ArtifactFormatError) as caught:
        decode(data, schema_hash)
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("artifact", "text"),
    [(FULL, FULL_TEXT), (BARE, BARE_TEXT)],
    ids=["everything", "nothing"],
)
def test_the_layout_is_the_documented_one_byte_for_byte(
    artifact: ModelArtifact, text: str
) -> None:
    assert encode(artifact).decode() == complete(text).decode()
    assert decode(complete(text), HASH) == artifact


@pytest.mark.parametrize("artifact", [FULL, BARE], ids=["everything", "nothing"])
def test_the_digest_follows_the_rule_of_the_format(artifact: ModelArtifact) -> None:
    expected = plain_digest(document(artifact))
    data, stated = encode_with_digest(artifact)
    assert data == encode(artifact)
    assert stated == digest(artifact) == expected
    assert document(artifact)["digest"] == expected
    assert json.loads(data)["digest"] == expected


def test_what_is_optional_stands_there_only_when_set() -> None:
    for key in ("mappings", "context", "extra"):
        assert key in document(FULL)
        assert key not in document(BARE)
    empty = ModelArtifact(
        fingerprint=examples.fingerprint(context={}),
        params=BARE.params,
        em_iterations=0,
        trained_on=0,
        extra={},
    )
    assert document(empty)["context"] == document(empty)["extra"] == {}
    assert decode(encode(empty)) == empty


REWRITES: dict[str, Callable[[bytes], bytes]] = {
    "CRLF": lambda data: data.replace(b"\n", b"\r\n"),
    "indented": lambda data: json.dumps(json.loads(data), indent=4).encode(),
    "on one line": lambda data: json.dumps(json.loads(data)).encode(),
    "sorted": lambda data: json.dumps(json.loads(data), sort_keys=True).encode(),
    "reversed": lambda data: json.dumps(
        dict(reversed(json.loads(data).items()))
    ).encode(),
    "ASCII": lambda data: json.dumps(json.loads(data), ensure_ascii=True).encode(),
    "without .0": lambda data: data.replace(b".0,", b","),
    "exponents": lambda data: data.replace(b" -2.0,", b" -20e-1,"),
    "no final newline": lambda data: data.rstrip(),
    "blank lines": lambda data: b"\n\n" + data.replace(b"\n", b"\n\n"),
}


@pytest.mark.parametrize("rewrite", REWRITES.values(), ids=REWRITES)
def test_the_digest_survives_another_spelling(
    rewrite: Callable[[bytes], bytes],
) -> None:
    data = encode(FULL)
    other = rewrite(data)
    assert other != data
    assert decode(other, HASH) == FULL


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths to every value and every empty list or object."""
    if isinstance(value, dict | list) and value:
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return [one for key, item in items for one in leaves(item, (*path, key))]
    return [path]


def nodes(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths to everything but the whole."""
    found = [path] if path else []
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        found += [one for key, item in items for one in nodes(item, (*path, key))]
    return found


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    changed = copy.deepcopy(value)
    at = changed
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = new(at[path[-1]]) if callable(new) else new
    return changed


def another(value: Any) -> Any:
    match value:
        case bool() | None | [] | {}:
            return "x"
        case str():
            return value + "x"
        case _:
            return value + 1


@pytest.mark.parametrize("path", leaves(document()), ids=repr)
def test_a_change_of_any_value_breaks_the_digest(path: tuple[Any, ...]) -> None:
    changed = replaced(document(), path, another)
    error = refusal(json.dumps(changed).encode())
    assert error.code == ("ZSM014" if path == ("format",) else "ZSM020")


@pytest.mark.parametrize("path", nodes(document()), ids=repr)
def test_a_value_that_is_gone_breaks_the_file(path: tuple[Any, ...]) -> None:
    changed = document()
    at = changed
    for key in path[:-1]:
        at = at[key]
    del at[path[-1]]
    refusal(json.dumps(changed).encode())


def test_the_smallest_change_of_a_float32_breaks_the_digest() -> None:
    changed = replaced(document(), ("m", 0, 0), float(np.nextafter(0.02, 1)))
    assert refusal(json.dumps(changed).encode()).code == "ZSM020"


def test_a_blend_of_two_trainings_is_seen() -> None:
    other = copy.deepcopy(document(examples.trained(FULL.fingerprint)))
    blend = document() | {"u": other["u"]}
    error = refusal(json.dumps(blend, indent=2).encode())
    assert error.code == "ZSM020"
    assert "blended" in str(error)
    assert error.line == 3  # where the digest stands


def test_a_file_of_another_name_is_refused() -> None:
    error = refusal(encode(FULL), "0" * 64)
    assert error.code == "ZSM021"
    assert error.line == 4
    assert HASH in str(error)
    assert decode(encode(FULL), HASH) == decode(encode(FULL)) == FULL


@pytest.mark.parametrize("found", ["zsm-store/2", "zsm-store/1.1", "zsm-store/"])
def test_a_newer_format_says_to_upgrade(found: str) -> None:
    error = refusal(written({**document(), "format": found}))
    assert error.code == "ZSM014"
    assert "upgrade zsm-store" in str(error)
    assert repr(found) in str(error)


@pytest.mark.parametrize("found", [None, 1, "other/1", "ZSM-STORE/1", [], {}])
def test_another_format_is_no_artifact(found: object) -> None:
    error = refusal(written({**document(), "format": found}))
    assert error.code == "ZSM014"
    assert "upgrade" not in str(error)


def test_a_json_object_of_something_else_is_no_artifact() -> None:
    assert refusal(b'{"name": "package.json"}').code == "ZSM014"


@pytest.mark.parametrize("key", document(BARE))
def test_a_missing_key_is_named(key: str) -> None:
    changed = document(BARE)
    del changed[key]
    error = refusal(json.dumps(changed).encode())
    assert error.code == ("ZSM014" if key == "format" else "ZSM016")
    assert key in str(error)


@pytest.mark.parametrize("key", ["note", "Tag", "", "m ", "\x1b[31m"], ids=ascii)
def test_an_unknown_key_is_named(key: str) -> None:
    error = refusal(written({**document(), key: 1}))
    assert error.code == "ZSM016"
    assert f"unknown key {key!r}" in str(error)


FIELD = {"name": "a", "kind": "Name", "null_rate": 0, "cardinality": 0, "top_k": []}
NOT_U64 = [None, "1", 1.5, True, -1, 2.0**64, [], {}]
NOT_A_NUMBER = [None, "0.5", True, False, [], {}, [0.5]]
NOT_A_LIST = [None, 1, "ab", True, {}]
NOT_ROWS = [*NOT_A_LIST, [0.5], [[0.5], 0.5], [["0.5"]], [[None]], [[True]], [[[0.5]]]]

WRONG: dict[str, list[Any]] = {
    "digest": [None, 1, [], {}],
    "schema_hash": [None, 1, "", "3fa1", HASH.upper(), [], {}],
    "tag": [1, True, [], {}],
    "trained_on": NOT_U64,
    "em_iterations": NOT_U64,
    "record_count": NOT_U64,
    "created_at": NOT_U64,
    "log_prior_odds": [*NOT_A_NUMBER, 1e39, -1e300],
    "upper_threshold": [*NOT_A_NUMBER, 1.5, -0.5, 0.0625],
    "lower_threshold": [*NOT_A_NUMBER, 1.5, -0.5, 0.9375],
    "mappings": [
        *NOT_A_LIST,
        *[[value] for value in (1, "ab", {}, [], ["a"], ["a", 1], [None, "b"])],
        *[[["a", "b", value]] for value in ("other", [], 1, None)],
        [["a", "b", "skip", 1]],
    ],
    "context": [None, 1, "a", True, [], ["a"]],
    "extra": [None, 1, "a", True, [], ["a"]],
    "m": [*NOT_ROWS, [[0.5, 0.5], [0.5, 0.5, 0.5]], [[2.0] * 4] * 2, []],
    "u": [*NOT_ROWS, [[0.5, 0.5], [0.5, 0.5, 0.5]], [[-0.5] * 4] * 2, []],
    "fields": [
        *NOT_A_LIST,
        [1],
        [[]],
        [{}],
        [{**FIELD, "other": 1}],
        [{key: FIELD[key] for key in FIELD if key != "top_k"}],
        *[[{**FIELD, "name": value}] for value in (None, 1, [], {})],
        *[[{**FIELD, "kind": value}] for value in (None, 0, "name", "", [], {})],
        *[[{**FIELD, "null_rate": value}] for value in (*NOT_A_NUMBER, 1e39)],
        *[[{**FIELD, "cardinality": value}] for value in NOT_U64],
        *[[{**FIELD, "top_k": value}] for value in (*NOT_A_LIST, [1], [None], [[]])],
    ],
}


@pytest.mark.parametrize("key", WRONG)
def test_a_value_of_the_wrong_form_is_refused_although_the_digest_is_right(
    key: str,
) -> None:
    expected = {"digest": "ZSM020"}.get(key, "ZSM016")
    for value in WRONG[key]:
        changed = {**document(), key: value}
        data = json.dumps(changed).encode() if key == "digest" else written(changed)
        try:
            decode(data)
        except ArtifactFormatError as error:
            assert error.code == expected, value  # noqa: PT017  # says which value
        else:
            pytest.fail(f"accepted {value!r} as {key}")


def test_every_key_has_wrong_values_here() -> None:
    assert document().keys() - {"format"} == WRONG.keys()


@given(st.data(), zst.json_values())
def test_any_node_may_be_anything_and_nothing_but_our_error_is_raised(
    data, value
) -> None:
    whole = document()
    path = data.draw(st.sampled_from(nodes(whole)))
    changed = replaced(whole, path, value)
    for text in (json.dumps(changed).encode(), written(changed)):
        try:
            artifact = decode(text)
        except ArtifactFormatError as error:
            assert "\n" not in str(error)  # noqa: PT017  # either is fine
        else:
            assert decode(encode(artifact)) == artifact


@pytest.mark.parametrize(
    "path", [("tag",), ("m", 0, 0), ("context", "limit")], ids=repr
)
@pytest.mark.parametrize("deep", [201, 253, 254, 255, 400, 900])
def test_deep_nesting_anywhere_is_our_error(path: tuple[Any, ...], deep: int) -> None:
    mark = '"DEEP"'
    text = json.dumps(replaced(document(), path, "DEEP"))
    for opening, closing in (("[", "]"), ('{"a":', "}")):
        nested = text.replace(mark, opening * deep + "1" + closing * deep)
        assert nested != text
        refusal(nested.encode())


@pytest.mark.parametrize("deep", [10, 190])
def test_extra_may_nest_and_comes_back(deep: int) -> None:
    value: dict[str, Any] = {}
    for _ in range(deep):
        value = {"a": value}
    artifact = examples.trained(extra=value)
    assert decode(encode(artifact)).extra == value


@pytest.mark.parametrize("deep", [198, 199, 200, 201, 253, 254, 255, 400])
def test_what_nests_too_deeply_to_be_read_back_is_not_written(deep: int) -> None:
    value: dict[str, Any] = {}
    for _ in range(deep):
        value = {"a": value}
    try:
        data = encode(examples.trained(extra=value))
    except InvalidArtifactError:
        return
    assert decode(data).extra == value


def test_a_broken_spelling_is_refused_with_its_own_code(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = encode(FULL)
    assert refusal(b"").code == "ZSM011"
    assert refusal(b"\xef\xbb\xbf" + data).code == "ZSM012"
    assert refusal(data.replace(b"-2.0", b"NaN")).code == "ZSM012"
    assert refusal(data.replace(b"-2.0", b"1e999")).code == "ZSM012"
    assert refusal(data[:-3]).code == "ZSM012"
    twice = data.replace(b'  "tag"', b'  "tag": null,\n  "tag"')
    assert (refusal(twice).code, refusal(twice).line) == ("ZSM013", 6)
    conflict = data.replace(b'  "tag"', b'<<<<<<< ours\n  "tag"')
    assert (refusal(conflict).code, refusal(conflict).line) == ("ZSM010", 5)
    monkeypatch.setattr(strict_json, "MAX_BYTES", len(data) - 1)
    assert refusal(data).code == "ZSM015"


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"m": ((2.0,), (1.0,))}, r"m\[0\]\[0\] is 2.0"),
        ({"m": ()}, "m has 0 rows"),
        ({"log_prior_odds": float("nan")}, "log_prior_odds is nan"),
    ],
)
def test_what_the_peer_may_hold_is_not_written(
    broken: dict[str, Any], message: str
) -> None:
    values: dict[str, Any] = {
        "m": ((0.5,), (1.0,)),
        "u": ((0.5,), (1.0,)),
        "log_prior_odds": 0.0,
        "upper_threshold": 1.0,
        "lower_threshold": 0.0,
    }
    artifact = ModelArtifact(
        fingerprint=FULL.fingerprint,
        params=ModelParams.unvalidated(**{**values, **broken}),
        em_iterations=1,
    )
    for write in (encode, digest, encode_with_digest):
        with pytest.raises(InvalidArtifactError, match=message):
            write(artifact)


@pytest.mark.parametrize("bits", [0x7FC00000, 0x7F800000, 0xFF800000])
def test_a_null_rate_without_a_json_form_is_not_written(bits: int) -> None:
    stats = FieldStats(name="a", kind=FieldKind.NAME, null_rate=float32_from_bits(bits))
    fingerprint = SchemaFingerprint(
        schema_hash=HASH, field_stats=(stats,), record_count=1, created_at=0
    )
    artifact = ModelArtifact(
        fingerprint=fingerprint, params=BARE.params, em_iterations=0
    )
    with pytest.raises(InvalidArtifactError, match="null rate of 'a'"):
        encode(artifact)


POWERS = [bits << 23 for bits in range(1, 255)]


def significant(text: str) -> int:
    digits = text.lstrip("-").partition("e")[0].replace(".", "")
    return len(digits.strip("0")) or 1


def numbers_text(values: tuple[float, ...]) -> str:
    return "[" + ",".join(artifact_json._numbers(values)) + "]"


@given(zst.float32_bits())
@example(0x00000001)
@example(0x007FFFFF)
@example(0x00800000)
@example(0x7F7FFFFF)
@example(0xFF7FFFFF)
@example(0x80000000)
@example(0x3DCCCCCD)
def test_float32_text_is_the_shortest_that_reads_back(bits) -> None:
    value = np.uint32(bits).view(np.float32)
    if not np.isfinite(value):
        return
    (text,) = json.loads(numbers_text((float(value),)), parse_float=str, parse_int=str)
    read = np.float32(text)
    assert read.view(np.uint32) == bits
    # In two steps, as a reader does that knows only doubles.
    assert struct.pack("<f", float(text)) == int(bits).to_bytes(4, "little")
    expected = np.format_float_scientific(value, unique=True, trim="-")
    assert significant(text) == significant(expected)


@pytest.mark.parametrize("sign", [0, 1])
def test_float32_text_of_every_power_of_two_reads_back(sign: int) -> None:
    values = [float32_from_bits(sign << 31 | bits) for bits in POWERS]
    text = numbers_text(tuple(values))
    assert json.loads(text) == [float(one) for one in json.loads(text)]
    read = np.array([float(one) for one in json.loads(text, parse_float=str)])
    assert read.astype(np.float32).tolist() == values


def test_numbers_are_read_as_they_are_written_elsewhere() -> None:
    # More digits than needed, or an integer, mean the same float32.
    changed = {**document(), "log_prior_odds": -2, "upper_threshold": 0.8999999762}
    artifact = decode(written(changed))
    assert artifact.params == FULL.params


def test_integers_keep_64_bits() -> None:
    largest = {"trained_on": 2**64 - 1, "created_at": 2**64 - 1}
    artifact = decode(written({**document(), **largest}))
    assert artifact.trained_on == 2**64 - 1
    assert document(artifact)["created_at"] == 2**64 - 1


@pytest.mark.parametrize("count", [10, 1_000, 3_000, 30_000, 300_000])
@pytest.mark.parametrize("item", [1, 0.5, [[[]]], {"": 1}], ids=repr)
def test_dense_values_of_any_number_are_written_and_read(
    item: object, count: int
) -> None:
    # orjson takes our layout for that of the whole and gives up on what is denser.
    artifact = examples.trained(extra={"dense": [item] * (count // 10)})
    data, stated = encode_with_digest(artifact)
    assert json.loads(data)["digest"] == stated == digest(artifact)
    assert decode(data) == artifact


def test_reading_an_artifact_imports_nothing_that_it_does_not_use() -> None:
    unused = ("decimal", "heapq", "zsm_store.model.alignment")
    program = (
        "import sys, zsm_store.codec.artifact_json\n"
        f"sys.exit(', '.join(name for name in {unused} if name in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.stderr.strip() == ""
