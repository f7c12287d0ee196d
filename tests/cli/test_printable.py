from __future__ import annotations

import io
import json
import struct
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zsm_store.cli import progress
from zsm_store.cli.artifact_list import short_hashes, utc
from zsm_store.cli.json_output import finite
from zsm_store.cli.printable import (
    display_width,
    fitted,
    json_escaped,
    padded,
    printable,
    wrapped,
)
from zsm_store.cli.weight_bars import WeightScale
from zsm_store.model.float32 import shortest_float64 as shortest

anything = st.text(st.characters(exclude_categories=()))


@given(anything)
def test_printable_text_is_one_line_and_stays_as_it_is(text) -> None:
    shown = printable(text)
    assert len(shown.splitlines()) <= 1
    shown.encode()
    assert printable(shown) == shown
    assert not set(shown) & {chr(code) for code in (*range(32), *range(127, 160))}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1bb", r"a\x1bb"),
        ("\u202e", r"\u202e"),
        ("\x9b", r"\x9b"),
        ("a\nb\tc\r", r"a\nb\tc\r"),
        ("\u2028", r"\u2028"),
        ("\udcff", r"\udcff"),
        ("übung-✓ 标签 😀", "übung-✓ 标签 😀"),
    ],
)
def test_control_characters_become_escapes(text, shown) -> None:
    assert printable(text) == shown


@given(st.text())
def test_escaped_json_is_the_same_value(text) -> None:
    document = json.dumps({"key": text}, ensure_ascii=False, indent=2)
    escaped = json_escaped(document)
    assert json.loads(escaped) == {"key": text}
    assert printable(escaped.replace("\n", "")) == escaped.replace("\n", "")


@given(st.text(st.sampled_from("aé标😀\u0301")), st.integers(2, 20))
def test_fitted_text_has_at_most_the_width(text, width) -> None:
    cut = fitted(text, width)
    assert display_width(cut) <= max(width, 0)
    assert cut == text or cut.endswith("..")
    assert display_width(padded(cut, width)) == width
    assert padded(cut, width, right=True).endswith(cut)


@given(st.text(st.sampled_from("ab ")), st.integers(1, 20))
def test_wrapped_text_loses_nothing(text, width) -> None:
    assert " ".join(wrapped(text, width)) == text


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_the_shortest_decimal_reads_back_to_the_same_float32(value) -> None:
    short = shortest(value)
    assert struct.pack("<f", short) == struct.pack("<f", value)
    assert len(repr(short)) <= len(repr(value))


def test_what_json_cannot_hold_is_null() -> None:
    assert finite(float("nan")) is finite(float("inf")) is finite(-float("inf")) is None
    assert finite(0.20000000298023224) == 0.2


def test_short_hashes_tell_the_artifacts_apart() -> None:
    first, second = "a" * 64, "a" * 20 + "b" * 44
    assert short_hashes([first, second]) == {first: first[:21], second: second[:21]}
    assert short_hashes([first]) == {first: "a" * 12}
    assert short_hashes([]) == {}


def test_times_that_no_calendar_has_are_shown_as_they_are() -> None:
    assert utc(1735689600) == "2025-01-01 00:00"
    assert utc(2**64 - 1) == "@18446744073709551615"


@given(st.floats(-1000, 1000) | st.sampled_from([float("inf"), -float("inf")]))
def test_a_bar_stays_on_its_side(weight) -> None:
    for blocks in (True, False):
        scale = WeightScale.of(((1.0, weight),), 43, blocks=blocks)
        pieces = scale.bar(weight)
        text = "".join(it if isinstance(it, str) else it.text for it in pieces)
        axis = text.index("│" if blocks else "|")
        assert axis == scale.side == 21
        assert len(text) <= 43
        assert (text[:axis].strip() == "") or weight < 0
        assert (text[axis + 1 :] == "") or weight > 0


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_shown_only_once_it_takes_long(monkeypatch) -> None:
    terminal = _Terminal()
    monkeypatch.setattr(progress.sys, "stderr", terminal)
    with progress.working("reading \x1b[2J"):
        pass
    assert terminal.getvalue() == ""
    monkeypatch.setattr(progress, "_PATIENCE_S", 0.0)
    monkeypatch.setattr(progress, "_TICK_S", 0.001)
    with progress.working("reading \x1b[2J"):
        deadline = time.monotonic() + 20
        while "reading" not in terminal.getvalue():
            assert time.monotonic() < deadline
            time.sleep(0.001)
    shown = terminal.getvalue()
    assert r"reading \x1b[2J 0 s" in shown
    assert shown.endswith("\r\x1b[K")


def test_progress_is_silent_without_a_terminal(monkeypatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(progress.sys, "stderr", stream)
    monkeypatch.setattr(progress, "_PATIENCE_S", 0.0)
    with progress.working("reading"):
        time.sleep(0.01)
    assert stream.getvalue() == ""
