from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from zsm_store.demo.comparison import MISSING, AgreementPatterns
from zsm_store.demo.em import PSEUDO_COUNT, _iterate, cold_start_params, train
from zsm_store.demo.fellegi_sunter import Mixture, indicators, match_probabilities
from zsm_store.model.params import ModelParams

TRUTH = ModelParams(
    m=(
        (0.05, 0.05, 0.10, 0.80),
        (0.02, 0.03, 0.05, 0.90),
        (0.10, 0.05, 0.15, 0.70),
        (0.05, 0.10, 0.10, 0.75),
        (0.10, 0.05, 0.05, 0.80),
    ),
    u=(
        (0.85, 0.08, 0.05, 0.02),
        (0.96, 0.02, 0.01, 0.01),
        (0.60, 0.10, 0.10, 0.20),
        (0.75, 0.15, 0.05, 0.05),
        (0.90, 0.05, 0.03, 0.02),
    ),
    log_prior_odds=math.log(0.08 / 0.92),
    upper_threshold=0.9,
    lower_threshold=0.1,
)


def simulate(
    params: ModelParams, pairs: int, *, missing: float, seed: int
) -> np.ndarray:
    rng = np.random.default_rng(seed)
    match = rng.random(pairs) < 1 / (1 + math.exp(-params.log_prior_odds))
    columns = []
    for m, u in zip(params.m, params.u, strict=True):
        p, q = (np.array(row) / sum(row) for row in (m, u))
        if_match, if_not = (
            rng.choice(len(m), pairs, p=p),
            rng.choice(len(u), pairs, p=q),
        )
        columns.append(np.where(match, if_match, if_not))
    levels = np.stack(columns, axis=1).astype(np.int8)
    levels[rng.random(levels.shape) < missing] = MISSING
    return levels


def patterns_of(levels: np.ndarray) -> AgreementPatterns:
    return AgreementPatterns.of(levels.astype(np.int8))


@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_em_recovers_the_parameters_that_data_was_simulated_from(
    missing: float,
) -> None:
    levels = simulate(TRUTH, 100_000, missing=missing, seed=1)
    training = train(patterns_of(levels))
    assert training.converged
    assert np.abs(np.subtract(training.params.m, TRUTH.m)).max() < 0.02
    assert np.abs(np.subtract(training.params.u, TRUTH.u)).max() < 0.005
    assert abs(training.params.log_prior_odds - TRUTH.log_prior_odds) < 0.05


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_from_the_optimum_em_converges_at_once(seed: int) -> None:
    patterns = patterns_of(simulate(TRUTH, 5_000, missing=0.1, seed=seed))
    cold = train(patterns)
    again = train(patterns, cold.params)
    assert cold.iterations > 3
    assert again.converged
    assert again.iterations <= 3


def test_the_side_on_which_em_starts_does_not_matter() -> None:
    patterns = patterns_of(simulate(TRUTH, 5_000, missing=0.1, seed=1))
    start = cold_start_params(len(TRUTH.m))
    inverted = ModelParams(
        m=start.u,
        u=start.m,
        log_prior_odds=-start.log_prior_odds,
        upper_threshold=start.upper_threshold,
        lower_threshold=start.lower_threshold,
    )
    one, other = train(patterns, start).params, train(patterns, inverted).params
    assert np.allclose(one.m, other.m, atol=1e-6)
    assert np.allclose(one.u, other.u, atol=1e-6)
    assert one.log_prior_odds == pytest.approx(other.log_prior_odds, abs=1e-5)
    assert sum(row[-1] for row in one.m) > sum(row[-1] for row in one.u)


FIELDS = 3
some_levels = npst.arrays(
    np.int8,
    st.tuples(st.integers(0, 12), st.just(FIELDS)),
    elements=st.integers(MISSING, 3),
)
rows = st.lists(st.floats(0, 1), min_size=4, max_size=4)
starts = st.builds(
    ModelParams,
    m=st.lists(rows, min_size=FIELDS, max_size=FIELDS),
    u=st.lists(rows, min_size=FIELDS, max_size=FIELDS),
    log_prior_odds=st.floats(-1e4, 1e4),
    upper_threshold=st.just(0.9),
    lower_threshold=st.just(0.1),
)


@given(some_levels, st.none() | starts)
def test_the_log_posterior_never_decreases_and_params_stay_valid(levels, start) -> None:
    training = train(patterns_of(levels), start, max_iterations=20)
    found = np.array(training.log_posteriors)
    assert len(found) == training.iterations + 1 <= 21
    assert np.isfinite(found).all()
    # The first value is of the start, whose zeros were replaced: hence not exact.
    assert (np.diff(found) >= -1e-9 * np.abs(found[:-1]) - 1e-9).all()
    for row in (*training.params.m, *training.params.u):
        assert sum(row) == pytest.approx(1, abs=1e-5)
        assert min(row) > 0


@given(some_levels)
def test_an_iteration_is_what_the_formulas_say(levels) -> None:
    patterns = patterns_of(levels)
    start = cold_start_params(FIELDS)
    total = {
        (c, f, lv): PSEUDO_COUNT for c in "mu" for f in range(3) for lv in range(4)
    }
    matches, prior = 0.0, math.exp(start.log_prior_odds)
    for row in levels.tolist():
        odds = prior
        for field, level in enumerate(row):
            if level != MISSING:
                odds *= start.m[field][level] / start.u[field][level]
        w = odds / (1 + odds)
        matches += w
        for field, level in enumerate(row):
            if level != MISSING:
                total["m", field, level] += w
                total["u", field, level] += 1 - w
    model = Mixture.of(start)
    found = _iterate(model, indicators(patterns.levels, model.widths), patterns.counts)
    sides = {"m": found.m.reshape(FIELDS, 4), "u": found.u.reshape(FIELDS, 4)}
    for (side, field, level), value in total.items():
        expected = value / sum(total[side, field, other] for other in range(4))
        assert sides[side][field, level] == pytest.approx(expected, rel=1e-6)
    share = (matches + PSEUDO_COUNT) / (len(levels) + 2 * PSEUDO_COUNT)
    assert found.prior == pytest.approx(share, rel=1e-6)


def test_no_iterations_change_nothing_and_do_not_count_as_converged() -> None:
    training = train(patterns_of(np.zeros((5, 5))), TRUTH, max_iterations=0)
    assert (training.iterations, training.converged) == (0, False)
    assert np.allclose(training.params.m, TRUTH.m)


def test_rows_may_differ_in_length() -> None:
    start = ModelParams(
        m=((0.1, 0.9), (0.1, 0.2, 0.7)),
        u=((0.9, 0.1), (0.7, 0.2, 0.1)),
        log_prior_odds=-1.0,
        upper_threshold=0.8,
        lower_threshold=0.2,
    )
    levels = np.array([[1, 2]] * 30 + [[0, 0]] * 60 + [[0, 1]] * 5 + [[-1, 2]] * 5)
    found = train(patterns_of(levels), start)
    assert [len(row) for row in found.params.m] == [2, 3]
    assert found.converged
    assert (found.params.upper_threshold, found.params.lower_threshold) == (
        start.upper_threshold,
        start.lower_threshold,
    )


def test_a_pair_is_scored_by_prior_and_weights_and_missing_says_nothing() -> None:
    params = ModelParams(
        m=((0.1, 0.9), (0.25, 0.75)),
        u=((0.8, 0.2), (0.5, 0.5)),
        log_prior_odds=math.log(1 / 9),
        upper_threshold=0.9,
        lower_threshold=0.1,
    )
    levels = np.array([[1, -1], [-1, -1], [1, 1], [0, 0], [1, -1]], dtype=np.int8)
    # Odds 1/9, times 4.5 or 1/8 for field 0, times 1.5 or 0.5 for field 1.
    odds = [0.5, 1 / 9, 0.75, 1 / 144, 0.5]
    found = match_probabilities(levels, params)
    assert found.shape == (5,)
    assert found.dtype == np.float64
    assert found.tolist() == pytest.approx([x / (1 + x) for x in odds], abs=1e-6)
    assert match_probabilities(levels[:0], params).shape == (0,)


def test_parameters_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="2 fields compared, 5 in the parameters"):
        train(patterns_of(np.zeros((3, 2))), TRUTH)
    with pytest.raises(ValueError, match="comparison level 4"):
        match_probabilities(np.full((1, 5), 4, dtype=np.int8), TRUTH)
