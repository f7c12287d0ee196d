"""Linkage quality against the known truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from zsm_store.demo.fellegi_sunter import match_probabilities

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from zsm_store.demo.table import DemoTable
    from zsm_store.model.params import ModelParams


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """Counts of pairs of records, and the usual shares of them, 0 to 1."""

    linked: int
    """Pairs the model links."""
    correct: int
    """Linked pairs that are about one entity."""
    true_pairs: int
    """All pairs about one entity, also those that blocking never compared."""

    @property
    def precision(self) -> float:
        """Share of the linked pairs that are right; 1 if none is linked."""
        return self.correct / self.linked if self.linked else 1.0

    @property
    def recall(self) -> float:
        """Share of the true pairs that are linked; 1 if there are none."""
        return self.correct / self.true_pairs if self.true_pairs else 1.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 1 if nothing is to link or linked."""
        both = self.linked + self.true_pairs
        return 2 * self.correct / both if both else 1.0


def linkage_quality(
    table: DemoTable,
    pairs: NDArray[np.int64],
    levels: NDArray[np.int8],
    params: ModelParams,
    *,
    threshold: float | None = None,
) -> Quality:
    """Quality of linking each pair on its own, without transitive closure.

    Parameters
    ----------
    pairs, levels
        (pair, 2) record numbers and (pair, field) comparison levels.
    threshold
        Match probability from which a pair is linked; `params.upper_threshold` by
        default.
    """
    least = params.upper_threshold if threshold is None else threshold
    linked = match_probabilities(levels, params) >= least
    same = table.entities[pairs[:, 0]] == table.entities[pairs[:, 1]]
    return Quality(
        linked=int(np.count_nonzero(linked)),
        correct=int(np.count_nonzero(linked & same)),
        true_pairs=table.true_pairs,
    )
