from __future__ import annotations

import random

import numpy as np

from zsm_store.index.base_arrays import base_of
from zsm_store.index.gathered import Gathered
from zsm_store.index.row import Query, Vocabulary
from zsm_store.index.statistics import estimate, margin, similarity, total_distance
from zsm_store.index.wide_evaluation import similarities
from zsm_store.model.distance import distance_parts
from zsm_store.model.fingerprint import FieldStats, SchemaFingerprint
from zsm_store.model.schema import FieldKind

RANDOM = random.Random(0)  # noqa: S311
NAMES = [f"f{number}" for number in range(200)]
EXTREME = (0.0, 1e-45, 0.1, 1.0, -3.0, 3.4e38, -3.4e38, float("inf"), float("nan"))
COUNTS = (0, 1, 2, 3, 2**24 + 1, 2**64 - 1)


def fingerprint(place: int, *, extreme: bool) -> SchemaFingerprint:
    names = RANDOM.sample(NAMES, k=RANDOM.choice([0, 1, 2, 12, 150]))
    return SchemaFingerprint(
        schema_hash=f"{place:064x}",
        field_stats=tuple(
            FieldStats(
                name=name,
                kind=FieldKind.NAME,
                null_rate=RANDOM.choice(EXTREME) if extreme else RANDOM.random(),
                cardinality=RANDOM.choice(COUNTS)
                if extreme
                else RANDOM.randrange(10**6),
            )
            for name in names
        ),
        record_count=1,
        created_at=0,
    )


def test_one_by_one_and_all_at_once_are_the_definition_bit_for_bit() -> None:
    for extreme in (False, True):
        stored = [fingerprint(place, extreme=extreme) for place in range(60)]
        rows = Gathered.of(stored)
        base, vocabulary = base_of(rows), rows.vocabulary
        for _ in range(10):
            asked = fingerprint(999, extreme=extreme)
            query = Query(asked, vocabulary)
            rows = [base.find(bytes.fromhex(one.schema_hash)) for one in stored]
            at_once = similarities(base, query, np.array(rows, np.int32))
            assert at_once.dtype == np.float32
            for one, row, found in zip(stored, rows, at_once.tolist(), strict=True):
                columns = base.keys_of(row), *base.statistics_of(row)
                exact = similarity(query.statistics, *columns)
                assert exact == found
                parts = distance_parts(one, asked)
                distance = total_distance(parts.structure, exact)
                assert distance == parts.total
                near = parts.structure + 0.3 * (
                    1 - estimate(query.statistics, *columns)
                )
                assert abs(near - distance) <= margin(len(query.statistics)) / 4


def test_without_a_known_name_nothing_is_similar() -> None:
    base = base_of(Gathered.of([fingerprint(1, extreme=False)]))
    query = Query(fingerprint(2, extreme=False), Vocabulary())
    assert similarities(base, query, np.array([0], np.int32)).tolist() == [0.0]
