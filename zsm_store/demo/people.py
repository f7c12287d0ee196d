"""Person tables, one per quarter of a year, with true duplicates known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zsm_store.demo.corruption import lose, mistype, swap_day_and_month, swap_fields
from zsm_store.demo.table import DemoTable
from zsm_store.demo.words import (
    CITIES,
    GIVEN_NAMES,
    STREET_ENDINGS,
    STREET_STEMS,
    SURNAME_ENDINGS,
    SURNAME_PREFIXES,
    SURNAME_STEMS,
)
from zsm_store.model.schema import FieldKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from zsm_store.demo.corruption import Columns

PEOPLE_KINDS = {
    "given_name": FieldKind.NAME,
    "surname": FieldKind.NAME,
    "birth_date": FieldKind.DATE,
    "street": FieldKind.ADDRESS,
    "house_number": FieldKind.ADDRESS,
    "postcode": FieldKind.ADDRESS,
    "city": FieldKind.ADDRESS,
    "phone": FieldKind.PHONE,
}
"""Columns of a person table in their order; `phone` only where asked for."""

COPIES = (0.72, 0.22, 0.06)
"""Share of the people with one, two and three records in a quarter."""
PEOPLE_PER_ADDRESS = 1.8
FAMILY_RATE = 0.6
"""Share of the people who bear the surname of their address: households, the pairs
that look like duplicates and are none."""
MOVED_RATE = 0.04
"""Share of the records with another address than the person's own."""

TYPING_RATES = {
    "given_name": 0.05,
    "surname": 0.06,
    "birth_date": 0.03,
    "street": 0.06,
    "house_number": 0.02,
    "postcode": 0.03,
    "city": 0.02,
    "phone": 0.04,
}
MISSING_RATES = {
    "given_name": 0.02,
    "surname": 0.01,
    "birth_date": 0.04,
    "street": 0.05,
    "house_number": 0.05,
    "postcode": 0.06,
    "city": 0.03,
    "phone": 0.20,
}
SWAPPED_NAMES_RATE = 0.01
SWAPPED_DATE_RATE = 0.02


def people_table(
    quarter: int, *, seed: int, records: int, phone: bool = False
) -> DemoTable:
    """Person records of one quarter.

    All quarters of a seed draw from one population of `records` people, so that about
    70 % of the people of one quarter are in another one too; who has how many records
    and every error in them is drawn anew. The first seven columns do not depend on
    `phone`.
    """
    population = _population(np.random.default_rng([seed, 0]), records)
    rng = np.random.default_rng([seed, quarter])
    entities = draw_entities(rng, population_size=records, records=records)
    columns = _records_of(population, entities, rng)
    swap_fields(columns, "given_name", "surname", SWAPPED_NAMES_RATE, rng)
    swap_day_and_month(columns, "birth_date", SWAPPED_DATE_RATE, rng)
    mistype(columns, TYPING_RATES, rng)
    lose(columns, MISSING_RATES, rng)
    if not phone:
        del columns["phone"]
    return DemoTable(
        name=f"people, quarter {quarter}",
        columns={name: tuple(values) for name, values in columns.items()},
        kinds={name: PEOPLE_KINDS[name] for name in columns},
        entities=entities,
    )


def draw_entities(
    rng: np.random.Generator, *, population_size: int, records: int
) -> NDArray[np.int64]:
    """(record,): entity of each record in random order, copies as in `COPIES`."""
    order = rng.permutation(population_size)
    copies = rng.choice([1, 2, 3], size=population_size, p=COPIES)
    return rng.permutation(np.repeat(order, copies)[:records]).astype(np.int64)


def zipf_choice(rng: np.random.Generator, words: Sequence[str], size: int) -> list[str]:
    """Words drawn with frequency 1 / (rank + 2), as names roughly are."""
    weights = 1.0 / np.arange(2, len(words) + 2)
    return [words[i] for i in rng.choice(len(words), size, p=weights / weights.sum())]


def _population(rng: np.random.Generator, size: int) -> dict[str, list[str]]:
    """Draw true values by field, one per person; other addresses under `old_`."""
    homes = _addresses(rng, max(1, round(size / PEOPLE_PER_ADDRESS)))
    count = len(homes["city"])
    family, own = _surnames(rng, count), _surnames(rng, size)
    home = rng.integers(count, size=size)
    takes_family_name = rng.random(size) < FAMILY_RATE
    born = np.datetime64("1930-01-01") + rng.integers(0, 80 * 365, size=size)
    old_home = rng.integers(count, size=size)
    people = {
        "given_name": zipf_choice(rng, GIVEN_NAMES, size),
        "surname": [
            family[home[i]] if takes_family_name[i] else own[i] for i in range(size)
        ],
        "birth_date": [str(day) for day in born],
        "phone": [f"06{number:08d}" for number in rng.integers(10**8, size=size)],
    }
    for name, values in homes.items():
        people[name] = [values[i] for i in home]
        people[f"old_{name}"] = [values[i] for i in old_home]
    return people


def _surnames(rng: np.random.Generator, size: int) -> list[str]:
    stems = zipf_choice(rng, SURNAME_STEMS, size)
    prefixes = rng.choice(SURNAME_PREFIXES, size)
    endings = rng.choice(SURNAME_ENDINGS, size)
    return [
        f"{prefix}{stem}{ending}"
        for prefix, stem, ending in zip(prefixes, stems, endings, strict=True)
    ]


def _addresses(rng: np.random.Generator, size: int) -> dict[str, list[str]]:
    """Addresses; a postcode is a side of a street, so about twenty house numbers."""
    cities = zipf_choice(rng, [name for name, _ in CITIES], size)
    area = dict(CITIES)
    stems = rng.integers(len(STREET_STEMS), size=size)
    endings = rng.integers(len(STREET_ENDINGS), size=size)
    numbers = 1 + np.floor(rng.gamma(1.5, 30.0, size=size)).astype(int)
    postcodes = []
    for city, stem, ending, number in zip(cities, stems, endings, numbers, strict=True):
        letters = chr(65 + ending) + chr(65 + min(number // 20, 25))
        postcodes.append(f"{area[city]}{10 + stem} {letters}")
    return {
        "street": [
            STREET_STEMS[stem] + STREET_ENDINGS[ending]
            for stem, ending in zip(stems, endings, strict=True)
        ],
        "house_number": [str(number) for number in numbers],
        "postcode": postcodes,
        "city": cities,
    }


def _records_of(
    people: dict[str, list[str]],
    entities: NDArray[np.int64],
    rng: np.random.Generator,
) -> Columns:
    moved = rng.random(len(entities)) < MOVED_RATE
    columns: Columns = {}
    for name in PEOPLE_KINDS:
        current = people[name]
        other = people.get(f"old_{name}", current)
        columns[name] = [
            other[who] if gone else current[who]
            for who, gone in zip(entities.tolist(), moved.tolist(), strict=True)
        ]
    return columns
