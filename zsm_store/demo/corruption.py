"""What goes wrong when people type records: the errors the demo has to link across."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

LETTERS = "abcdefghijklmnopqrstuvwxyz"
DIGITS = "0123456789"
EDITS = ("delete", "insert", "substitute", "transpose")

Columns = dict[str, list[str | None]]


def typing_error(text: str, rng: np.random.Generator) -> str:
    """Text with one keystroke wrong: insert, delete, substitute or transpose.

    Never the text itself. An empty text, and a text of one character that a deletion
    would empty, get an insertion: an empty value would count as missing.
    """
    edit = EDITS[int(rng.integers(len(EDITS)))]
    position = int(rng.integers(len(text))) if text else 0
    before, here, after = (
        text[:position],
        text[position : position + 1],
        text[position:],
    )
    if edit == "delete" and len(text) > 1:
        return before + after[1:]
    if edit == "transpose" and len(after) > 1 and after[0] != after[1]:
        return before + after[1] + after[0] + after[2:]
    alphabet = (DIGITS if here.isdigit() else LETTERS).replace(here.lower() or " ", "")
    letter = alphabet[int(rng.integers(len(alphabet)))]
    letter = letter.upper() if here.isupper() else letter
    return before + letter + (after[1:] if edit == "substitute" else after)


def mistype(
    columns: Columns, rates: Mapping[str, float], rng: np.random.Generator
) -> None:
    """Put one typing error into a share of the values, `rates` by field."""
    for name, rate in rates.items():
        values = columns[name]
        for row in np.flatnonzero(rng.random(len(values)) < rate).tolist():
            value = values[row]
            if value is not None:
                values[row] = typing_error(value, rng)


def lose(
    columns: Columns, rates: Mapping[str, float], rng: np.random.Generator
) -> None:
    """Make a share of the values missing, `rates` by field."""
    for name, rate in rates.items():
        values = columns[name]
        for row in np.flatnonzero(rng.random(len(values)) < rate).tolist():
            values[row] = None


def swap_fields(
    columns: Columns, first: str, second: str, rate: float, rng: np.random.Generator
) -> None:
    """Exchange two fields in a share of the records: a form filled in wrongly."""
    one, other = columns[first], columns[second]
    for row in np.flatnonzero(rng.random(len(one)) < rate).tolist():
        one[row], other[row] = other[row], one[row]


def swap_day_and_month(
    columns: Columns, name: str, rate: float, rng: np.random.Generator
) -> None:
    """Exchange day and month of YYYY-MM-DD where the result is still a date."""
    values = columns[name]
    for row in np.flatnonzero(rng.random(len(values)) < rate).tolist():
        year, month, day = (values[row] or "0-0-99").split("-")
        if int(day) <= 12:  # noqa: PLR2004  # months in a year
            values[row] = f"{year}-{day}-{month}"
