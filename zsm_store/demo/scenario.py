"""Four tables in the life of a registry, for real: each one is linked, every time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zsm_store.demo.blocking import PEOPLE_BLOCKING, SIM_BLOCKING
from zsm_store.demo.linking import fingerprint_of, link_table
from zsm_store.demo.people import people_table
from zsm_store.demo.reopening import pack_and_ask
from zsm_store.demo.sim_cards import sim_table
from zsm_store.model.fingerprint import SchemaFingerprint
from zsm_store.model.schema import Field, FieldKind, Schema
from zsm_store.registry.schema_registry import SchemaRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from zsm_store.demo.steps import DemoStep
    from zsm_store.demo.table import DemoTable

DEFAULT_RECORDS = 4_000


def run_demo(
    directory: Path, *, seed: int = 1, records: int = DEFAULT_RECORDS
) -> Iterator[DemoStep]:
    """Look up, train, save and link four tables, then pack the registry and reopen it.

    The registry decides how each table begins; nothing here expects an answer. So in a
    directory that holds a registry from an earlier run, every table is a warm load.

    Parameters
    ----------
    directory
        Gets `registry/` and `registry.zsm`.
    seed
        Of the generated tables. Equal seeds give equal tables, parameters and quality;
        the seconds differ.
    records
        Of each table.

    Yields
    ------
    DemoStep
        As soon as the step is done: four `TableStep`, one `BundleStep`.

    Raises
    ------
    ZsmError
        What the registry raises.
    """
    first = people_table(1, seed=seed, records=records)
    # Columns move between two exports of one system; parameters must follow by name.
    second = people_table(2, seed=seed, records=records).reordered()
    third = people_table(3, seed=seed, records=records, phone=True)
    cards = sim_table(seed=seed, records=records)
    scenes = (
        (first, PEOPLE_BLOCKING, "quarter 1", "people_q1"),
        (second, PEOPLE_BLOCKING, "quarter 2, columns in another order", "people_q2"),
        (third, PEOPLE_BLOCKING, "quarter 3, one column added", "people_q3"),
        (cards, SIM_BLOCKING, "another kind of table", "sim_cards"),
    )
    with SchemaRegistry.open(directory / "registry") as registry:
        for table, blocking, title, tag in scenes:
            yield link_table(registry, table, blocking, title=title, tag=tag)
        wanted = {table.name: fingerprint_of(table) for table, *_ in scenes}
        wanted |= _never_seen(first)
        yield pack_and_ask(
            registry, directory / "registry.zsm", wanted, title="packed and reopened"
        )


def _never_seen(people: DemoTable) -> dict[str, SchemaFingerprint]:
    """Two schemas that no scene stored: one near, one far; without a sample."""
    without_city = [field for field in people.schema.fields if field.name != "city"]
    parcels = [
        Field("tracking_code", FieldKind.ID),
        Field("depot", FieldKind.CATEGORICAL),
        Field("weight", FieldKind.NUMERIC),
    ]
    return {
        "people without city": SchemaFingerprint.from_schema(Schema(without_city)),
        "parcels": SchemaFingerprint.from_schema(Schema(parcels)),
    }
