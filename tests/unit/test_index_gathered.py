from __future__ import annotations

from tests import examples
from zsm_store.index.gathered import Gathered
from zsm_store.index.row import Row, Vocabulary
from zsm_store.model.fingerprint import FieldStats, SchemaFingerprint
from zsm_store.model.schema import FieldKind

SAMPLED = SchemaFingerprint(
    schema_hash="0b" * 32,
    field_stats=(
        FieldStats(name="b", kind=FieldKind.DATE, null_rate=0.5, cardinality=2**24 + 1),
        FieldStats(name="a", kind=FieldKind.NAME, null_rate=0.1, cardinality=7),
        FieldStats(name="b", kind=FieldKind.NAME, null_rate=0.2, cardinality=2**64 - 1),
    ),
    record_count=5,
    created_at=0,
)
FINGERPRINTS = [examples.fingerprint(), SAMPLED, examples.fingerprint(examples.SIM)]


def test_what_was_gathered_comes_out_as_rows() -> None:
    gathered = Gathered.of(iter(FINGERPRINTS))
    vocabulary = Vocabulary(["b", "z"])
    expected = Vocabulary(["b", "z"])
    assert list(gathered.rows(vocabulary)) == [
        Row.of(one, expected) for one in FINGERPRINTS
    ]
    assert vocabulary.names() == expected.names()
    assert len(gathered) == 3


def test_rows_of_another_vocabulary_keep_their_keys() -> None:
    vocabulary = Vocabulary()
    rows = [Row.of(one, vocabulary) for one in FINGERPRINTS]
    gathered = Gathered()
    for row in rows:
        gathered.append(row)
    gathered.vocabulary = vocabulary
    assert list(gathered.rows(vocabulary)) == rows


def test_nothing_is_gathered_from_nothing() -> None:
    assert list(Gathered.of([]).rows(Vocabulary())) == []
    assert len(Gathered()) == 0
