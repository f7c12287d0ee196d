"""Field names of the corpus: how often which name occurs decides what is hard."""

from __future__ import annotations

import math
from bisect import bisect
from enum import StrEnum
from itertools import accumulate, count, pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

GLOBAL_SHARE = 0.40
DOMAIN_SHARE = 0.48  # the rest, 12 %, is unique to a family
_GLOBAL_NAMES = 5_000
_DOMAIN_NAMES = 400
_KNOWN_SIZES = ((1_000, 10_700), (10_000, 30_000), (100_000, 93_000), (10**6, 450_000))
"""Artifacts and distinct names available to them; between them, log-log."""
_UNIQUE_PER_ARTIFACT = 0.3
_FLAT_NAMES = (5_000, 100_000)


class Style(StrEnum):
    """How names are distributed."""

    REAL = "real"
    """Global, domain and family names, as in a thousand public tables."""
    ZIPF = "zipf"
    """One flat Zipf vocabulary: names without any structure."""


class Zipf:
    """Draws from names of one prefix, the r-th with a weight of 1 / r."""

    def __init__(self, prefix: str, size: int) -> None:
        self._prefix = prefix
        self._sums = list(accumulate(1 / rank for rank in range(1, size + 1)))

    def draw(self, rng: random.Random) -> str:
        """Return one name."""
        rank = bisect(self._sums, rng.random() * self._sums[-1])
        return f"{self._prefix}_{rank}"


class FamilyNames(NamedTuple):
    """The vocabulary of one family of tables."""

    everywhere: Zipf
    domain: Zipf | None
    """None for the flat style."""
    own: Iterator[str]

    def draw(self, rng: random.Random) -> str:
        """Return one name; it may have come before."""
        share = rng.random()
        if self.domain is None or share < GLOBAL_SHARE:
            return self.everywhere.draw(rng)
        if share < GLOBAL_SHARE + DOMAIN_SHARE:
            return self.domain.draw(rng)
        return next(self.own)


class Vocabulary:
    """All names for a corpus of `artifacts` tables."""

    def __init__(self, style: Style, artifacts: int) -> None:
        self._domains: list[Zipf] = []
        if style is Style.ZIPF:
            smallest, largest = _FLAT_NAMES
            size = min(max(artifacts, smallest), largest)
            self._everywhere = Zipf("word", size)
        else:
            shared = _available(artifacts) - _UNIQUE_PER_ARTIFACT * artifacts
            number = max(2, round((shared - _GLOBAL_NAMES) / _DOMAIN_NAMES))
            self._everywhere = Zipf("common", _GLOBAL_NAMES)
            self._domains = [
                Zipf(f"area{domain}", _DOMAIN_NAMES) for domain in range(number)
            ]

    def family(self, rng: random.Random, label: str) -> FamilyNames:
        """Return the vocabulary of a new family of some domain."""
        domain = rng.choice(self._domains) if self._domains else None
        return FamilyNames(self._everywhere, domain, unique_names(label))


def unique_names(label: str) -> Iterator[str]:
    """Yield names that nobody else has."""
    return (f"{label}_{number}" for number in count())


def _available(artifacts: int) -> float:
    pieces = list(pairwise(_KNOWN_SIZES))
    fitting = [piece for piece in pieces if artifacts <= piece[1][0]]
    (low, names_low), (high, names_high) = (fitting or pieces[-1:])[0]
    slope = math.log(names_high / names_low) / math.log(high / low)
    return names_low * (artifacts / low) ** slope
