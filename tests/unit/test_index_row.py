from __future__ import annotations

from zsm_store.index.row import KINDS, Query, Row, Vocabulary
from zsm_store.model.fingerprint import FieldStats, SchemaFingerprint
from zsm_store.model.schema import FieldKind

NAME, DATE = FieldKind.NAME.code, FieldKind.DATE.code


def fingerprint(*fields: FieldStats, records: int = 1) -> SchemaFingerprint:
    return SchemaFingerprint(
        schema_hash="0a" * 32,
        field_stats=fields,
        record_count=records,
        created_at=0,
    )


def field(
    name: str, kind: FieldKind, null_rate: float = 0.0, cardinality: int = 0
) -> FieldStats:
    return FieldStats(
        name=name, kind=kind, null_rate=null_rate, cardinality=cardinality
    )


def test_a_name_keeps_its_number() -> None:
    vocabulary = Vocabulary(["b"])
    assert [vocabulary.number(name) for name in "abcab"] == [1, 0, 2, 1, 0]
    assert vocabulary.names() == ["b", "a", "c"]
    assert vocabulary.find("d") is None
    assert len(vocabulary) == 3


def test_a_row_has_a_key_for_each_name_and_kind() -> None:
    row = Row.of(
        fingerprint(
            field("b", FieldKind.DATE, 0.5, 2**24 + 1), field("a", FieldKind.NAME, 0, 7)
        ),
        Vocabulary(["a", "b"]),
    )
    assert row.digest == b"\x0a" * 32
    assert row.keys == (KINDS + DATE, NAME)
    assert row.null_rates == (0.5, 0.0)
    assert row.cardinalities == (2.0**24, 7.0)


def test_without_a_sample_there_are_no_statistics() -> None:
    row = Row.of(fingerprint(field("a", FieldKind.NAME), records=0), Vocabulary())
    assert (row.sampled, row.null_rates, row.cardinalities) == (False, (), ())


def test_a_name_that_stands_twice_has_the_last_statistics() -> None:
    twice = fingerprint(
        field("a", FieldKind.NAME, 0.1),
        field("a", FieldKind.DATE, 0.25, 5),
        field("a", FieldKind.NAME, 0.75, 6),
    )
    vocabulary = Vocabulary()
    row = Row.of(twice, vocabulary)
    assert row.keys == (NAME, DATE)
    assert row.null_rates == (0.75, 0.75)
    assert row.cardinalities == (6.0, 6.0)
    query = Query(twice, vocabulary)
    assert query.count == 2
    assert query.statistics == [(0, 0.75, 6.0)]


def test_a_query_counts_the_names_that_nobody_knows() -> None:
    query = Query(
        fingerprint(*(field(name, FieldKind.NAME) for name in "xay")), Vocabulary("a")
    )
    assert query.count == 3
    assert query.keys == {NAME}
    assert query.statistics == [(0, 0.0, 0.0)]


def test_statistics_are_in_the_order_of_code_points() -> None:
    names = ["\U0001f600", "\uff5e", "a"]  # UTF-16 would swap the first two
    query = Query(
        fingerprint(*(field(name, FieldKind.NAME) for name in names)), Vocabulary(names)
    )
    assert [number for number, _, _ in query.statistics] == [2, 1, 0]
