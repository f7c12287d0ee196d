"""What is asked: by how much the query resembles what is stored."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from tests.benchmarks.corpus import add_columns, first_table, jitter, sample_size
from tests.benchmarks.fast_build import Column, build_fingerprint
from tests.benchmarks.vocabulary import FamilyNames, Zipf, unique_names
from zsm_store.model.schema import FieldKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.benchmarks.corpus import Corpus, Family
    from zsm_store.model.fingerprint import SchemaFingerprint

_EDITS = 2


class Question(StrEnum):
    """How a query relates to the corpus."""

    EXACT = "exact"
    """The hash of a stored artifact."""
    DRIFT = "drift"
    """A stored table: 0-2 fields dropped, 0-2 added, at least one edit."""
    MISS = "miss"
    """A new family that uses the same vocabulary."""
    ALIEN = "alien"
    """Not one known name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A fingerprint to look up."""

    question: Question
    with_stats: bool
    fingerprint: SchemaFingerprint


def make_queries(corpus: Corpus, number: int, purpose: str) -> list[Query]:
    """Return `number` queries for each question, with and without statistics.

    Parameters
    ----------
    corpus
        What is stored.
    number
        Of each of the eight kinds of query.
    purpose
        Other queries for another purpose: warming up must not show the answers.
    """
    source = f"{corpus.style}/{len(corpus.stored)}/{corpus.seed}/{purpose}"
    rng = random.Random(source)  # noqa: S311  # repeatable, no secret
    tables: dict[Question, Callable[[int], list[Column]]] = {
        Question.EXACT: lambda _: _exact(corpus, rng),
        Question.DRIFT: lambda number: _drift(corpus, rng, f"{purpose}_d{number}"),
        Question.MISS: lambda number: _miss(corpus, rng, f"{purpose}_m{number}"),
        Question.ALIEN: lambda number: _alien(rng, f"{purpose}_a{number}"),
    }
    return [
        Query(
            question=question,
            with_stats=with_stats,
            fingerprint=build_fingerprint(
                tables[question](2 * index + with_stats),
                sample_size(rng, with_stats=with_stats),
            ),
        )
        # Mixed, so that no question has the caches of the processor for itself.
        for index in range(number)
        for question in Question
        for with_stats in (False, True)
    ]


def _exact(corpus: Corpus, rng: random.Random) -> list[Column]:
    position = rng.randrange(len(corpus.stored))
    columns = _columns(corpus.stored[position], corpus.families[position])
    return [jitter(column, rng) for column in columns]


def _drift(corpus: Corpus, rng: random.Random, label: str) -> list[Column]:
    position = rng.randrange(len(corpus.stored))
    family = corpus.families[position]
    columns = _columns(corpus.stored[position], family)
    dropped, added = 0, 0
    while not dropped + added:
        dropped, added = rng.randint(0, _EDITS), rng.randint(0, _EDITS)
    kept = rng.sample(columns, len(columns) - dropped)
    new = family.names._replace(own=unique_names(label))
    return add_columns([jitter(column, rng) for column in kept], added, rng, new)


def _columns(stored: SchemaFingerprint, family: Family) -> list[Column]:
    """Return the columns; without statistics of their own, with those of the first."""
    if stored.record_count:
        return [
            Column(one.name, one.kind, one.null_rate, one.cardinality)
            for one in stored.field_stats
        ]
    first = {column.name: column for column in family.first}
    return [
        first.get(one.name, _UNKNOWN)._replace(name=one.name, kind=one.kind)
        for one in stored.field_stats
    ]


def _miss(corpus: Corpus, rng: random.Random, label: str) -> list[Column]:
    return first_table(rng, corpus.vocabulary.family(rng, label))


def _alien(rng: random.Random, label: str) -> list[Column]:
    own: Iterator[str] = unique_names(label)
    return first_table(rng, FamilyNames(_NOWHERE, _NOWHERE, own))


_UNKNOWN = Column("", FieldKind.NAME, 0.0, 10)
_NOWHERE = Zipf("nowhere", 10_000)
