"""Which answers no directory state explains that existed while they were sought.

A writer is one after the other, so each of its keys has a known history; an operation
took effect somewhere between its beginning and its end. An answer is right if there is
one moment of its call at which every key can have been as the answer says.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from tests.multiprocess.freshness_scene import fingerprint, schema_hash
from zsm_store.model.distance import WARM_START_THRESHOLD, fingerprint_distance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.multiprocess.freshness_scene import Key, Step


class Operation(NamedTuple):
    """What a writer did; times are of the monotonic clock, in nanoseconds."""

    begin: int
    end: int
    key: Key
    version: int | None
    """None where the key was deleted."""


class Rank(NamedTuple):
    """Order of the answers: an equal hash, then the distance, then the hash."""

    differs: bool
    distance: float
    schema_hash: str


@cache
def rank(query: Key, key: Key, version: int) -> Rank:
    """Apply the definition."""
    stored, asked = fingerprint(key, version), fingerprint(query, 0)
    return Rank(
        stored.schema_hash != asked.schema_hash,
        fingerprint_distance(stored, asked),
        stored.schema_hash,
    )


class Found(NamedTuple):
    """One artifact of an answer."""

    key: Key
    version: int | None
    """None where the answer does not say: then only the distance counts."""
    distance: float

    def shows(self, query: Key, version: int) -> bool:
        """Whether this is what the definition says of a version."""
        return (
            self.version in (None, version)
            and rank(query, self.key, version).distance == self.distance
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a reader was told."""

    begin: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbors(Answer):
    """Of a lookup, which is bounded, or of a search for the nearest."""

    query: Key
    most: int
    bound: float | None
    found: tuple[Found, ...]
    mode: str | None = None
    """Of a lookup: ``warm_load``, ``warm_start`` or ``cold_start``."""

    @property
    def agrees_with_itself(self) -> bool:
        """Whether it is in order and within bounds, and the mode follows from it."""
        ranks = [self._rank(one) for one in self.found]
        ascend = all(one < other for one, other in pairwise(ranks))
        bounded = not any(self._is_beyond(one) for one in ranks)
        mode = _mode(ranks) if self.mode else None
        return ascend and bounded and len(ranks) <= self.most and mode == self.mode

    def misses(self, stored: Rank) -> bool:
        """Whether something that was stored belongs into the answer."""
        is_full = len(self.found) == self.most
        if is_full and self._rank(self.found[-1]) < stored:
            return False
        return not self._is_beyond(stored)

    def _rank(self, found: Found) -> Rank:
        address = schema_hash(found.key)
        return Rank(address != schema_hash(self.query), found.distance, address)

    def _is_beyond(self, ranked: Rank) -> bool:
        return self.bound is not None and ranked.distance > self.bound


def _mode(ranks: list[Rank]) -> str:
    if not ranks or ranks[0].distance > WARM_START_THRESHOLD:
        return "cold_start"
    return "warm_start" if ranks[0].differs else "warm_load"


@dataclass(frozen=True, slots=True, kw_only=True)
class Count(Answer):
    """How many artifacts there were."""

    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership(Answer):
    """Whether a key was stored."""

    key: Key
    stored: bool


@dataclass(slots=True)
class History:
    """What a key was at any moment."""

    versions: list[int | None] = field(default_factory=lambda: [None])
    """Before the first operation and after each."""
    begins: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)

    def possible(self, moment: int) -> list[int | None]:
        """Return what the key can have been; None where it can have been absent."""
        surely_done = bisect_left(self.ends, moment)
        maybe_begun = bisect_right(self.begins, moment)
        return self.versions[surely_done : maybe_begun + 1]

    def add(self, operation: Operation) -> None:
        """Note the next operation of the writer."""
        self.versions.append(operation.version)
        self.begins.append(operation.begin)
        self.ends.append(operation.end)

    def was_shown(self, version: int, answer: Answer) -> None:
        """Note that an answer showed a version, which narrows when it was there."""
        if version in self.versions:
            position = self.versions.index(version)
            self.ends[position - 1] = min(self.ends[position - 1], answer.end)
            if position < len(self.begins):
                self.begins[position] = max(self.begins[position], answer.begin)


class Judge:
    """Knows everything that was written.

    Parameters
    ----------
    constant
        What was stored all the time.
    operations
        Those of one key in the order of its only writer.
    late_s
        How long an operation may stay unseen after its end: on a network drive, a host
        goes on for a while to believe what it was told. Then two readers may also see
        it at different times.
    """

    def __init__(
        self,
        constant: Iterable[Step],
        operations: Iterable[Operation],
        *,
        late_s: float = 0.0,
    ) -> None:
        self._is_late = late_s > 0
        self._constant = {key: History() for key, _ in constant}
        for key, version in constant:
            self._constant[key].add(Operation(0, 0, key, version))
        self._moving: defaultdict[Key, History] = defaultdict(History)
        for operation in operations:
            late = operation.end + round(late_s * 1e9)
            self._moving[operation.key].add(operation._replace(end=late))
        self._steps: list[int] = []

    def faults(self, answers: Iterable[Answer]) -> list[str]:
        """Return a sentence for each answer that is not right."""
        answers = list(answers)
        for answer in answers:
            if isinstance(answer, Neighbors) and not self._is_late:
                for key, version, _ in answer.found:
                    if version is not None and key in self._moving:
                        self._moving[key].was_shown(version, answer)
        self._steps = sorted(
            moment
            for history in self._moving.values()
            for moment in (*history.begins, *history.ends)
        )
        return [
            f"no state explains {answer}"
            for answer in answers
            if not self._is_right(answer)
        ]

    def is_decided(self, answer: Answer) -> bool:
        """Whether nothing happened meanwhile, so that only one answer is right."""
        return all(
            len(history.possible(answer.begin)) == 1
            and history.possible(answer.begin) == history.possible(answer.end)
            for history in self._moving.values()
        )

    def _is_right(self, answer: Answer) -> bool:
        if isinstance(answer, Count):
            return self._ever(answer, self._can_count(answer.count))
        if isinstance(answer, Membership):
            return self._ever(answer, self._can_hold(answer))
        assert isinstance(answer, Neighbors)
        return answer.agrees_with_itself and self._ever(answer, self._can_find(answer))

    def _ever(self, answer: Answer, is_possible: Callable[[int], bool]) -> bool:
        """Try the moments at which more states are possible than just before."""
        first = bisect_left(self._steps, answer.begin)
        last = bisect_right(self._steps, answer.end)
        moments = [answer.begin, *self._steps[first:last], answer.end]
        return any(is_possible(moment) for moment in moments)

    def _can_count(self, count: int) -> Callable[[int], bool]:
        def is_possible(moment: int) -> bool:
            states = [history.possible(moment) for history in self._moving.values()]
            surely = sum(None not in one for one in states)
            maybe = sum(one != [None] for one in states)
            return surely <= count - len(self._constant) <= maybe

        return is_possible

    def _can_hold(self, answer: Membership) -> Callable[[int], bool]:
        history = self._moving[answer.key]
        return lambda moment: any(
            (version is not None) is answer.stored
            for version in history.possible(moment)
        )

    def _can_find(self, answer: Neighbors) -> Callable[[int], bool]:
        query = answer.query
        found = {one.key: one for one in answer.found}
        # Of what never changes only the nearest can come into an answer.
        constant = sorted(self._constant, key=lambda key: rank(query, key, 2))
        histories = {
            **self._moving,
            **{key: self._constant[key] for key in constant[: answer.most]},
        }

        def fits(key: Key, version: int | None) -> bool:
            if key in found:
                return version is not None and found[key].shows(query, version)
            return version is None or not answer.misses(rank(query, key, version))

        def is_possible(moment: int) -> bool:
            return found.keys() <= histories.keys() and all(
                any(fits(key, version) for version in history.possible(moment))
                for key, history in histories.items()
            )

        return is_possible
