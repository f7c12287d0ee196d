"""Float32 arithmetic on Python floats, bit for bit as hardware does it.

A Python float is a float64, which has more than twice the digits of a float32 plus
two. For + - * / on float32 values, computing in float64 and rounding once therefore
gives the float32 result exactly (Figueroa 1995, "When is double rounding innocuous?").
So the model needs no numpy, which costs a command line 100 ms to import.
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_FLOAT32 = struct.Struct("<f")
_FLOAT64 = struct.Struct("<d")
_EXACT_IN_FLOAT64 = 1 << 53
_MANTISSA = (1 << 23) - 1
_EXPONENT = 0xFF << 23
_EXTRA_BITS = 52 - 23
_QUIET = 1 << 22
_DIGITS = 9
"""Decimal digits that tell any two float32 apart."""
_POWER_OF_TWO = 0.5
"""Mantissa of `math.frexp`."""


def float32(value: float) -> float:
    """Return the nearest float32, ties to even; too large becomes infinite."""
    if math.isnan(value):  # it stays the NaN that it is
        return value
    try:
        rounded: float = _FLOAT32.unpack(_FLOAT32.pack(value))[0]
    except OverflowError:
        return math.copysign(math.inf, value)
    return rounded


def float32_from_count(count: int) -> float:
    """Return the nearest float32 of an unsigned 64-bit integer.

    Rounding to float64 on the way could land on a tie and round twice; a sticky last
    bit keeps the side on which the lost digits were.
    """
    if count >= _EXACT_IN_FLOAT64:
        kept = count >> 12 << 12
        count = kept | (1 << 12) if count != kept else kept
    return float32(float(count))


def float32_row(values: Iterable[float]) -> tuple[float, ...]:
    """Round numbers to float32 values; a NaN stays the NaN that it is.

    Raises
    ------
    TypeError
        Not a sequence of numbers.
    """
    row = tuple(values)
    layout = f"<{len(row)}f"
    try:
        rounded = struct.unpack(layout, struct.pack(layout, *row))
    except OverflowError:
        return tuple(map(float32, row))
    except struct.error as error:
        raise TypeError(str(error)) from None
    if math.isnan(sum(rounded)):  # or both infinities are there, which does no harm
        return tuple(map(_keep_nan, row, rounded))
    return rounded


def shortest_float64s(values: Sequence[float]) -> list[float]:
    """Return `shortest_float64` of each, several times faster than one by one."""
    bits = _bits(values)
    short = list(values)
    places = []
    for place, pattern in enumerate(bits):
        if pattern & _EXPONENT and pattern & _MANTISSA:
            places.append(place)
        elif pattern:  # a power of two or subnormal
            short[place] = shortest_float64(values[place])
    try:
        # Eight digits tell most trained values; the others need nine.
        fits = _round(values, places, bits, _DIGITS - 1, short)
        for place in set(places).difference(fits):
            short[place] = float(f"{values[place]:.{_DIGITS}g}")
        # Six tell what was given with fewer, too: zeros are left out.
        for digits in (_DIGITS - 2, _DIGITS - 3):
            fits = _round(values, fits, bits, digits, short)
    except OverflowError:  # rounded up, beyond the largest float32
        return list(map(shortest_float64, values))
    return short


def _round(
    values: Sequence[float],
    places: Sequence[int],
    bits: Sequence[int],
    digits: int,
    short: list[float],
) -> list[int]:
    """Put rounded values into `short` where they stay the same; returns where."""
    if not places:
        return []
    layout = ",".join([f"%.{digits}g"] * len(places))
    text = layout % tuple([values[place] for place in places])
    rounded = list(map(float, text.split(",")))
    fits = []
    for place, value, pattern in zip(places, rounded, _bits(rounded), strict=True):
        if pattern == bits[place]:
            short[place] = value
            fits.append(place)
    return fits


def _bits(values: Sequence[float]) -> Sequence[int]:
    count = len(values)
    return struct.unpack(f"<{count}I", struct.pack(f"<{count}f", *values))


def shortest_float64(value: float) -> float:
    """Return the float64 of fewest decimal digits that rounds to this float32.

    So a file shows the 0.02 that somebody gave, not 0.019999999552965164.
    """
    for digits in range(1, _DIGITS):
        short = float(f"{value:.{digits}g}")
        if float32(short) == value:
            return short
        if abs(math.frexp(value)[0]) == _POWER_OF_TWO:
            # Below a power of two the float32 lie closer than above it: the nearest
            # decimal may be too far below, and the next one above still be right.
            short = math.copysign(_next_decimal(abs(value), digits), value)
            if float32(short) == value:
                return short
    return float(f"{value:.{_DIGITS}g}")


def float32_from_bits(bits: int) -> float:
    """Return the float32 of 32 bits.

    The conversion of hardware turns a signalling NaN into a quiet one. The peer writes
    both, and copying a bundle must not change a bit, so a NaN is moved by hand.
    """
    value: float = _FLOAT32.unpack(bits.to_bytes(4, "little"))[0]
    if math.isnan(value):
        wide = (bits >> 31) << 63 | 0x7FF << 52 | (bits & _MANTISSA) << _EXTRA_BITS
        value = _FLOAT64.unpack(wide.to_bytes(8, "little"))[0]
    return value


def float32_to_bits(value: float) -> int:
    """Return the 32 bits of a float32 value."""
    if math.isnan(value):
        wide = int.from_bytes(_FLOAT64.pack(value), "little")
        # All of its payload may be in the digits that a float32 lacks; without any it
        # would be an infinity.
        payload = (wide >> _EXTRA_BITS) & _MANTISSA or _QUIET
        return (wide >> 63) << 31 | 0xFF << 23 | payload
    return int.from_bytes(_FLOAT32.pack(value), "little")


def _next_decimal(value: float, digits: int) -> float:
    """Return the decimal of so many digits above the one that is nearest to `value`."""
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    above = int(mantissa.replace(".", "")) + 1
    return float(f"{above}e{int(exponent) - digits + 1}")


def _keep_nan(value: float, rounded: float) -> float:
    return value if math.isnan(rounded) else rounded
