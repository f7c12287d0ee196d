from __future__ import annotations

import re

import numpy as np
import pytest

from zsm_store.demo.people import PEOPLE_KINDS, people_table
from zsm_store.demo.sim_cards import SIM_KINDS, sim_table

RECORDS = 800


def test_equal_seeds_give_equal_tables_and_others_do_not() -> None:
    one, same = (people_table(1, seed=7, records=RECORDS) for _ in range(2))
    assert one.columns == same.columns
    assert one.entities.tolist() == same.entities.tolist()
    assert one.columns != people_table(1, seed=8, records=RECORDS).columns
    assert one.columns != people_table(2, seed=7, records=RECORDS).columns
    cards, same_cards = (sim_table(seed=7, records=RECORDS) for _ in range(2))
    assert cards.columns == same_cards.columns
    assert cards.columns != sim_table(seed=8, records=RECORDS).columns


def test_the_columns_are_as_declared_and_phone_only_where_asked_for() -> None:
    table = people_table(1, seed=1, records=RECORDS)
    assert (*table.columns, "phone") == tuple(PEOPLE_KINDS)
    with_phone = people_table(1, seed=1, records=RECORDS, phone=True)
    assert tuple(with_phone.columns) == tuple(PEOPLE_KINDS)
    assert {name: with_phone.columns[name] for name in table.columns} == table.columns
    assert tuple(sim_table(seed=1, records=RECORDS).columns) == tuple(SIM_KINDS)
    for field in with_phone.schema.fields:
        assert field.kind is PEOPLE_KINDS[field.name]


@pytest.mark.parametrize("records", [0, 1, 2, 50, RECORDS])
def test_a_table_has_the_records_it_was_asked_for(records: int) -> None:
    for table in (
        people_table(1, seed=1, records=records),
        sim_table(seed=1, records=records),
    ):
        assert len(table) == records
        assert table.entities.shape == (records,)
        assert table.entities.dtype == np.int64
        assert {len(values) for values in table.columns.values()} == {records}
        assert len(list(table.records())) == records


def test_true_pairs_are_the_pairs_of_records_about_one_entity() -> None:
    table = people_table(1, seed=3, records=120)
    who = table.entities.tolist()
    pairs = sum(who[i] == who[j] for i in range(120) for j in range(i))
    assert table.true_pairs == pairs > 10


def test_records_of_one_entity_are_alike_and_not_all_equal() -> None:
    table = people_table(1, seed=1, records=RECORDS)
    records = [tuple(record.values()) for record in table.records()]
    agreements, different = [], 0
    for entity in set(table.entities.tolist()):
        rows = np.flatnonzero(table.entities == entity)
        for other in rows[1:]:
            one, two = records[rows[0]], records[other]
            agreements.append(
                sum(a == b for a, b in zip(one, two, strict=True)) / len(one)
            )
            different += one != two
    assert np.mean(agreements) > 0.6
    assert different > len(agreements) / 2


def test_quarters_share_people_with_the_same_true_values() -> None:
    one = people_table(1, seed=1, records=RECORDS)
    two = people_table(2, seed=1, records=RECORDS)
    shared = set(one.entities.tolist()) & set(two.entities.tolist())
    assert 0.4 < len(shared) / len(set(one.entities.tolist())) < 0.9
    born = [
        dict(zip(table.entities.tolist(), table.columns["birth_date"], strict=True))
        for table in (one, two)
    ]
    assert np.mean([born[0][who] == born[1][who] for who in shared]) > 0.7


def test_names_are_skewed_and_every_column_has_missing_values_and_errors() -> None:
    table = people_table(1, seed=1, records=RECORDS, phone=True)
    names, counts = np.unique(
        [name for name in table.columns["given_name"] if name], return_counts=True
    )
    assert counts.max() > 5 * np.median(counts)
    assert len(names) > 50
    for values in table.columns.values():
        missing = values.count(None) / RECORDS
        assert 0 < missing < 0.3
        assert "" not in values
    dates = [date for date in table.columns["birth_date"] if date]
    wellformed = sum(bool(re.fullmatch(r"\d{4}-\d\d-\d\d", date)) for date in dates)
    assert 0.9 < wellformed / len(dates) < 1


def test_reordering_columns_changes_nothing_but_their_order() -> None:
    table = people_table(1, seed=1, records=50)
    moved = table.reordered()
    assert list(moved.columns) == sorted(table.columns)
    assert dict(moved.columns) == dict(table.columns)
    assert moved.entities is table.entities


def test_no_column_of_sim_cards_is_one_of_people() -> None:
    assert not PEOPLE_KINDS.keys() & SIM_KINDS.keys()
