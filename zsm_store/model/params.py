"""Parameters of the Fellegi-Sunter model."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from zsm_store.errors import InvalidArtifactError
from zsm_store.model.float32 import float32_row

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

Rows = tuple[tuple[float, ...], ...]
"""(field, comparison level); rows may differ in length."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelParams:
    """Parameters of the Fellegi-Sunter model, as EM estimates them.

    Every number is held in float32, as in the peer; a float64 is rounded once, here.

    Raises
    ------
    InvalidArtifactError
        A value that is not finite, m or u outside [0, 1], m and u of different shape,
        or thresholds outside [0, 1] or in the wrong order. Rows that do not sum to 1
        are not refused: `verify` warns about them.
    """

    m: Rows
    """P(level | match), (field, comparison level), 0 to 1. Level 0 is disagreement, the
    last one exact agreement. Fields are in the order of the fingerprint."""
    u: Rows
    """P(level | non-match), the same shape as `m`."""
    log_prior_odds: float
    """Natural log of P(match) / P(non-match) of a candidate pair."""
    upper_threshold: float
    """Match probability from which on a pair is a match, 0 to 1."""
    lower_threshold: float
    """Match probability below which a pair is a non-match, 0 to `upper_threshold`."""

    def __post_init__(self) -> None:
        self._round()
        self.validate()

    @classmethod
    def unvalidated(
        cls,
        *,
        m: Iterable[Sequence[float]],
        u: Iterable[Sequence[float]],
        log_prior_odds: float,
        upper_threshold: float,
        lower_threshold: float,
    ) -> Self:
        """Hold values as some file has them, without the rules.

        The peer writes what it is given, infinities and unequal shapes included. A
        reader of its bundles needs them as they are, to show and to copy;
        `validate` tells whether they may be served.
        """
        params = object.__new__(cls)
        object.__setattr__(params, "m", m)
        object.__setattr__(params, "u", u)
        object.__setattr__(params, "log_prior_odds", log_prior_odds)
        object.__setattr__(params, "upper_threshold", upper_threshold)
        object.__setattr__(params, "lower_threshold", lower_threshold)
        params._round()
        return params

    def validate(self) -> None:
        """Check the rules above.

        Raises
        ------
        InvalidArtifactError
            Names the first value that breaks one.
        """
        for problem in (*self._row_problems(), *self._scalar_problems()):
            raise InvalidArtifactError(problem)

    def match_weights(self) -> Rows:
        """Match weight of each level, log2(m / u), in bits.

        0 where m and u are both 0, infinite where one of them is. Source: Fellegi and
        Sunter (1969), "A Theory for Record Linkage", in bits as in Splink.
        """
        return tuple(
            tuple(map(_match_weight, m_row, u_row))
            for m_row, u_row in zip(self.m, self.u, strict=True)
        )

    def _round(self) -> None:
        for name in ("m", "u"):
            rows = getattr(self, name)
            try:
                rounded = tuple(float32_row(row) for row in rows)
            except TypeError as error:
                message = f"{name} must be rows of numbers: {error}"
                raise InvalidArtifactError(message) from None
            object.__setattr__(self, name, rounded)
        for name in ("log_prior_odds", "upper_threshold", "lower_threshold"):
            value = getattr(self, name)
            try:
                (rounded_value,) = float32_row((value,))
            except TypeError:
                message = f"{name} must be a number, found {value!r}"
                raise InvalidArtifactError(message) from None
            object.__setattr__(self, name, rounded_value)

    def _row_problems(self) -> Iterator[str]:
        if len(self.m) != len(self.u):
            yield f"m has {len(self.m)} rows and u has {len(self.u)}"
        for number, (m_row, u_row) in enumerate(zip(self.m, self.u, strict=False)):
            if len(m_row) != len(u_row):
                yield f"row {number} has {len(m_row)} levels in m and {len(u_row)} in u"
            for name, row in (("m", m_row), ("u", u_row)):
                for level, value in enumerate(row):
                    if not 0 <= value <= 1:  # NaN is not, either
                        yield f"{name}[{number}][{level}] is {value}, not in [0, 1]"

    def _scalar_problems(self) -> Iterator[str]:
        if not math.isfinite(self.log_prior_odds):
            yield f"log_prior_odds is {self.log_prior_odds}, not a finite number"
        for name in ("upper_threshold", "lower_threshold"):
            if not 0 <= getattr(self, name) <= 1:
                yield f"{name} is {getattr(self, name)}, not in [0, 1]"
        if self.lower_threshold > self.upper_threshold:
            lower, upper = self.lower_threshold, self.upper_threshold
            yield f"lower_threshold {lower} is above upper_threshold {upper}"


def _match_weight(m: float, u: float) -> float:
    if m == u:
        return 0.0
    if u == 0:
        return math.inf
    return -math.inf if m == 0 else math.log2(m / u)
