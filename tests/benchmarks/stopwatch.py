"""Time of single calls."""

from __future__ import annotations

import gc
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

Argument = TypeVar("Argument")
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Quantiles over the calls, in microseconds."""

    p50_us: float
    p99_us: float
    calls: int

    @classmethod
    def of(cls, times_ns: Sequence[int]) -> Latency | None:
        """Summarize; None of nothing."""
        if not times_ns:
            return None
        ordered = sorted(times_ns)
        return cls(
            p50_us=_quantile(ordered, 0.50) / 1_000,
            p99_us=_quantile(ordered, 0.99) / 1_000,
            calls=len(ordered),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed(Generic[Argument, Answer]):
    """Arguments, the answers to them, and how long each took."""

    arguments: list[Argument]
    answers: list[Answer]
    times_ns: list[int]
    """The fastest of the rounds, per argument."""

    @property
    def latency(self) -> Latency | None:
        """Quantiles over the arguments."""
        return Latency.of(self.times_ns)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the garbage collector from running in the middle of a measurement."""
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def time_calls(
    function: Callable[[Argument], Answer],
    arguments: Sequence[Argument],
    *,
    rounds: int = 1,
    budget_s: float | None = None,
    fewest: int = 5,
) -> Timed[Argument, Answer]:
    """Time one call per argument and round, round after round.

    Parameters
    ----------
    function, arguments
        What is called with what.
    rounds
        Times that all the arguments are gone through.
    budget_s
        Seconds after which no further call begins; slow ones get fewer arguments and
        maybe only a part of the rounds.
    fewest
        Calls that are made at any rate.
    """
    clock = time.perf_counter_ns
    end = clock() + int((budget_s or 1e9) * 1e9)
    answers: list[Answer] = []
    times: list[int] = []
    with quiet():
        for argument in arguments:
            if len(times) >= fewest and clock() > end:
                break
            begin = clock()
            answer = function(argument)
            times.append(clock() - begin)
            answers.append(answer)
        for _ in range(rounds - 1):
            for position in range(len(times)):
                if clock() > end:
                    break
                argument = arguments[position]
                begin = clock()
                answer = function(argument)
                took = clock() - begin
                times[position] = min(times[position], took)
                answers[position] = answer
    return Timed(
        arguments=list(arguments[: len(times)]), answers=answers, times_ns=times
    )


def _quantile(ordered: Sequence[int], share: float) -> float:
    position = share * (len(ordered) - 1)
    low = int(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)
