"""The benchmark itself, on 50 artifacts: every step runs and every answer is right."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import pytest

from tests.benchmarks.answers import Truth
from tests.benchmarks.brute_force import BruteForce
from tests.benchmarks.candidates import build_index, index_classes
from tests.benchmarks.corpus import make_corpus
from tests.benchmarks.fast_build import Column, build_fingerprint, fresh_copy
from tests.benchmarks.queries import Question, make_queries
from tests.benchmarks.report import render
from tests.benchmarks.search_run import measure_search
from tests.benchmarks.suite import Plan, run
from tests.benchmarks.vocabulary import Style
from zsm_store.index.scan import ScanIndex
from zsm_store.model.fingerprint import FieldStats, SchemaFingerprint
from zsm_store.model.schema import Field, FieldKind, schema_hash

if TYPE_CHECKING:
    from zsm_store.model.distance import Neighbor

COLUMNS = [
    Column("surname", FieldKind.NAME, 0.25, 40),
    Column("born", FieldKind.DATE, 0.0, 7),
    Column("größe", FieldKind.NUMERIC, 0.5, 1),
]


@pytest.mark.parametrize("records", [0, 50])
def test_the_fast_path_makes_what_the_constructors_make(records) -> None:
    made = build_fingerprint(COLUMNS, records)
    fields = [Field(column.name, column.kind) for column in COLUMNS]
    stats = tuple(
        FieldStats(
            name=column.name,
            kind=column.kind,
            null_rate=column.null_rate if records else 0.0,
            cardinality=column.cardinality if records else 0,
        )
        for column in COLUMNS
    )
    expected = SchemaFingerprint(
        schema_hash=schema_hash(fields),
        field_stats=stats,
        record_count=records,
        created_at=made.created_at,
    )
    assert made == expected
    assert asdict(fresh_copy(made)) == asdict(expected)
    assert replace(made) == made  # the constructor finds nothing to correct


@pytest.mark.parametrize("style", Style)
def test_the_same_seed_gives_the_same_corpus(style) -> None:
    first, again = (make_corpus(style, 50, 3, 10) for _ in range(2))
    assert first.stored == again.stored
    assert first.extra == again.extra
    assert make_corpus(style, 50, 4).stored != first.stored
    assert make_queries(first, 5, "a") == make_queries(again, 5, "a")


def test_queries_are_what_they_are_called() -> None:
    corpus = make_corpus(Style.REAL, 50, 3)
    hashes = {one.schema_hash for one in corpus.stored}
    names = {stats.name for one in corpus.stored for stats in one.field_stats}
    for query in make_queries(corpus, 20, "a"):
        asked = query.fingerprint
        assert (asked.record_count > 0) == query.with_stats
        if query.question is Question.EXACT:
            assert asked.schema_hash in hashes
        if query.question is Question.ALIEN:
            assert names.isdisjoint(stats.name for stats in asked.field_stats)


@pytest.mark.parametrize("style", Style)
@pytest.mark.parametrize("stored_with", ["any", "all", "none"])
def test_the_brute_force_agrees_with_the_definition(style, stored_with) -> None:
    corpus = make_corpus(style, 80, 5)
    stored = [
        one
        for one in corpus.stored
        if stored_with == "any" or (one.record_count > 0) == (stored_with == "all")
    ]
    scan, brute_force = build_index(ScanIndex, stored), BruteForce(stored)
    for query in make_queries(corpus, 10, "a"):
        for bound in (None, 0.25, 0.0):
            expected = scan.nearest(query.fingerprint, 1, bound)
            assert brute_force.nearest(query.fingerprint, 1, bound) == expected


@pytest.mark.parametrize("fault", ["hash", "distance", "silence", "bound"])
def test_a_wrong_answer_is_counted(fault) -> None:
    corpus = make_corpus(Style.REAL, 50, 3)
    queries = make_queries(corpus, 5, "a")
    scan = build_index(ScanIndex, corpus.stored)
    truth = Truth(BruteForce(corpus.stored), corpus.stored, queries)

    def wrong(fingerprint, **_: object) -> list[Neighbor]:
        first, second = scan.nearest(fingerprint, 2)
        answers = {
            "hash": [second],
            "distance": [replace(first, distance=math.nextafter(first.distance, 1))],
            "silence": [],
            "bound": [first],
        }
        return answers[fault]

    cells = measure_search("wrong", wrong, 50, queries, truth, rounds=1, budget_s=1)
    assert truth.wrong_brute_force == 0
    assert any(cell.wrong for cell in cells)
    assert any(cell.wrong == cell.checked for cell in cells)


@pytest.mark.parametrize("index", index_classes().values())
def test_a_small_run_measures_everything_and_finds_no_wrong_answer(
    index, tmp_path
) -> None:
    plan = Plan(
        index=index,
        sizes=(50,),
        registry_sizes=(50,),
        queries=5,
        rounds=1,
        budget_s=1.0,
        bandwidth_mb=1,
        batch=50,
        set_peers=False,
        processes=False,
        directory=tmp_path,
    )
    results = run(plan, lambda _: None)
    assert results.checked > 100
    assert results.wrong == 0
    assert results.updates[50].checked
    page = render(results, "command", "setting")
    assert index.__name__ in page
    assert "WRONG" not in page
