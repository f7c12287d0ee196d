"""Rows of m and u moved to the fields of another schema, by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from zsm_store.errors import InvalidArtifactError

if TYPE_CHECKING:
    from zsm_store.model.params import ModelParams, Rows
    from zsm_store.model.schema import Field

DEFAULT_LEVELS = 2
"""Comparison levels of a new field where no other field gives an example."""

PRIOR_RATIO = 4.0
"""How much more likely each level is than the one below it, among matches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlignedParams:
    """Parameters in the order of a schema, and where each row comes from."""

    params: ModelParams
    kept: tuple[str, ...]
    """Fields whose rows come from the artifact."""
    filled: tuple[str, ...]
    """Fields that are new or changed in kind; their rows are `level_priors`."""
    dropped: tuple[str, ...]
    """Fields of the artifact whose rows are not used."""

    @property
    def is_complete(self) -> bool:
        """Whether every row was trained, so that EM may be skipped."""
        return not self.filled


def level_priors(levels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Stated priors of one field: m and u of each comparison level.

    Among matches each level is four times as likely as the one below, among
    non-matches four times less likely. For four levels the match weights are -6, -2, 2
    and 6 bits: agreement speaks for a match, disagreement as much against it.
    """
    # Counted down from 1, since the powers of many levels would be too large.
    raw = [PRIOR_RATIO ** (level + 1 - levels) for level in range(levels)]
    total = sum(raw)
    m = tuple(value / total for value in raw)
    return m, m[::-1]


def align_params(
    params: ModelParams,
    stored: tuple[Field, ...],
    wanted: tuple[Field, ...],
    *,
    levels: int | Mapping[str, int] | None,
) -> AlignedParams:
    """Pick the rows of the wanted fields, fill the others from priors.

    A field that changed its kind is compared in another way, so the old row would be
    about something else: it is filled, too.

    Raises
    ------
    InvalidArtifactError
        Not one row per stored field, a name stored twice, or levels below 1.
    """
    if not len(stored) == len(params.m) == len(params.u):
        message = (
            f"cannot align: {len(stored)} fields but {len(params.m)} rows of m and "
            f"{len(params.u)} of u, so nobody knows whose rows they are"
        )
        raise InvalidArtifactError(message)
    if len({field.name for field in stored}) != len(stored):
        message = "cannot align: a field name stands twice in the artifact"
        raise InvalidArtifactError(message)
    rows = dict(zip(stored, zip(params.m, params.u, strict=True), strict=True))
    aligned = [
        rows.get(field) or level_priors(_levels_of(field.name, levels, params.m))
        for field in wanted
    ]
    kept = {field.name for field in wanted if field in rows}
    return AlignedParams(
        params=replace(
            params,
            m=tuple(m for m, _ in aligned),
            u=tuple(u for _, u in aligned),
        ),
        kept=tuple(field.name for field in wanted if field.name in kept),
        filled=tuple(field.name for field in wanted if field.name not in kept),
        dropped=tuple(field.name for field in stored if field.name not in kept),
    )


def _levels_of(name: str, levels: int | Mapping[str, int] | None, m: Rows) -> int:
    if isinstance(levels, Mapping):
        levels = levels.get(name)
    if levels is None:
        counts = Counter(len(row) for row in m if row)
        # Of equally frequent lengths the longer one: a level too many is learned away,
        # a level too few cannot be learned.
        return max(counts, key=lambda n: (counts[n], n), default=DEFAULT_LEVELS)
    if levels < 1:
        message = f"field {name!r} needs at least one comparison level, not {levels}"
        raise InvalidArtifactError(message)
    return levels
