"""Primitives of the bincode 1 layout: little endian, fixed width, no padding."""

from __future__ import annotations

import math
import struct

from zsm_store.errors import BundleFormatError
from zsm_store.model.float32 import float32_from_bits, float32_to_bits

_U64 = struct.Struct("<Q")
_U32 = struct.Struct("<I")


class TruncatedError(BundleFormatError):
    """The bytes end before the value does."""


class BincodeReader:
    """Reads values off bytes, one after the other.

    Parameters
    ----------
    data
        The bytes.
    base
        Offset of `data` in the whole file, for messages.

    Raises
    ------
    TruncatedError
        By every method: too few bytes are left.
    """

    __slots__ = ("base", "data", "position")

    def __init__(self, data: bytes, base: int = 0) -> None:
        self.data = data
        self.base = base
        self.position = 0

    @property
    def offset(self) -> int:
        """Offset of the next byte in the whole file."""
        return self.base + self.position

    def raw(self, size: int, what: str) -> bytes:
        """Read `size` bytes as they are."""
        end = self.position + size
        if end > len(self.data):
            left = len(self.data) - self.position
            raise TruncatedError(self.offset, f"{size} bytes of {what}", f"{left} left")
        piece = self.data[self.position : end]
        self.position = end
        return piece

    def u8(self, what: str) -> int:
        """Read one byte."""
        return self.raw(1, what)[0]

    def u32(self, what: str) -> int:
        """Read an unsigned 32-bit integer."""
        value: int = _U32.unpack(self.raw(4, what))[0]
        return value

    def u64(self, what: str) -> int:
        """Read an unsigned 64-bit integer."""
        value: int = _U64.unpack(self.raw(8, what))[0]
        return value

    def f32(self, what: str) -> float:
        """Read a float32."""
        return float32_from_bits(self.u32(what))

    def f32_row(self, what: str) -> tuple[float, ...]:
        """Read a length and as many float32."""
        count = self.length(4, what)
        piece = self.raw(4 * count, what)
        row = struct.unpack(f"<{count}f", piece)
        if any(map(math.isnan, row)):
            bits = struct.unpack(f"<{count}I", piece)
            return tuple(map(float32_from_bits, bits))
        return row

    def length(self, item_size: int, what: str) -> int:
        """Read a length; what follows has at least `item_size` bytes an item.

        So no length makes a reader allocate more than there are bytes.
        """
        at = self.offset
        count = self.u64(f"length of {what}")
        left = len(self.data) - self.position
        if count * item_size > left:
            raise TruncatedError(at, f"{count} {what}", f"{left} bytes left")
        return count

    def text(self, what: str) -> str:
        """Read a length and as many bytes of UTF-8."""
        size = self.length(1, f"bytes of {what}")
        at = self.offset
        piece = self.raw(size, what)
        try:
            return piece.decode()
        except UnicodeDecodeError as error:
            bad = at + error.start
            raise BundleFormatError(
                bad, f"UTF-8 in {what}", f"byte {piece[error.start]:#04x}"
            ) from None


def u64(value: int) -> bytes:
    """Encode an unsigned 64-bit integer."""
    return _U64.pack(value)


def u32(value: int) -> bytes:
    """Encode an unsigned 32-bit integer."""
    return _U32.pack(value)


def f32(value: float) -> bytes:
    """Encode a float32 value."""
    return _U32.pack(float32_to_bits(value))


def f32_row(values: tuple[float, ...]) -> bytes:
    """Encode a length and the float32 values."""
    if any(map(math.isnan, values)):
        bits = map(float32_to_bits, values)
        return struct.pack(f"<Q{len(values)}I", len(values), *bits)
    return struct.pack(f"<Q{len(values)}f", len(values), *values)


def text(value: str) -> bytes:
    """Encode a length and the bytes of UTF-8."""
    encoded = value.encode()
    return _U64.pack(len(encoded)) + encoded
