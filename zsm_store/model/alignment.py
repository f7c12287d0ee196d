"""Rows of m and u moved to the fields of another schema, by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zsm_store.errors import InvalidArtifactError

if TYPE_CHECKING:
    from zsm_store.model.artifact import ModelParams, Rows
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


@dataclass(frozen=True, slots=True, kw_only=True)
class AlignedRows:
    """m and u of the wanted fields, and the fields by where their rows come from."""

    m: Rows
    u: Rows
    kept: tuple[str, ...]
    filled: tuple[str, ...]
    dropped: tuple[str, ...]


def align_rows(
    *,
    stored: tuple[Field, ...],
    m: Rows,
    u: Rows,
    wanted: tuple[Field, ...],
    levels: int | Mapping[str, int] | None,
) -> AlignedRows:
    """Pick the stored rows of the wanted fields, fill the others from priors.

    A field that changed its kind is compared in another way, so the old row would be
    about something else: it is filled, too.

    Raises
    ------
    InvalidArtifactError
        Not one row per stored field, a name stored twice, or levels below 1.
    """
    if not len(stored) == len(m) == len(u):
        message = (
            f"cannot align: {len(stored)} fields but {len(m)} rows of m and {len(u)} "
            "of u, so nobody knows whose rows they are"
        )
        raise InvalidArtifactError(message)
    position = {field: row for row, field in enumerate(stored)}
    if len({field.name for field in stored}) != len(stored):
        message = "cannot align: a field name stands twice in the artifact"
        raise InvalidArtifactError(message)
    kept, filled = [], []
    m_rows, u_rows = [], []
    for field in wanted:
        row = position.get(field)
        if row is None:
            filled.append(field.name)
            m_row, u_row = level_priors(_levels_of(field.name, levels, m))
        else:
            kept.append(field.name)
            m_row, u_row = m[row], u[row]
        m_rows.append(m_row)
        u_rows.append(u_row)
    used = set(kept)
    dropped = tuple(field.name for field in stored if field.name not in used)
    return AlignedRows(
        m=tuple(m_rows),
        u=tuple(u_rows),
        kept=tuple(kept),
        filled=tuple(filled),
        dropped=dropped,
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
