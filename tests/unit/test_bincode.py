from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import strategies as zst
from zsm_store.codec import bincode
from zsm_store.codec.bincode import BincodeReader, TruncatedError
from zsm_store.errors import BundleFormatError
from zsm_store.model.float32 import float32_from_bits, float32_to_bits

if TYPE_CHECKING:
    from collections.abc import Callable

BASE = 1000


def reader(data: bytes) -> BincodeReader:
    return BincodeReader(data, BASE)


@given(zst.u64s())
def test_u64_is_eight_bytes_little_endian(value) -> None:
    assert bincode.u64(value) == value.to_bytes(8, "little")
    assert reader(bincode.u64(value)).u64("x") == value


@given(st.integers(0, 2**32 - 1))
def test_u32_is_four_bytes_little_endian(value) -> None:
    assert bincode.u32(value) == value.to_bytes(4, "little")
    assert reader(bincode.u32(value)).u32("x") == value


@given(zst.float32_bits())
def test_f32_keeps_every_bit(bits) -> None:
    data = bits.to_bytes(4, "little")
    value = reader(data).f32("x")
    assert float32_to_bits(value) == bits
    assert bincode.f32(value) == data


@given(st.lists(zst.float32_bits(), max_size=8))
def test_a_row_keeps_every_bit_of_every_value(bits) -> None:
    data = struct.pack(f"<Q{len(bits)}I", len(bits), *bits)
    row = reader(data).f32_row("x")
    assert [float32_to_bits(value) for value in row] == bits
    assert bincode.f32_row(row) == data


def test_a_nan_among_numbers_spares_the_numbers() -> None:
    row = (0.5, float32_from_bits(0x7F800001), -0.0)
    found = reader(bincode.f32_row(row)).f32_row("x")
    assert [float32_to_bits(value) for value in found] == [
        0x3F000000,
        0x7F800001,
        0x80000000,
    ]


@given(zst.texts())
def test_text_is_its_utf8_length_and_bytes(text) -> None:
    encoded = text.encode()
    data = len(encoded).to_bytes(8, "little") + encoded
    assert bincode.text(text) == data
    assert reader(data).text("x") == text


def test_values_are_read_one_after_the_other() -> None:
    data = b"\x07" + bincode.u32(8) + bincode.u64(9) + bincode.text("a") + b"rest"
    values = reader(data)
    assert values.offset == BASE
    assert values.u8("x") == 7
    assert values.offset == BASE + 1
    assert values.u32("x") == 8
    assert values.u64("x") == 9
    assert values.text("x") == "a"
    assert values.raw(4, "x") == b"rest"
    assert values.offset == BASE + len(data)
    assert values.position == len(data)


READS: dict[str, tuple[Callable[[BincodeReader], object], bytes]] = {
    "u8": (lambda values: values.u8("part"), b"\x01"),
    "u32": (lambda values: values.u32("part"), bincode.u32(1)),
    "u64": (lambda values: values.u64("part"), bincode.u64(1)),
    "f32": (lambda values: values.f32("part"), bincode.f32(1.0)),
    "row": (lambda values: values.f32_row("part"), bincode.f32_row((0.5, 1.0))),
    "text": (lambda values: values.text("part"), bincode.text("abc")),
    "raw": (lambda values: values.raw(5, "part"), b"abcde"),
    "length": (lambda values: values.length(4, "part"), bincode.u64(0)),
}


@pytest.mark.parametrize(("read", "data"), READS.values(), ids=READS)
def test_a_cut_value_names_the_byte_where_it_began(
    read: Callable[[BincodeReader], object], data: bytes
) -> None:
    read(reader(data))
    for size in range(len(data)):
        with pytest.raises(TruncatedError, match="part") as caught:
            read(reader(data[:size]))
        # Of a value with a length, the length or what it announces.
        assert caught.value.offset in {BASE, BASE + 8}
        assert f"at byte {caught.value.offset}" in str(caught.value)


def test_a_cut_value_is_a_damaged_bundle() -> None:
    assert issubclass(TruncatedError, BundleFormatError)


@pytest.mark.parametrize("count", [2**64 - 1, 2**63, 2**40, 3])
def test_no_length_announces_more_than_there_is(count: int) -> None:
    data = bincode.u64(count) + b"\x00" * 8
    for read in (
        lambda values: values.f32_row("part"),
        lambda values: values.length(4, "part"),
    ):
        with pytest.raises(TruncatedError, match=f"expected {count} part") as caught:
            read(reader(data))
        assert caught.value.offset == BASE
        assert str(caught.value).endswith("8 bytes left")
    if count > 8:
        with pytest.raises(TruncatedError, match=f"{count} bytes of part"):
            reader(data).text("part")


def test_a_length_that_just_fits_is_read() -> None:
    assert reader(bincode.u64(2) + b"\x00" * 8).length(4, "part") == 2
    assert reader(bincode.u64(2) + b"\x00" * 8).f32_row("part") == (0.0, 0.0)


@pytest.mark.parametrize(
    ("text", "bad"),
    [
        (b"\xff", 0),
        (b"ab\xffcd", 2),
        (b"a\xc3", 1),
        (b"\xed\xa0\x80", 0),  # a surrogate
        (b"\xc0\x80", 0),  # NUL in too many bytes
        (b"\xf4\x90\x80\x80", 0),  # beyond Unicode
    ],
)
def test_bad_utf8_is_named_with_its_byte(text: bytes, bad: int) -> None:
    data = bincode.u64(len(text)) + text
    with pytest.raises(BundleFormatError, match="expected UTF-8 in part") as caught:
        reader(data).text("part")
    assert not isinstance(caught.value, TruncatedError)
    assert caught.value.offset == BASE + 8 + bad
    assert str(caught.value).endswith(f"found byte {text[bad]:#04x}")


def test_text_of_the_peer_may_hold_nul() -> None:
    assert reader(bincode.text("a\x00b")).text("x") == "a\x00b"
