from __future__ import annotations

import math
import operator
import struct
from fractions import Fraction

import numpy as np
import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests import strategies as zst
from zsm_store.model.float32 import (
    float32,
    float32_from_bits,
    float32_from_count,
    float32_row,
    float32_to_bits,
    shortest_float64,
    shortest_float64s,
)

OPERATIONS = [operator.add, operator.sub, operator.mul, operator.truediv]

SIGNALLING = 0x7F800001
QUIET_WITH_PAYLOAD = 0xFFC12345


def numpy_bits(value: np.float32) -> int:
    return int(np.asarray(value, dtype=np.float32).view(np.uint32)[()])


def nearest_by_fractions(count: int) -> float:
    """Return the float32 nearest to an integer, ties to even, without any float."""
    lost = max(count.bit_length() - 24, 0)
    kept, rest = count >> lost, count & ((1 << lost) - 1)
    half = Fraction(1 << lost, 2)
    if lost and (rest > half or (rest == half and kept & 1)):
        kept += 1
    return math.ldexp(kept, lost)


@given(zst.float32_bits(), zst.float32_bits(), st.sampled_from(OPERATIONS))
def test_arithmetic_rounded_once_is_that_of_float32(left, right, operation) -> None:
    a, b = (np.uint32(bits).view(np.float32) for bits in (left, right))
    with np.errstate(all="ignore"):
        expected = operation(a, b)
    wide_a, wide_b = float(a), float(b)
    if math.isnan(expected) or (operation is operator.truediv and wide_b == 0):
        return  # Python raises where hardware gives an infinity or NaN
    found = float32(operation(wide_a, wide_b))
    assert struct.pack("<f", found) == expected.tobytes()


@given(zst.u64s())
@example(2**53 + 2**29 + 1)  # a float64 of it is a tie between two float32 values
@example(2**53 + 2**29)  # a tie, to even: down
@example(2**53 + 3 * 2**29)  # a tie, to even: up
@example(2**63 + 2**39 + 1)
@example(2**63 + 2**39)
@example(2**64 - 1)
@example(2**24 + 1)
@example(2**54 + 2**30 + 1)
def test_counts_are_rounded_once_as_by_hardware(count) -> None:
    found = float32_from_count(count)
    assert found == float(np.uint64(count).astype(np.float32))
    assert found == nearest_by_fractions(count)


@pytest.mark.parametrize("exponent", range(53, 64))
@pytest.mark.parametrize("beside", [-1, 0, 1])
def test_counts_beside_a_tie_go_to_their_side(exponent: int, beside: int) -> None:
    for kept in (0, 1, 2**23 - 2):
        tie = (2**23 + kept) * 2 ** (exponent - 23) + 2 ** (exponent - 24)
        assert float32_from_count(tie + beside) == nearest_by_fractions(tie + beside)


@given(st.floats())
@example(1e39)
@example(-1e39)
@example(3.4028235677973366e38)  # half way from the largest float32 to the next power
@example(math.nextafter(3.4028235677973366e38, 0))
@example(1e-46)
def test_a_double_is_rounded_as_by_hardware(value) -> None:
    with np.errstate(all="ignore"):
        expected = np.float64(value).astype(np.float32)
    found = float32(value)
    if math.isnan(value):
        assert math.isnan(found)
    else:
        assert struct.pack("<f", found) == expected.tobytes()
    (in_a_row,) = float32_row([value])
    assert struct.pack("<d", in_a_row) == struct.pack("<d", found)


@given(zst.float32_bits())
@example(SIGNALLING)
@example(QUIET_WITH_PAYLOAD)
@example(0x80000000)
def test_bits_come_back_as_they_were(bits) -> None:
    value = float32_from_bits(bits)
    assert float32_to_bits(value) == bits
    # Through every way into the model, too: a copy of a bundle changes no bit.
    assert float32_to_bits(float32(value)) == bits
    assert float32_to_bits(float32_row([0.5, value])[1]) == bits


@given(zst.float32_bits())
def test_bits_mean_what_they_mean_to_hardware(bits) -> None:
    expected = np.uint32(bits).view(np.float32)
    value = float32_from_bits(bits)
    if math.isnan(expected):
        assert math.isnan(value)
    else:
        assert value == float(expected)
        assert math.copysign(1, value) == math.copysign(1, float(expected))


@pytest.mark.parametrize("payload", [1, 2**28, 2**29 - 1])
@pytest.mark.parametrize("sign", [0, 1])
def test_a_nan_whose_payload_is_too_fine_stays_a_nan(payload: int, sign: int) -> None:
    wide = sign << 63 | 0x7FF << 52 | payload
    (value,) = struct.unpack("<d", wide.to_bytes(8, "little"))
    assert math.isnan(value)
    assert math.isnan(float32_from_bits(float32_to_bits(value)))
    assert float32_to_bits(value) >> 31 == sign


def test_one_value_too_large_becomes_infinite_and_spares_its_row() -> None:
    assert float32_row([0.1, 1e300, -1e300]) == (float32(0.1), math.inf, -math.inf)


def test_numbers_of_numpy_are_rounded_once() -> None:
    expected = (float32(0.1), 0.5, 2.0)
    assert float32_row(np.array([0.1, 0.5, 2.0])) == expected
    assert float32_row(np.array([0.1, 0.5, 2.0], dtype=np.float32)) == expected
    assert all(type(value) is float for value in float32_row(np.float32([0.1, 0.5])))


@pytest.mark.parametrize("row", [["0.5"], [None], [1j], [[0.5]], 5])
def test_what_is_no_row_of_numbers_is_a_type_error(row: object) -> None:
    with pytest.raises(TypeError):
        float32_row(row)  # type: ignore[arg-type]  # that is the point


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("exponent", range(-149, 128))
def test_the_shortest_digits_of_a_power_of_two_are_those_of_a_numpy_array(
    exponent: int, sign: int
) -> None:
    value = sign * math.ldexp(1, exponent)
    assert shortest_float64(value) == digits_by_orjson(value)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_the_shortest_digits_are_those_of_a_numpy_array(value: float) -> None:
    assert shortest_float64(value) == digits_by_orjson(value)
    assert float32(shortest_float64(value)) == value


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False)))
@example([3.4028234663852886e38, 0.1])  # rounded up, it would be infinite
@example([0.0, -0.0, 2.0**-126, 2.0**-149, 0.5])
@example([float32(0.12345674), float32(0.1234567), float32(0.5), float32(0.02)])
def test_many_are_shortened_as_each_of_them(values: list[float]) -> None:
    assert list(map(repr, shortest_float64s(values))) == [
        repr(shortest_float64(value)) for value in values
    ]


def digits_by_orjson(value: float) -> float:
    array = np.array([value], dtype=np.float32)
    (short,) = orjson.loads(orjson.dumps(array, option=orjson.OPT_SERIALIZE_NUMPY))
    return float(short)
