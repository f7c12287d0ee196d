"""A table of SIM cards: another kind of entity, no column in common with people."""

from __future__ import annotations

import numpy as np

from zsm_store.demo.corruption import lose, mistype, swap_day_and_month
from zsm_store.demo.people import draw_entities, zipf_choice
from zsm_store.demo.table import DemoTable
from zsm_store.demo.words import CARRIERS, TARIFFS
from zsm_store.model.schema import FieldKind

SIM_KINDS = {
    "msisdn": FieldKind.PHONE,
    "imsi": FieldKind.ID,
    "iccid": FieldKind.ID,
    "carrier": FieldKind.CATEGORICAL,
    "tariff": FieldKind.CATEGORICAL,
    "activation_date": FieldKind.DATE,
}
"""Columns of a SIM-card table in their order."""

TYPING_RATES = {
    "msisdn": 0.05,
    "imsi": 0.08,
    "iccid": 0.10,
    "carrier": 0.02,
    "activation_date": 0.03,
}
MISSING_RATES = {"msisdn": 0.05, "imsi": 0.10, "iccid": 0.15, "tariff": 0.10}
SWAPPED_DATE_RATE = 0.02
ACTIVATION_DAYS = 730


def sim_table(*, seed: int, records: int) -> DemoTable:
    """SIM cards typed over from paper, some of them two or three times."""
    rng = np.random.default_rng([seed, 1_000])
    size = records
    codes = dict(CARRIERS)
    carriers = zipf_choice(rng, list(codes), size)
    serials = rng.integers(10**9, size=size)
    activated = np.datetime64("2023-01-01") + rng.integers(ACTIVATION_DAYS, size=size)
    cards = {
        "msisdn": [f"316{number:08d}" for number in rng.integers(10**8, size=size)],
        "imsi": [
            f"204{codes[carrier]}{number:010d}"
            for carrier, number in zip(
                carriers, rng.integers(10**10, size=size), strict=True
            )
        ],
        "iccid": [
            f"8931{codes[carrier]}{serial:012d}"
            for carrier, serial in zip(carriers, serials, strict=True)
        ],
        "carrier": carriers,
        "tariff": zipf_choice(rng, TARIFFS, size),
        "activation_date": [str(day) for day in activated],
    }
    entities = draw_entities(rng, population_size=size, records=records)
    columns: dict[str, list[str | None]] = {
        name: [values[who] for who in entities.tolist()]
        for name, values in cards.items()
    }
    swap_day_and_month(columns, "activation_date", SWAPPED_DATE_RATE, rng)
    mistype(columns, TYPING_RATES, rng)
    lose(columns, MISSING_RATES, rng)
    return DemoTable(
        name="SIM cards",
        columns={name: tuple(values) for name, values in columns.items()},
        kinds=dict(SIM_KINDS),
        entities=entities,
    )
