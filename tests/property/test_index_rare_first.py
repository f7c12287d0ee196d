from __future__ import annotations

import math
import random
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zsm_store.index import (
    batch,
    costs,
    distant,
    evaluation,
    rare_first,
    search,
    wide_base,
    wide_evaluation,
)
from zsm_store.index.imported import has_numpy
from zsm_store.index.rare_first import RareFirstIndex
from zsm_store.model.distance import Neighbor, fingerprint_distance
from zsm_store.model.fingerprint import FieldStats, SchemaFingerprint
from zsm_store.model.float32 import float32
from zsm_store.model.schema import FieldKind

if TYPE_CHECKING:
    from collections.abc import Iterator

TUNING = {
    (distant, "_SPARSE"): [0, 64],
    (search, "FIRST_LISTS"): [1, 2, 3],
    (search, "SHORT_LIST"): [0, 3, 8, 32],
    (search, "has_numpy"): [bool, has_numpy],
    (search, "NARROW_WORK"): [0, 0, 5, 20, 1000],
    (search, "IMPORT_WORK"): [0, 30, 200_000],
    (search, "_FEW"): [0, 50],
    (evaluation, "has_numpy"): [bool, has_numpy],
    (evaluation, "_MANY"): [0, 2, 12],
    (evaluation, "_IMPORT_MANY"): [0, 10_000],
    (batch, "_LOOSE"): [0.0, 0.25, 0.4, 0.69, 0.69, 0.69],
    (batch, "_CHUNK"): [1, 3, 1000],
    (batch, "LONG_WORK"): [0, 5, 2_000],
    (wide_base, "_FIRST_WORK"): [1, 10, 500],
    (wide_base, "_FEW"): [0, 0, 3, 48],
    (wide_base, "_GUESSES"): [1, 3],
    (wide_evaluation, "_CHUNK"): [1, 3, 64],
    (rare_first, "has_numpy"): [bool, has_numpy],
    (rare_first, "MANY"): [0, 0, 3, 50],
    (rare_first, "IMPORT_MANY"): [0, 5_000],
    (rare_first, "SMALLEST_LIMIT"): [0, 1, 4, 512],
    (costs, "_TABULATED"): [0, 256],
}
"""What only decides how fast an answer comes: any value must give the same one.
``bool()`` is false."""

NULL_RATES = (
    *(0.0, 0.1, 0.25, 0.5, 1.0, 1e-45, -0.0),
    *(-3.0, 7.5, 3.4e38, -3.4e38, math.inf, -math.inf, math.nan),
)
CARDINALITIES = (0, 1, 2, 3, 2**24 + 1, 2**53 + 1, 2**63, 2**64 - 1)
# In UTF-16 the last two sort the other way round.
NAMES = ("", "é", "~", "\uff5e", "\U0001f600")
LARGE = 150

_PROFILE = settings().max_examples
EXAMPLES = 10 * _PROFILE if _PROFILE >= 1_000 else 3 * _PROFILE
"""50,000 in the deep profile; each asks a dozen times."""


class World:
    """Fingerprints that share names, kinds and hashes, from one random source."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311
        letters = self.random.choice([1, 3, 8, 30])
        self._names = [f"f{number}" for number in range(letters)]
        self._names += self.random.sample(NAMES, k=self.random.randint(0, len(NAMES)))
        self._kinds = self.random.sample(list(FieldKind), k=self.random.choice([1, 3]))
        self._largest = self.random.choice([2, 6, 6, 12, 12, LARGE])
        self._sampled = self.random.choice([0.0, 0.5, 0.5, 0.9, 1.0])
        self._odd = self.random.choice([0.0, 0.3])
        self._doubles = self.random.choice([0.0, 0.0, 0.5])
        self._hashes = [
            self.random.choice(
                [f"{number:064x}", f"{self.random.getrandbits(256):064x}"]
            )
            for number in range(self.random.choice([5, 20, 40]))
        ]

    def fingerprint(
        self, like: SchemaFingerprint | None = None, schema_hash: str | None = None
    ) -> SchemaFingerprint:
        if like is None:
            fields = [self._field() for _ in range(self._size())]
        else:
            fields = [one for one in like.field_stats if self.random.random() < 0.9]
            fields += [self._field() for _ in range(self.random.randint(0, 2))]
        if self.random.random() >= self._doubles:
            fields = list({one.name: one for one in fields}.values())
        self.random.shuffle(fields)
        return SchemaFingerprint(
            schema_hash=schema_hash or self.random.choice(self._hashes),
            field_stats=tuple(fields),
            record_count=9 if self.random.random() < self._sampled else 0,
            created_at=0,
        )

    def limits(self, distances: list[float]) -> float | None:
        """Return a largest distance; often one that occurs, or next to it."""
        one = self.random.choice([0.0, 0.25, 0.7, float32(0.7), 1.0, *distances])
        beside = [math.nextafter(one, -1), math.nextafter(one, 2)]
        odd = [self.random.random(), -1.0, math.nan]
        return self.random.choice([None, None, one, one, 0.25, *beside, *odd])

    def _size(self) -> int:
        return self.random.choice([0, 1, self._largest, self._largest // 2])

    def _field(self) -> FieldStats:
        names = self._names
        if self._largest == LARGE and self.random.random() < 0.9:
            names = [f"g{number}" for number in range(2 * LARGE)]
        if self.random.random() < self._odd:
            null_rate = self.random.choice(NULL_RATES)
            cardinality = self.random.choice(CARDINALITIES)
        else:
            null_rate = self.random.random()
            cardinality = self.random.randrange(1000)
        return FieldStats(
            name=self.random.choice(names),
            kind=self.random.choice(self._kinds),
            null_rate=null_rate,
            cardinality=cardinality,
        )


def definition(
    stored: dict[str, SchemaFingerprint], query: SchemaFingerprint
) -> list[Neighbor]:
    neighbors = [
        Neighbor(distance=fingerprint_distance(query, one), schema_hash=key)
        for key, one in stored.items()
    ]
    return sorted(
        neighbors,
        key=lambda one: (
            one.schema_hash != query.schema_hash,
            one.distance,
            one.schema_hash,
        ),
    )


def expected(ranked: list[Neighbor], k: int, limit: float | None) -> list[Neighbor]:
    return [one for one in ranked if limit is None or one.distance <= limit][:k]


def check_queries(
    world: World, index: RareFirstIndex, stored: dict[str, SchemaFingerprint]
) -> None:
    pick = world.random
    asked, distances = [], []
    for _ in range(2):
        like = None
        if stored and pick.random() < 0.8:
            like = stored[pick.choice(list(stored))]
        query = like if like and pick.random() < 0.2 else world.fingerprint(like)
        if pick.random() < 0.5:  # a hash that is not there
            query = world.fingerprint(query, f"{pick.getrandbits(256):064x}")
        ranked = definition(stored, query)
        asked.append((query, ranked))
        distances += [one.distance for one in ranked]
        for k in pick.sample([0, 1, 1, 2, 5, 100], k=2):
            limit = world.limits([one.distance for one in ranked])
            found = index.nearest(query, k, limit)
            assert found == expected(ranked, k, limit), (query, k, limit)
            assert index.nearest_many([query, query], k, limit) == [found, found]
    for k in pick.sample([1, 2, 5], k=2):
        limit = pick.choice([0.25, 0.6, world.limits(distances)])
        assert index.nearest_many([query for query, _ in asked], k, limit) == [
            expected(ranked, k, limit) for _, ranked in asked
        ], (asked, k, limit)


def update(
    world: World, index: RareFirstIndex, stored: dict[str, SchemaFingerprint]
) -> None:
    pick = world.random
    likes = [pick.choice([None, *stored.values()]) for _ in range(pick.choice([0, 9]))]
    puts = [world.fingerprint(like) for like in likes]
    known = [one.schema_hash for one in puts] + list(stored)
    removals = pick.sample(known, k=pick.randint(0, len(known)))
    index.update(iter(puts), [*removals, "nothing"])
    for schema_hash in removals:
        stored.pop(schema_hash, None)
    stored.update({one.schema_hash: one for one in puts})


@settings(max_examples=EXAMPLES)
@given(seed=st.integers(0, 2**64 - 1))
def test_whatever_happened_before_the_answers_are_the_definitions(seed) -> None:
    world = World(seed)
    pick = world.random
    with ExitStack() as tuned:
        for (module, name), values in TUNING.items():
            tuned.enter_context(patch.object(module, name, pick.choice(values)))
        first = [world.fingerprint() for _ in range(pick.choice([0, 1, 5, 20, 40]))]
        stored = {one.schema_hash: one for one in first}
        index = RareFirstIndex.build(first)
        check_queries(world, index, stored)
        for _ in range(pick.choice([0, 2, 10])):
            for _ in range(pick.choice([1, 3, 10])):
                step = pick.random()
                if step < 0.15:
                    update(world, index, stored)
                elif step < 0.6:
                    like = pick.choice([None, *stored.values()])
                    one = world.fingerprint(like)
                    index.put(one)
                    stored[one.schema_hash] = one
                elif step < 0.95:
                    schema_hash = world.fingerprint().schema_hash
                    index.remove(schema_hash)
                    stored.pop(schema_hash, None)
                    assert schema_hash not in index
                else:
                    index.compact()
            assert len(index) == len(stored)
            assert all(schema_hash in index for schema_hash in stored)
            check_queries(world, index, stored)


@pytest.fixture
def _hasty_threads() -> Iterator[None]:
    """Let threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


class Writer:
    """Changes an index, and remembers which moments there were."""

    def __init__(self, pool: list[SchemaFingerprint], seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311
        self._pool = pool
        first = pool[: len(pool) // 3]
        self.index = RareFirstIndex.build(first)
        self.begun = [{one.schema_hash: one for one in first}]
        """What is stored after each change, from before that change begins."""
        self.ended = 0
        """Number of changes that have returned."""
        self.is_done = False

    def write(self, changes: int) -> None:
        for _ in range(changes):
            one = self._random.choice(self._pool)
            after = dict(self.begun[-1])
            if self._random.random() < 0.2:
                puts = self._random.sample(self._pool, k=5)
                gone = self._random.sample(list(after), k=len(after) // 3)
                for schema_hash in gone:
                    del after[schema_hash]
                after.update({one.schema_hash: one for one in puts})
                self.begun.append(after)
                self.index.update(puts, gone)
            elif self._random.random() < 0.6:
                after[one.schema_hash] = one
                self.begun.append(after)
                self.index.put(one)
            else:
                after.pop(one.schema_hash, None)
                self.begun.append(after)
                self.index.remove(one.schema_hash)
            self.ended += 1
        self.is_done = True

    def compact(self) -> None:
        while not self.is_done:
            self.index.compact()

    def read(self, query: SchemaFingerprint) -> list[tuple[int, int, list[Neighbor]]]:
        """Ask until the end; return each answer with the moments it may be of."""
        answers = []
        while not self.is_done:
            since = self.ended
            found = self.index.nearest(query, 3)
            answers.append((since, len(self.begun), found))
        return answers


@pytest.mark.usefixtures("_hasty_threads")
def test_readers_beside_a_writer_see_a_moment_of_their_call() -> None:
    world = World(0)
    pool = [world.fingerprint() for _ in range(60)]
    queries = [world.fingerprint(pool[0]), world.fingerprint(pool[1], "5" * 64)]
    with ExitStack() as tuned:
        tuned.enter_context(patch.object(rare_first, "SMALLEST_LIMIT", 20))
        tuned.enter_context(patch.object(search, "NARROW_WORK", 30))
        writer = Writer(pool, seed=1)
        with ThreadPoolExecutor(max_workers=4) as threads:
            readers = [threads.submit(writer.read, query) for query in queries]
            others = [
                threads.submit(writer.write, 6_000),
                threads.submit(writer.compact),
            ]
        for other in others:
            other.result()
    for query, reader in zip(queries, readers, strict=True):
        answers = reader.result()
        assert len(answers) > 20
        for since, until, found in answers:
            assert any(
                found == definition(stored, query)[:3]
                for stored in writer.begun[since:until]
            )
    assert len(writer.index) == len(writer.begun[-1])
