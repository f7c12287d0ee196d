"""The Fellegi-Sunter model, evaluated on agreement patterns.

A pair of records is a match with probability p. Field f of the pair is at comparison
level l with probability ``m[f][l]`` if it is a match and ``u[f][l]`` if not, given that
independently of the other fields. So for a pattern of levels g, over the fields
that could be compared,

    P(match | g) = 1 / (1 + exp(-(ln(p / (1 - p)) + sum_f ln(m[f][g_f] / u[f][g_f]))))

Fellegi & Sunter (1969), "A theory for record linkage", JASA 64 (328), 1183-1210.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

from zsm_store.demo.comparison import MISSING, AgreementPatterns
from zsm_store.model.params import ModelParams

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SMALLEST_PROBABILITY = 1e-9
"""Replaces 0 (and 1 - this a prior of 1): a weight of given parameters stays finite."""


def match_probabilities(
    levels: NDArray[np.int8], params: ModelParams
) -> NDArray[np.float64]:
    """(pair,): probability of a match given (pair, field) comparison levels.

    Raises
    ------
    ValueError
        `params` has another number of fields than `levels`, or lacks one of the levels.
    """
    patterns = AgreementPatterns.of(levels)
    model = Mixture.of(params)
    found = model.probabilities(indicators(patterns.levels, model.widths))
    return found[patterns.of_pair]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixture:
    """The parameters in float64, the levels of all fields side by side."""

    widths: tuple[int, ...]
    """Levels of each field."""
    m: NDArray[np.float64]
    """(level,): all levels of field 0, then those of field 1, and so on."""
    u: NDArray[np.float64]
    """As `m`."""
    prior: float
    """p: share of matches among the pairs."""

    @staticmethod
    def of(params: ModelParams) -> Mixture:
        """Take over parameters, with rows that sum to 1 and no probability of 0."""
        widths = tuple(len(row) for row in params.m)
        prior = _logistic(np.array(params.log_prior_odds))
        least = SMALLEST_PROBABILITY
        return Mixture(
            widths=widths,
            m=normalized(np.concatenate(params.m), widths),
            u=normalized(np.concatenate(params.u), widths),
            prior=float(np.clip(prior, least, 1.0 - least)),
        )

    def params(self, *, upper_threshold: float, lower_threshold: float) -> ModelParams:
        """Rows per field again, rounded to float32."""
        ends = tuple(accumulate(self.widths))[:-1]
        return ModelParams(
            m=tuple(tuple(row.tolist()) for row in np.split(self.m, ends)),
            u=tuple(tuple(row.tolist()) for row in np.split(self.u, ends)),
            log_prior_odds=log_odds(self.prior),
            upper_threshold=upper_threshold,
            lower_threshold=lower_threshold,
        )

    def probabilities(self, present: NDArray[np.float64]) -> NDArray[np.float64]:
        """(pattern,): P(match | pattern), given `indicators`."""
        return _logistic(present @ np.log(self.m / self.u) + log_odds(self.prior))

    def log_likelihoods(self, present: NDArray[np.float64]) -> NDArray[np.float64]:
        """(pattern,): ln P(pattern), in nats, given `indicators`."""
        return np.logaddexp(
            present @ np.log(self.m) + math.log(self.prior),
            present @ np.log(self.u) + math.log1p(-self.prior),
        )

    def change(self, other: Mixture) -> float:
        """Largest difference of any probability."""
        moved = np.abs(np.concatenate([self.m - other.m, self.u - other.u]))
        return float(max(moved.max(), abs(self.prior - other.prior)))

    def matches_agreeing(self) -> Mixture:
        """Give the name m to the class that agrees more.

        The likelihood does not change when the two classes trade places, so EM may end
        on either side, and every decision would be inverted.
        """
        exact = np.array(list(accumulate(self.widths))) - 1
        if (self.m[exact] - self.u[exact]).sum() >= 0:
            return self
        return Mixture(widths=self.widths, m=self.u, u=self.m, prior=1.0 - self.prior)


def indicators(levels: NDArray[np.int8], widths: Sequence[int]) -> NDArray[np.float64]:
    """(pattern, level of all fields): 1 where the pattern has it; missing has none."""
    if levels.shape[1] != len(widths):
        message = f"{levels.shape[1]} fields compared, {len(widths)} in the parameters"
        raise ValueError(message)
    columns = []
    for field, width in zip(levels.T, widths, strict=True):
        highest = field.max(initial=MISSING)
        if highest >= width:
            message = f"comparison level {highest}, but the parameters have {width}"
            raise ValueError(message)
        columns.append(field[:, None] == np.arange(width))
    return np.concatenate(columns, axis=1).astype(np.float64)


def normalized(
    values: NDArray[np.float64], widths: Sequence[int]
) -> NDArray[np.float64]:
    """Scale so that each field's levels sum to 1, none of them 0."""
    values = np.maximum(values, SMALLEST_PROBABILITY)
    starts = [0, *accumulate(widths)][:-1]
    totals: NDArray[np.float64] = np.add.reduceat(values, starts)
    return values / np.repeat(totals, widths)


def log_odds(probability: float) -> float:
    """Natural log of p / (1 - p)."""
    return math.log(probability) - math.log1p(-probability)


def _logistic(odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverse of `log_odds`; no overflow for odds of any size."""
    probabilities: NDArray[np.float64] = np.exp(-np.logaddexp(0.0, -odds))
    return probabilities
