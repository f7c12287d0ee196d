from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import StrEnum

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import strategies as zst
from zsm_store.errors import InvalidArtifactError
from zsm_store.model.sampling import TOP_K, count_fields, float_text, value_text
from zsm_store.model.schema import Field, FieldKind

A = Field("a", FieldKind.NAME)


class Color(StrEnum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("text", "text"),
        (" ", " "),
        ("\x00", "\x00"),
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (-5, "-5"),
        (2**70, str(2**70)),
        (5.0, "5"),
        (-0.0, "-0"),
        (0.1, "0.1"),
        (1e21, "1000000000000000000000"),
        (1e-7, "0.0000001"),
        (float("nan"), "NaN"),
        (float("inf"), "inf"),
        (float("-inf"), "-inf"),
        (Decimal("1E+3"), "1000"),
        (Decimal("0.10"), "0.10"),
        (date(2024, 2, 29), "2024-02-29"),
        (datetime(2024, 2, 29, 12, 30, tzinfo=UTC), "2024-02-29T12:30:00+00:00"),
        (time(12, 30), "12:30:00"),
        (Color.RED, "red"),
        (np.str_("a"), "a"),
        (np.int64(-5), "-5"),
        (np.uint8(5), "5"),
        (np.bool_(True), "true"),
        (np.float64(5.0), "5"),
        (np.float32(0.5), "0.5"),
        (np.float16(0.5), "0.5"),
        (np.datetime64("2024-02-29"), "2024-02-29"),
        (np.datetime64("2024-02-29T12:30:00"), "2024-02-29T12:30:00"),
        (np.datetime64("2024-02-29T12:30:00", "ns"), "2024-02-29T12:30:00"),
    ],
    ids=repr,
)
def test_values_are_counted_by_their_text(value: object, text: str) -> None:
    found = value_text(value)
    assert found == text
    assert type(found) is str


class NotATime(datetime):
    """A missing time as in pandas: a datetime that does not equal itself."""

    __hash__ = None

    def __eq__(self, other: object) -> bool:
        return False

    def __ne__(self, other: object) -> bool:
        return True


@pytest.mark.parametrize(
    "value",
    [
        *(None, "", b"", b"bytes", bytearray(b"a"), np.str_(""), np.bytes_(b"a")),
        *(np.datetime64("NaT"), np.datetime64("NaT", "ns"), NotATime(1, 1, 1)),
    ],
    ids=repr,
)
def test_these_values_are_missing(value: object) -> None:
    assert value_text(value) is None


@pytest.mark.parametrize(
    "value",
    [np.timedelta64(1, "ns"), slice(1), [1, 2], {"a": 1}, 1j, {1}, np.array([1, 2]), A],
    ids=repr,
)
def test_values_of_other_types_are_refused_by_name(value: object) -> None:
    with pytest.raises(InvalidArtifactError, match="cannot be counted: give text"):
        value_text(value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_text_of_a_float_has_no_exponent_and_reads_back(value) -> None:
    text = float_text(value)
    assert set(text) <= set("-.0123456789")
    assert not text.endswith(".0")
    assert np.float64(text).tobytes() == np.float64(value).tobytes()


def test_texts_that_are_equal_are_one_value() -> None:
    records = [{"a": value} for value in ("5", 5, 5.0, Decimal(5), "true", True)]
    counts, total = count_fields([A], records)
    assert counts["a"].counts == {"5": 4, "true": 2}
    assert total == 6


def test_of_equally_frequent_values_the_smaller_code_point_comes_first() -> None:
    # By UTF-16 code units the first two would change places.
    values = ["\U0001f600", "\uff5e", "b", "a", "b", "Z"]
    counts, _ = count_fields([A], [{"a": value} for value in values])
    assert counts["a"].top_k() == ("b", "Z", "a", "\uff5e", "\U0001f600")


def test_only_the_ten_most_frequent_values_are_kept() -> None:
    values = [str(number) for number in range(30) for _ in range(number)]
    counts, _ = count_fields([A], [{"a": value} for value in values])
    assert TOP_K == 10
    assert counts["a"].top_k() == tuple(str(number) for number in range(29, 19, -1))
    assert len(counts["a"].counts) == 29


@given(zst.schemas(), st.data())
def test_every_record_counts_once_in_every_field(schema, data) -> None:
    records = data.draw(zst.samples(schema))
    counts, total = count_fields(schema.fields, iter(records))
    assert total == len(records)
    for field in schema.fields:
        texts = [value_text(record.get(field.name)) for record in records]
        present = [text for text in texts if text is not None]
        found = counts[field.name]
        assert found.nulls == total - len(present)
        assert found.counts == {text: present.count(text) for text in set(present)}
        ranked = sorted(set(present), key=lambda text: (-present.count(text), text))
        assert found.top_k() == tuple(ranked[:TOP_K])


@pytest.mark.parametrize(("nulls", "total"), [(1, 3), (2, 3), (1, 10), (7, 1000)])
def test_the_null_rate_is_divided_in_float32(nulls: int, total: int) -> None:
    records = [{}] * nulls + [{"a": "x"}] * (total - nulls)
    counts, _ = count_fields([A], records)
    expected = np.float32(nulls) / np.float32(total)
    assert counts["a"].null_rate(total) == float(expected)


def test_without_records_nothing_is_missing() -> None:
    counts, total = count_fields([A], [])
    assert total == 0
    assert counts["a"].null_rate(total) == 0.0
    assert counts["a"].top_k() == ()


def test_records_of_a_generator_are_read_once() -> None:
    given_out = []

    def records() -> object:
        for number in range(5):
            given_out.append(number)
            yield {"a": str(number), "b": None}

    counts, total = count_fields([A, Field("b", FieldKind.DATE)], records())
    assert given_out == [0, 1, 2, 3, 4]
    assert total == 5
    assert len(counts["a"].counts) == 5
    assert counts["b"].nulls == 5


def test_an_integer_too_long_to_print_is_refused_like_any_other_value() -> None:
    with pytest.raises(InvalidArtifactError):
        value_text(10**5_000)
