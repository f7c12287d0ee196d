"""Demonstration trainer: Fellegi-Sunter parameters by unsupervised EM.

With n_g pairs of pattern g and w_g = P(match | g) under the present parameters (see
`fellegi_sunter`), one iteration sets

    m[f][l] = (c + sum of n_g w_g       over g with g_f = l) / (the same over all l)
    u[f][l] = (c + sum of n_g (1 - w_g) over g with g_f = l) / (the same over all l)
    p       = (c + sum of n_g w_g) / (2 c + sum of n_g)

A missing comparison stands in no sum of its field: it is skipped, which is right where
values are missing at random. The pseudo-count c (a Dirichlet prior) keeps each
probability off 0: a 0 would never move again, and its match weight would be infinite.

Winkler (1988), "Using the EM algorithm for weight computation in the Fellegi-Sunter
model of record linkage", and (2000), Census Bureau research report RR2000/05; with c,
Dempster, Laird & Rubin (1977), JRSS B 39, section 3.

A demonstration: no term frequencies, no dependence between fields, and u estimated on
candidate pairs where random ones would be right. Use Splink, fastLink or zer for real
data.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from zsm_store.demo.fellegi_sunter import Mixture, indicators, log_odds, normalized
from zsm_store.model.params import ModelParams

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from zsm_store.demo.comparison import AgreementPatterns

MAX_ITERATIONS = 100
TOLERANCE = 1e-4
"""EM stops when no probability moved by more than this in an iteration."""
PSEUDO_COUNT = 0.1
"""c above, in pairs."""

START_M = (0.05, 0.05, 0.10, 0.80)
START_U = (0.80, 0.10, 0.05, 0.05)
START_MATCH_PROBABILITY = 0.1
"""Where a cold training starts, for every field: matches mostly agree, other pairs
mostly do not, and a tenth of the candidate pairs match."""

UPPER_THRESHOLD = 0.9
LOWER_THRESHOLD = 0.1
"""Written into trained parameters: match probability from which a pair is linked, and
below which it is not worth a clerk's time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """Outcome of a training."""

    params: ModelParams
    iterations: int
    converged: bool
    """False if the iterations ran out first."""
    log_posteriors: tuple[float, ...]
    """Log likelihood plus log prior (of the pseudo-counts), in nats, up to a constant:
    of the start and after each iteration. Never decreases."""


def cold_start_params(fields: int) -> ModelParams:
    """Parameters that a cold training starts from, for a number of fields."""
    return ModelParams(
        m=(START_M,) * fields,
        u=(START_U,) * fields,
        log_prior_odds=log_odds(START_MATCH_PROBABILITY),
        upper_threshold=UPPER_THRESHOLD,
        lower_threshold=LOWER_THRESHOLD,
    )


def train(
    patterns: AgreementPatterns,
    start: ModelParams | None = None,
    *,
    max_iterations: int = MAX_ITERATIONS,
    tolerance: float = TOLERANCE,
) -> Training:
    """Fit the model to agreement patterns, from `start` or else from the cold start.

    Thresholds are those of `start`; EM does not touch them.

    Raises
    ------
    ValueError
        `start` has another number of fields than the patterns, or lacks a level that
        occurs in them.
    """
    start = start or cold_start_params(patterns.levels.shape[1])
    model = Mixture.of(start)
    present = indicators(patterns.levels, model.widths)
    log_posteriors = [_log_posterior(model, present, patterns.counts)]
    iterations, converged = 0, False
    while not converged and iterations < max_iterations:
        updated = _iterate(model, present, patterns.counts)
        converged = updated.change(model) <= tolerance
        model, iterations = updated, iterations + 1
        log_posteriors.append(_log_posterior(model, present, patterns.counts))
    return Training(
        params=model.matches_agreeing().params(
            upper_threshold=start.upper_threshold,
            lower_threshold=start.lower_threshold,
        ),
        iterations=iterations,
        converged=converged,
        log_posteriors=tuple(log_posteriors),
    )


def _iterate(
    model: Mixture, present: NDArray[np.float64], counts: NDArray[np.int64]
) -> Mixture:
    """Apply the formulas above once."""
    share = model.probabilities(present)
    matches, others = counts * share, counts * (1.0 - share)
    pairs = counts.sum() + 2.0 * PSEUDO_COUNT
    return Mixture(
        widths=model.widths,
        m=normalized(matches @ present + PSEUDO_COUNT, model.widths),
        u=normalized(others @ present + PSEUDO_COUNT, model.widths),
        prior=float((matches.sum() + PSEUDO_COUNT) / pairs),
    )


def _log_posterior(
    model: Mixture, present: NDArray[np.float64], counts: NDArray[np.int64]
) -> float:
    pseudo = np.log(model.m).sum() + np.log(model.u).sum()
    pseudo += math.log(model.prior) + math.log1p(-model.prior)
    return float(counts @ model.log_likelihoods(present) + PSEUDO_COUNT * pseudo)
