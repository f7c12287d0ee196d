from __future__ import annotations

import dataclasses
import hashlib
import time
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from tests import examples
from zsm_store.codec import artifact_json, bincode, bundle
from zsm_store.codec.bundle import (
    Bundle,
    MemorySource,
    encode_bundle,
)
from zsm_store.codec.bundle_body import HEADER_BYTES, MAGIC
from zsm_store.codec.bundle_entry import MIN_ENTRY_BYTES, encode_entry
from zsm_store.codec.bundle_trailer import (
    FOOTER_BYTES,
    TrailerRecord,
    encode_trailer,
)
from zsm_store.errors import BundleFormatError, FormatError, InvalidArtifactError
from zsm_store.model.artifact import ModelArtifact
from zsm_store.model.fingerprint import SchemaFingerprint
from zsm_store.model.params import ModelParams
from zsm_store.model.schema import FieldMapping, NullPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

EXTENDED = examples.trained(
    examples.fingerprint(
        examples.SIM,
        mappings=[FieldMapping("imsi", "b", NullPolicy.PENALISE_ABSENCE)],
        context={"blocking": ["year"]},
    ),
    tag="sim",
    extra={"seed": 1},
)
PLAIN = examples.trained(tag="brp")
UNTAGGED = examples.trained(examples.BRP_WITH_PHONE)
ARTIFACTS = sorted(
    (EXTENDED, PLAIN, UNTAGGED), key=lambda artifact: artifact.schema_hash
)


def packed(artifacts: Iterable[ModelArtifact] = ARTIFACTS) -> bytes:
    listed = list(artifacts)
    return b"".join(encode_bundle(listed, len(listed)))


def body(*entries: bytes) -> bytes:
    """Return what the peer writes: no trailer."""
    return MAGIC + bincode.u64(len(entries)) + b"".join(entries)


def opened(data: bytes) -> Bundle:
    return Bundle(StrictSource(data))


def refusal(data: bytes) -> BundleFormatError:
    with pytest.raises(BundleFormatError) as caught:
        list(opened(data))
    assert "\n" not in str(caught.value)
    return caught.value


def without_extension(artifact: ModelArtifact) -> ModelArtifact:
    fingerprint = dataclasses.replace(artifact.fingerprint, mappings=(), context=None)
    return dataclasses.replace(artifact, fingerprint=fingerprint, extra=None)


DATA = packed()
ENTRIES = [encode_entry(artifact) for artifact in ARTIFACTS]
BODY_BYTES = HEADER_BYTES + sum(map(len, ENTRIES))


class StrictSource(MemorySource):
    """A file, which cannot be asked for bytes that it cannot have."""

    def read(self, offset: int, length: int) -> bytes:
        assert 0 <= offset <= self.size
        assert length >= 0
        return super().read(offset, length)


class CountingSource(MemorySource):
    """Notes which bytes are read."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.reads: list[tuple[int, int]] = []

    def read(self, offset: int, length: int) -> bytes:
        assert offset >= 0
        assert length >= 0
        self.reads.append((offset, offset + length))
        return super().read(offset, length)


# What a bundle holds


def test_artifacts_come_back_with_all_that_they_have() -> None:
    found = opened(DATA)
    assert found.has_trailer
    assert found.count == 3
    assert list(found) == ARTIFACTS
    assert list(found) == ARTIFACTS  # again: a bundle is no one-way stream
    assert found.keys() == tuple(one.schema_hash for one in ARTIFACTS)
    for artifact in ARTIFACTS:
        assert found.read(artifact.schema_hash) == artifact
        assert found.digest(artifact.schema_hash) == artifact_json.digest(artifact)


def test_the_body_is_the_peers_format() -> None:
    assert DATA[:BODY_BYTES] == body(*ENTRIES)
    empty = packed([])
    assert empty[:HEADER_BYTES] == bytes.fromhex("5a534d01") + bytes(8)
    assert len(empty) == HEADER_BYTES + FOOTER_BYTES
    assert list(opened(empty)) == []


def test_the_trailer_is_laid_out_as_documented() -> None:
    trailer = DATA[BODY_BYTES:]
    extension = (
        b'{"mappings":[["imsi","b","penalise_absence"]],'
        b'"context":{"blocking":["year"]},"extra":{"seed":1}}'
    )
    expected, offset, start = b"", HEADER_BYTES, 0
    for artifact, entry in zip(ARTIFACTS, ENTRIES, strict=True):
        size = len(extension) if artifact is EXTENDED else 0
        digest = artifact_json.digest(artifact).removeprefix("sha256:")
        expected += bytes.fromhex(artifact.schema_hash) + bytes.fromhex(digest)
        for number in (offset, len(entry), start, size):
            expected += bincode.u64(number)
        offset, start = offset + len(entry), start + size
    expected += extension
    for number in (BODY_BYTES, 3, len(extension)):
        expected += bincode.u64(number)
    expected += hashlib.sha256(DATA[:BODY_BYTES]).digest()
    expected += hashlib.sha256(expected).digest() + b"ZSMTRLR\x01"
    assert trailer == expected


def test_without_its_trailer_a_bundle_is_the_peers() -> None:
    found = opened(DATA[:BODY_BYTES])
    assert not found.has_trailer
    assert list(found) == list(map(without_extension, ARTIFACTS))
    for artifact in ARTIFACTS:
        assert found.digest(artifact.schema_hash) is None
        assert found.read(artifact.schema_hash) == without_extension(artifact)


def test_the_peers_entries_may_be_in_any_order() -> None:
    found = opened(body(*ENTRIES[::-1]))
    assert [one.schema_hash for one in found] == [
        one.schema_hash for one in ARTIFACTS[::-1]
    ]
    assert found.keys() == tuple(one.schema_hash for one in ARTIFACTS)
    for artifact in ARTIFACTS:
        assert found.read(artifact.schema_hash) == without_extension(artifact)


def test_equal_artifacts_give_equal_bytes() -> None:
    assert packed() == DATA
    assert packed(opened(DATA)) == DATA


@pytest.mark.parametrize("data", [DATA, body(*ENTRIES)], ids=["ours", "the peer's"])
def test_the_offset_of_an_artifact_is_that_of_its_key(data: bytes) -> None:
    found = opened(data)
    for artifact, entry in zip(ARTIFACTS, ENTRIES, strict=True):
        offset = found.offset(artifact.schema_hash)
        assert data[offset : offset + len(entry)] == entry


@pytest.mark.parametrize("data", [DATA, body(*ENTRIES)], ids=["ours", "the peer's"])
@pytest.mark.parametrize(
    "missing",
    ["0" * 64, "f" * 64, PLAIN.schema_hash.upper(), PLAIN.schema_hash[:-1], "", "xyz"],
)
def test_an_artifact_that_is_not_there_is_a_key_error(
    data: bytes, missing: str
) -> None:
    found = opened(data)
    with pytest.raises(KeyError):
        found.read(missing)
    with pytest.raises(KeyError):
        found.offset(missing)
    if found.has_trailer:
        with pytest.raises(KeyError):
            found.digest(missing)


# What is read


def test_opening_reads_header_and_trailer_only() -> None:
    source = CountingSource(DATA)
    found = Bundle(source)
    found.keys()
    for artifact in ARTIFACTS:
        found.digest(artifact.schema_hash)
        found.offset(artifact.schema_hash)
    for start, end in source.reads:
        assert end <= HEADER_BYTES or start >= BODY_BYTES


@pytest.mark.parametrize("number", range(3))
def test_reading_one_artifact_touches_no_other(number: int) -> None:
    source = CountingSource(DATA)
    found = Bundle(source)
    source.reads.clear()
    artifact = ARTIFACTS[number]
    assert found.read(artifact.schema_hash) == artifact
    start = found.offset(artifact.schema_hash)
    assert source.reads == [(start, start + len(ENTRIES[number]))]


def test_damage_elsewhere_does_not_reach_an_artifact() -> None:
    for number, artifact in enumerate(ARTIFACTS):
        data = bytearray(DATA)
        for other, entry in enumerate(ENTRIES):
            start = opened(DATA).offset(ARTIFACTS[other].schema_hash)
            if other != number:
                data[start : start + len(entry)] = bytes(len(entry))
        found = opened(bytes(data))
        assert found.read(artifact.schema_hash) == artifact
        with pytest.raises(BundleFormatError):
            list(found)


@pytest.mark.parametrize("window", [1, 7, 64, MIN_ENTRY_BYTES, 400, 1000, 1 << 20])
@pytest.mark.parametrize("data", [DATA, body(*ENTRIES)], ids=["ours", "the peer's"])
def test_the_window_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, data: bytes, window: int
) -> None:
    expected = list(opened(data))
    monkeypatch.setattr(bundle, "_WINDOW_BYTES", window)
    found = opened(data)
    assert list(found) == expected
    assert [found.read(one.schema_hash) for one in expected] == expected


def test_a_stream_never_holds_more_than_a_window_and_an_entry(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bundle, "_WINDOW_BYTES", 256)
    source = CountingSource(DATA)
    stream = iter(Bundle(source))
    source.reads.clear()
    assert next(stream) == ARTIFACTS[0]
    assert max(end for _, end in source.reads) <= HEADER_BYTES + 2 * max(
        256, len(ENTRIES[0])
    )


def test_artifacts_are_encoded_one_at_a_time() -> None:
    taken: list[str] = []

    def artifacts() -> Iterable[ModelArtifact]:
        for artifact in ARTIFACTS:
            taken.append(artifact.schema_hash)
            yield artifact

    pieces = encode_bundle(artifacts(), 3)
    assert next(pieces) == MAGIC + bincode.u64(3)
    assert taken == []
    for number, entry in enumerate(ENTRIES, start=1):
        assert next(pieces) == entry
        assert len(taken) == number


# What is not written


def test_artifacts_out_of_order_are_not_written() -> None:
    for artifacts in (ARTIFACTS[::-1], [PLAIN, PLAIN]):
        with pytest.raises(InvalidArtifactError, match="out of order"):
            packed(artifacts)


@pytest.mark.parametrize("announced", [0, 2, 4])
def test_another_number_than_announced_is_not_written(announced: int) -> None:
    with pytest.raises(InvalidArtifactError, match=f"announced {announced} .* got 3"):
        b"".join(encode_bundle(ARTIFACTS, announced))


def test_what_breaks_the_rules_is_not_written() -> None:
    with pytest.raises(InvalidArtifactError, match="m has 2 rows"):
        packed([dataclasses.replace(PLAIN, params=broken_params())])


def broken_params() -> ModelParams:
    return ModelParams.unvalidated(
        m=[[2.0], []],
        u=[[1.0]],
        log_prior_odds=float("inf"),
        upper_threshold=-1.0,
        lower_threshold=7.0,
    )


def test_what_breaks_the_rules_is_read_from_the_peer() -> None:
    held = dataclasses.replace(PLAIN, params=broken_params())
    assert list(opened(body(encode_entry(held)))) == [held]


# Damage


def test_cut_anywhere_but_at_the_end_of_the_body_a_bundle_is_refused() -> None:
    for size in range(len(DATA)):
        if size == BODY_BYTES:  # exactly the peer's part
            assert len(list(opened(DATA[:size]))) == 3
        else:
            refusal(DATA[:size])


def test_cut_anywhere_the_peers_bundle_is_refused_within_it() -> None:
    data = body(*ENTRIES)
    for size in range(len(data)):
        assert refusal(data[:size]).offset <= size


@pytest.mark.parametrize("mask", [0x01, 0x80, 0xFF])
def test_a_changed_byte_anywhere_is_seen(mask: int) -> None:
    small = packed([EXTENDED])
    for offset in range(len(small)):
        changed = bytearray(small)
        changed[offset] ^= mask
        refusal(bytes(changed))


def test_bytes_put_in_or_taken_out_anywhere_are_seen() -> None:
    small = packed([EXTENDED])
    for offset in range(len(small) + 1):
        refusal(small[:offset] + b"\x00" + small[offset:])
        if offset < len(small):
            refusal(small[:offset] + small[offset + 1 :])


@pytest.mark.parametrize("data", [DATA, body(*ENTRIES), body()], ids=len)
@pytest.mark.parametrize(
    "rest", [b"\x00", b"\n", b"x" * 1000, DATA, bytes(FOOTER_BYTES)]
)
def test_bytes_behind_the_end_are_refused(data: bytes, rest: bytes) -> None:
    refusal(data + rest)


def test_bytes_behind_the_peers_map_are_named_with_their_offset() -> None:
    error = refusal(body(*ENTRIES) + b"rest")
    assert error.offset == BODY_BYTES
    assert str(error).endswith("found 4 bytes")


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", "an empty file"),
        (b"Z", "5a"),
        (b"ZSM\x02" + bytes(8), "5a534d02"),
        (b"{\n  ", "7b0a2020"),
        (artifact_json.encode(PLAIN), "7b0a2020"),
        (b"PK\x03\x04" + bytes(100), "504b0304"),
    ],
    ids=["empty", "cut", "version", "text", "an artifact's JSON", "zip"],
)
def test_what_is_no_bundle_is_named_by_its_magic(data: bytes, found: str) -> None:
    error = refusal(data)
    assert str(error) == f"expected magic 5a534d01 at byte 0, found {found}"


KIND_AT = 32 + 32 + 8 + 8 + len("voornamen")
"""Of the first field of `PLAIN`, in its entry."""

PLAIN_ENTRY = encode_entry(PLAIN)
OPTION_AT = len(PLAIN_ENTRY) - 16 - len("brp") - 8 - 1


def patched(offset: int, new: bytes) -> bytes:
    """Return the peer's bundle of `PLAIN` alone, changed within its entry."""
    entry = PLAIN_ENTRY
    return body(entry[:offset] + new + entry[offset + len(new) :])


def test_the_offsets_of_this_test_are_right() -> None:
    assert PLAIN_ENTRY[KIND_AT - 9 : KIND_AT] == b"voornamen"
    assert PLAIN_ENTRY[OPTION_AT : OPTION_AT + 9] == b"\x01" + bincode.u64(3)


@pytest.mark.parametrize("kind", [12, 13, 255, 2**32 - 1])
def test_an_unknown_kind_is_refused_with_its_offset(kind: int) -> None:
    error = refusal(patched(KIND_AT, bincode.u32(kind)))
    assert error.offset == HEADER_BYTES + KIND_AT
    assert str(error).startswith("expected a field kind up to 11 at byte")
    assert str(error).endswith(f"found {kind}")


@pytest.mark.parametrize("option", [2, 255])
def test_an_unknown_option_byte_is_refused_with_its_offset(option: int) -> None:
    error = refusal(patched(OPTION_AT, bytes([option])))
    assert error.offset == HEADER_BYTES + OPTION_AT
    assert "0 or 1 before the tag" in str(error)


def test_a_key_that_differs_from_the_hash_is_refused_with_its_offset() -> None:
    for offset in (0, 31, 32, 63):
        changed = bytes([PLAIN_ENTRY[offset] ^ 1])
        error = refusal(patched(offset, changed))
        assert error.offset == HEADER_BYTES + 32
        assert "as in the key" in str(error)


def test_bad_utf8_is_refused_with_its_offset() -> None:
    error = refusal(patched(KIND_AT - 1, b"\xff"))
    assert error.offset == HEADER_BYTES + KIND_AT - 1
    assert "UTF-8 in field name" in str(error)


def test_a_key_that_stands_twice_is_refused_with_its_offset() -> None:
    other = encode_entry(UNTAGGED)
    error = refusal(body(PLAIN_ENTRY, other, PLAIN_ENTRY))
    assert error.offset == HEADER_BYTES + len(PLAIN_ENTRY) + len(other)
    assert PLAIN.schema_hash in str(error)
    with pytest.raises(BundleFormatError, match="once"):
        opened(body(PLAIN_ENTRY, PLAIN_ENTRY)).keys()


@pytest.mark.parametrize("count", [0, 1, 2, 4, 5, 2**32, 2**64 - 1])
@pytest.mark.parametrize("data", [DATA, body(*ENTRIES)], ids=["ours", "the peer's"])
def test_another_count_in_the_header_is_refused(data: bytes, count: int) -> None:
    refusal(data[:4] + bincode.u64(count) + data[HEADER_BYTES:])


@pytest.mark.parametrize("count", [4, 2**32, 2**64 - 1])
def test_more_entries_than_fit_are_refused_at_once(count: int) -> None:
    short = MAGIC + bincode.u64(count) + bytes(3 * MIN_ENTRY_BYTES)
    with pytest.raises(BundleFormatError, match=f"{count} entries at byte 4"):
        opened(short)


LENGTHS_AT = {
    "fields": 64,
    "bytes of field name": 72,
    "frequent values": KIND_AT + 4 + 4 + 8,
    "bytes of tag": OPTION_AT + 1,
}


@pytest.mark.parametrize("length", [2**64 - 1, 2**63, 2**40, 100_000])
@pytest.mark.parametrize("what", LENGTHS_AT)
def test_a_huge_length_is_refused_with_its_offset(what: str, length: int) -> None:
    error = refusal(patched(LENGTHS_AT[what], bincode.u64(length)))
    assert error.offset == HEADER_BYTES + LENGTHS_AT[what]
    assert f"{length} {what}" in str(error)


@pytest.mark.parametrize("length", [2**64 - 1, 2**40, 5_000_000])
def test_no_length_anywhere_takes_much_time_or_memory(length: int) -> None:
    # Behind the first entry there is enough to be mistaken for what a length announces.
    filled = b"\x00" * (1 << 20)
    for offset in range(len(PLAIN_ENTRY) - 8):
        if offset % 8 and offset not in LENGTHS_AT.values():
            continue
        data = patched(offset, bincode.u64(length)) + filled
        tracemalloc.start()
        start = time.process_time()
        try:
            refusal(data)
        finally:
            spent = time.process_time() - start
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        assert peak < 4 * len(data) + (1 << 20), offset
        assert spent < 5


# Trailers that somebody made


def crafted(
    artifacts: list[ModelArtifact], change: Callable[[TrailerRecord], TrailerRecord]
) -> bytes:
    """Return a bundle whose trailer has been changed, its own hash included."""
    offset, records, entries = HEADER_BYTES, [], []
    for artifact in artifacts:
        entry = encode_entry(artifact)
        entries.append(entry)
        record = TrailerRecord(
            schema_hash=artifact.schema_hash,
            digest=artifact_json.digest(artifact),
            offset=offset,
            length=len(entry),
        )
        records.append(change(record))
        offset += len(entry)
    whole = body(*entries)
    sha256 = hashlib.sha256(whole).digest()
    return whole + b"".join(encode_trailer(records, len(whole), sha256))


def test_a_trailer_that_is_crafted_honestly_is_accepted() -> None:
    two = sorted((PLAIN, UNTAGGED), key=lambda one: one.schema_hash)
    assert crafted(two, lambda record: record) == packed(two)


EXTENSIONS = [
    b"{",
    b"[]",
    b"null",
    b"\xff",
    b'{"mappings":5}',
    b'{"mappings":[["a"]]}',
    b'{"mappings":[["a",1]]}',
    b'{"mappings":[["a","b","other"]]}',
    b'{"context":[1]}',
    b'{"context":null}',
    b'{"context":"a"}',
    b'{"extra":5}',
    b'{"extra":null}',
    b'{"extra":{"a":1,"a":1}}',
    b'{"extra":{"a":NaN}}',
    b'{"extra":{"a":1}}',  # not what the digest says
    *[
        b'{"extra":' + b'{"a":' * deep + b"1" + b"}" * (deep + 1)
        for deep in (190, 201, 253, 254, 255, 600, 100_000)
    ],
]


@pytest.mark.parametrize(
    "extension", EXTENSIONS, ids=[ascii(one[:30]) + str(len(one)) for one in EXTENSIONS]
)
def test_a_bad_extension_is_a_damaged_bundle(extension: bytes) -> None:
    data = crafted(
        [PLAIN], lambda record: dataclasses.replace(record, extension=extension)
    )
    assert refusal(data).offset == HEADER_BYTES
    with pytest.raises(BundleFormatError):
        opened(data).read(PLAIN.schema_hash)


@pytest.mark.parametrize(
    "changes",
    [
        {"offset": 0},
        {"offset": HEADER_BYTES - 1},
        {"offset": HEADER_BYTES + 1},
        {"offset": 2**64 - 1},
        {"length": 0},
        {"length": MIN_ENTRY_BYTES},
        {"length": len(PLAIN_ENTRY) - 1},
        {"length": len(PLAIN_ENTRY) + 1},
        {"length": 2**64 - 1},
        {"offset": HEADER_BYTES + 1, "length": len(PLAIN_ENTRY) - 1},
        {"schema_hash": "0" * 64},
        {"digest": "sha256:" + "0" * 64},
    ],
    ids=repr,
)
def test_a_record_that_does_not_fit_its_entry_is_refused(
    changes: dict[str, Any],
) -> None:
    data = crafted([PLAIN], lambda record: dataclasses.replace(record, **changes))
    refusal(data)
    found = opened(data)
    with pytest.raises(BundleFormatError):
        found.read(changes.get("schema_hash", PLAIN.schema_hash))


def test_a_record_that_reaches_into_the_next_entry_is_refused() -> None:
    two = sorted((PLAIN, UNTAGGED), key=lambda one: one.schema_hash)
    data = crafted(
        two,
        lambda record: dataclasses.replace(
            record, length=record.length + (record.offset == HEADER_BYTES)
        ),
    )
    refusal(data)
    with pytest.raises(BundleFormatError, match="an entry that ends"):
        opened(data).read(two[0].schema_hash)


def test_keys_out_of_order_are_refused_instead_of_listed_and_not_found() -> None:
    keys = {
        one.schema_hash: digit * 64 for one, digit in zip(ARTIFACTS, "f01", strict=True)
    }
    data = crafted(
        list(map(without_extension, ARTIFACTS)),
        lambda record: dataclasses.replace(
            record, schema_hash=keys[record.schema_hash]
        ),
    )
    with pytest.raises(BundleFormatError, match="sorted by key"):
        opened(data).keys()
    refusal(data)


def test_records_that_swap_their_entries_are_refused() -> None:
    two = sorted((PLAIN, UNTAGGED), key=lambda one: one.schema_hash)
    digests = {one.schema_hash: artifact_json.digest(one) for one in two}
    swapped = {two[0].schema_hash: two[1], two[1].schema_hash: two[0]}
    data = crafted(
        two,
        lambda record: dataclasses.replace(
            record,
            schema_hash=swapped[record.schema_hash].schema_hash,
            digest=digests[swapped[record.schema_hash].schema_hash],
        ),
    )
    refusal(data)


def test_a_trailer_that_names_another_body_is_refused() -> None:
    whole = body(PLAIN_ENTRY)
    record = TrailerRecord(
        schema_hash=PLAIN.schema_hash,
        digest=artifact_json.digest(PLAIN),
        offset=HEADER_BYTES,
        length=len(PLAIN_ENTRY),
    )
    data = whole + b"".join(encode_trailer([record], len(whole), bytes(32)))
    assert "a body with SHA-256" in str(refusal(data))
    # One artifact has a digest of its own, so it can be trusted.
    assert opened(data).read(PLAIN.schema_hash) == PLAIN


@pytest.mark.parametrize("length", [0, HEADER_BYTES - 1, HEADER_BYTES + 1, 2**64 - 1])
def test_a_footer_with_another_body_length_is_refused(length: int) -> None:
    whole = body()
    sha256 = hashlib.sha256(whole).digest()
    refusal(whole + b"".join(encode_trailer([], length, sha256)))


def test_a_header_that_counts_otherwise_than_the_trailer_is_refused() -> None:
    whole = body()
    sha256 = hashlib.sha256(body(PLAIN_ENTRY)).digest()
    record = TrailerRecord(
        schema_hash=PLAIN.schema_hash, digest="sha256:" + "0" * 64, offset=12, length=0
    )
    data = whole + b"".join(encode_trailer([record], len(whole), sha256))
    assert refusal(data).offset == 4


def with_extensions(
    artifacts: list[ModelArtifact], places: list[tuple[int, int]], extensions: bytes
) -> bytes:
    """Return a bundle whose records name any places in any extensions."""
    offset, records, entries = HEADER_BYTES, b"", []
    for artifact, (start, size) in zip(artifacts, places, strict=True):
        entry = encode_entry(artifact)
        digest = artifact_json.digest(artifact).removeprefix("sha256:")
        records += bytes.fromhex(artifact.schema_hash) + bytes.fromhex(digest)
        records += b"".join(map(bincode.u64, (offset, len(entry), start, size)))
        offset += len(entry)
        entries.append(entry)
    whole = body(*entries)
    tail = records + extensions
    tail += b"".join(map(bincode.u64, (offset, len(entries), len(extensions))))
    tail += hashlib.sha256(whole).digest()
    return whole + tail + hashlib.sha256(tail).digest() + OURS_MAGIC


OURS_MAGIC = DATA[-8:]
SEED = b'{"extra":{"seed":1}}'
TWO = sorted(
    (examples.trained(of, extra={"seed": 1}) for of in (examples.BRP, examples.SIM)),
    key=lambda artifact: artifact.schema_hash,
)


def test_extensions_one_after_the_other_are_accepted() -> None:
    size = len(SEED)
    assert with_extensions(TWO, [(0, size), (size, size)], SEED * 2) == packed(TWO)


@pytest.mark.parametrize(
    ("places", "extensions"),
    [
        # Shared ones would be parsed once for each record: little file, much work.
        ([(0, 20), (0, 20)], SEED),
        ([(0, 20), (0, 20)], SEED * 2),
        ([(20, 20), (0, 20)], SEED * 2),
        ([(0, 20), (21, 20)], SEED + b" " + SEED),
        ([(0, 20), (20, 20)], SEED * 2 + b"more"),
        ([(0, 20), (20, 2**64 - 1)], SEED * 2),
    ],
    ids=["shared", "shared, rest", "swapped", "gap", "rest", "beyond"],
)
def test_extensions_that_are_shared_or_not_in_order_are_refused(
    places: list[tuple[int, int]], extensions: bytes
) -> None:
    assert len(SEED) == 20
    assert "extension" in str(refusal(with_extensions(TWO, places, extensions)))


def test_an_extension_with_another_key_is_refused() -> None:
    data = crafted(
        [PLAIN], lambda record: dataclasses.replace(record, extension=b'{"other":1}')
    )
    assert "other" in str(refusal(data))


def test_a_large_extension_is_read_in_linear_time() -> None:
    extra = {str(number): number for number in range(20_000)}
    data = packed([examples.trained(extra=extra)])
    start = time.process_time()
    (found,) = opened(data)
    assert found.extra == extra
    assert time.process_time() - start < 5


def test_every_error_of_a_bundle_is_a_format_error() -> None:
    assert issubclass(BundleFormatError, FormatError)


def test_reading_the_peers_bundle_keeps_every_bit() -> None:
    fingerprint = SchemaFingerprint(
        schema_hash="ab" * 32, field_stats=(), record_count=2**64 - 1, created_at=2**63
    )
    params = broken_params()
    entry = encode_entry(
        ModelArtifact(fingerprint=fingerprint, params=params, em_iterations=2**64 - 1)
    )
    assert b"".join(map(encode_entry, opened(body(entry)))) == entry
