"""Damaged and hostile input raises our errors, and nothing else, ever."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests import examples
from tests import strategies as zst
from zsm_store.codec import artifact_json, bincode
from zsm_store.codec.bincode import BincodeReader
from zsm_store.codec.bundle import (
    Bundle,
    MemorySource,
    encode_bundle,
)
from zsm_store.codec.bundle_body import HEADER_BYTES, MAGIC
from zsm_store.codec.bundle_entry import decode_entry, encode_entry
from zsm_store.codec.bundle_trailer import FOOTER_BYTES, encode_trailer
from zsm_store.codec.strict_json import parse_object
from zsm_store.errors import ArtifactFormatError, BundleFormatError
from zsm_store.model.schema import FieldMapping

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SLOW_S = 5.0

ARTIFACTS = sorted(
    (
        examples.trained(tag="brp", extra={"seed": 1}),
        examples.trained(
            examples.fingerprint(
                examples.SIM,
                mappings=[FieldMapping("imsi", "b")],
                context={"blocking": ["year"]},
            )
        ),
        examples.trained(examples.BRP_WITH_PHONE),
    ),
    key=lambda artifact: artifact.schema_hash,
)
OURS = b"".join(encode_bundle(ARTIFACTS, len(ARTIFACTS)))
ENTRIES = b"".join(map(encode_entry, ARTIFACTS))
PEERS = MAGIC + bincode.u64(len(ARTIFACTS)) + ENTRIES
TEXT = artifact_json.encode(ARTIFACTS[0])

BUNDLE_PIECES = [
    b"\x00" * 8,
    b"\xff" * 8,
    b"\x01" + b"\x00" * 7,
    MAGIC,
    OURS[-8:],
    b"\x00\x00\xc0\x7f",
    bytes.fromhex(ARTIFACTS[0].schema_hash),
]
"""What means something in a bundle, at the wrong place."""

JSON_PIECES = [
    b"{",
    b"}",
    b"[",
    b'"',
    b":",
    b",",
    b"\\",
    b"null",
    b"NaN",
    b"1e999",
    b'"a":1,',
    b"\n=======\n",
    b"\xff",
    b"\x00",
    b"[" * 2000,
    b"9" * 400,
    b'"\\ud800"',
]


@contextlib.contextmanager
def quickly() -> Iterator[None]:
    start = time.process_time()
    yield
    assert time.process_time() - start < SLOW_S


def read_everything(data: bytes) -> None:
    """Read a bundle in each way; anything but our error is a failure."""
    with quickly():
        with contextlib.suppress(BundleFormatError):
            list(Bundle(MemorySource(data)))
        with contextlib.suppress(BundleFormatError):
            bundle = Bundle(MemorySource(data))
            for key in bundle.keys():  # noqa: SIM118  # a bundle is no dict
                bundle.digest(key)
                bundle.offset(key)
                with contextlib.suppress(BundleFormatError):
                    bundle.read(key)


def resealed(data: bytes, body: bytes) -> bytes:
    """Put another body before a trailer, which then fits in length and hash."""
    records = Bundle(MemorySource(data))._trailer
    assert records is not None
    trailer = encode_trailer(list(records), len(body), hashlib.sha256(body).digest())
    return body + b"".join(trailer)


@st.composite
def mutations(draw: st.DrawFn, original: bytes, pieces: list[bytes]) -> bytes:
    """Bytes of a real file after some edits: overwritten, put in, taken out, moved."""
    data = bytearray(original)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(start + draw(st.integers(0, 40)), len(data))
        piece = draw(st.sampled_from(pieces) | st.binary(max_size=8))
        match draw(st.sampled_from(["overwrite", "insert", "delete", "move", "cut"])):
            case "overwrite":
                data[start : start + len(piece)] = piece
            case "insert":
                data[start:start] = piece
            case "delete":
                del data[start:end]
            case "move":
                moved = bytes(data[start:end])
                target = draw(st.integers(0, len(data)))
                data[target:target] = moved
            case "cut":
                del data[start:]
    return bytes(data)


@given(st.binary(max_size=300))
def test_random_bytes_are_no_bundle(data) -> None:
    with pytest.raises(BundleFormatError), quickly():
        list(Bundle(MemorySource(data)))


@given(st.binary(max_size=600), st.integers(0, 5) | zst.u64s())
def test_random_bytes_behind_a_header_raise_our_error(data, count) -> None:
    read_everything(MAGIC + bincode.u64(count) + data)
    read_everything(MAGIC + bincode.u64(count) + data + OURS[-FOOTER_BYTES:])


@given(st.binary(max_size=600))
@example(bytes(133))
@example(bytes(200))
def test_random_bytes_as_an_entry_raise_our_error(data) -> None:
    same_key = data[:32] * 2 + data[32:]
    for entry in (data, same_key):
        with contextlib.suppress(BundleFormatError), quickly():
            reader = BincodeReader(entry)
            artifact = decode_entry(reader)
            assert encode_entry(artifact) == entry[: reader.position]


@given(mutations(OURS, BUNDLE_PIECES))
def test_an_edited_bundle_of_ours_is_seen(data) -> None:
    read_everything(data)
    if data not in {OURS, PEERS}:
        with pytest.raises(BundleFormatError):
            list(Bundle(MemorySource(data)))


@given(mutations(PEERS, BUNDLE_PIECES))
def test_an_edited_bundle_of_the_peers_raises_our_error_or_is_read(data) -> None:
    read_everything(data)
    with contextlib.suppress(BundleFormatError):
        found = list(Bundle(MemorySource(data)))
        assert b"".join(map(encode_entry, found)) == data[HEADER_BYTES:]


@given(mutations(PEERS, BUNDLE_PIECES))
def test_an_edited_body_under_a_trailer_made_to_fit_is_seen(data) -> None:
    sealed = resealed(OURS, data)
    read_everything(sealed)
    if data != PEERS:
        # Every artifact has a digest of its own.
        with pytest.raises(BundleFormatError):
            list(Bundle(MemorySource(sealed)))


@given(mutations(OURS[len(PEERS) :], BUNDLE_PIECES))
def test_an_edited_trailer_with_a_hash_made_to_fit_raises_our_error(data) -> None:
    if len(data) < FOOTER_BYTES:
        return
    content = data[:-40]
    read_everything(PEERS + content + hashlib.sha256(content).digest() + OURS[-8:])


@given(st.binary(max_size=300))
def test_random_bytes_are_no_artifact(data) -> None:
    with pytest.raises(ArtifactFormatError), quickly():
        artifact_json.decode(data)


@given(st.lists(st.sampled_from(JSON_PIECES), max_size=30).map(b"".join))
def test_random_pieces_of_json_are_no_artifact(data) -> None:
    for text in (data, b"{" + data, b'{"a":' + data + b"}"):
        with quickly(), contextlib.suppress(ArtifactFormatError):
            parse_object(text)
        with pytest.raises(ArtifactFormatError) as caught, quickly():
            artifact_json.decode(text)
        assert "\n" not in str(caught.value)


@given(mutations(TEXT, JSON_PIECES))
def test_an_edited_artifact_is_refused_or_means_the_same(data) -> None:
    with quickly(), contextlib.suppress(ArtifactFormatError):
        assert artifact_json.decode(data) == ARTIFACTS[0]


@given(zst.json_values())
def test_another_json_value_is_no_artifact(value) -> None:
    with pytest.raises(ArtifactFormatError), quickly():
        artifact_json.decode(json.dumps(value).encode())


@given(st.dictionaries(st.sampled_from(sorted(json.loads(TEXT))), zst.json_values()))
def test_right_keys_with_any_values_raise_our_error_only(values) -> None:
    document: dict[str, Any] = {**json.loads(TEXT), **values, "format": "zsm-store/1"}
    with contextlib.suppress(ArtifactFormatError), quickly():
        document["digest"] = artifact_json._digest_of(document)
        artifact_json.decode(json.dumps(document).encode())


def test_a_text_cut_anywhere_is_refused() -> None:
    whole = len(TEXT.rstrip())
    for size in range(whole):
        with pytest.raises(ArtifactFormatError):
            artifact_json.decode(TEXT[:size])
    for size in range(whole, len(TEXT) + 1):
        assert artifact_json.decode(TEXT[:size]) == ARTIFACTS[0]


def test_a_changed_byte_of_a_text_is_refused_or_means_the_same() -> None:
    for offset in range(len(TEXT)):
        for mask in (0x01, 0x20, 0x80):
            changed = bytearray(TEXT)
            changed[offset] ^= mask
            with contextlib.suppress(ArtifactFormatError):
                assert artifact_json.decode(bytes(changed)) == ARTIFACTS[0]


def test_a_bundle_is_no_artifact_and_an_artifact_no_bundle() -> None:
    with pytest.raises(ArtifactFormatError):
        artifact_json.decode(OURS)
    with pytest.raises(BundleFormatError):
        Bundle(MemorySource(TEXT))


def test_the_peers_own_bundles_cut_or_changed_raise_our_error(golden_dir: Path) -> None:
    for path in sorted((golden_dir / "bundles").glob("*.zsm")):
        original = path.read_bytes()
        for size in range(len(original)):
            with pytest.raises(BundleFormatError):
                list(Bundle(MemorySource(original[:size])))
        for offset in range(len(original)):
            changed = bytearray(original)
            changed[offset] ^= 0xFF
            read_everything(bytes(changed))
