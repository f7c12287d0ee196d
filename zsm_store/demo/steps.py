"""What a run of the demo found, one value per step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from zsm_store.demo.quality import Quality


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One way to come by parameters for a table, and how well they link it."""

    iterations: int
    """Of EM; 0 where trained parameters were loaded."""
    converged: bool | None
    """False if EM was cut off; None where it did not run."""
    seconds: float
    """Until the parameters were there, counting of the patterns included. Blocking and
    comparing, which every way needs, are not."""
    quality: Quality


@dataclass(frozen=True, slots=True, kw_only=True)
class TableStep:
    """One table: what the registry advised, and a cold training beside it."""

    title: str
    table: str
    records: int
    fields: tuple[str, ...]
    """Names in column order."""
    candidate_pairs: int
    compare_seconds: float
    """Blocking and comparing."""
    mode: str
    """`warm_load`, `warm_start` or `cold_start`."""
    distance: float | None
    """Of the nearest artifact, a float32 value from 0 to 1; None if there is none."""
    reason: str
    """Why this mode, in the registry's words."""
    filled: tuple[str, ...]
    """Fields whose parameters started from stated priors; empty after a cold start."""
    advised: Run
    """As the registry advised; its seconds include the lookup."""
    cold: Run
    """Trained without a registry on the same pairs. After a cold start this is the same
    training, less the lookup."""
    saved_as: str | None
    """Schema hash, or None where nothing was trained."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A registry's answer to one question."""

    mode: str
    distance: float | None
    schema_hash: str | None
    """The nearest artifact; None if there is none."""
    tag: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A table that was looked up in the directory and in the bundle."""

    table: str
    directory: Answer
    bundle: Answer
    identical: bool
    """Both the answers and everything in the artifacts they name, parameters too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleStep:
    """The registry packed into one file, reopened, and asked the same questions."""

    title: str
    bundle: Path
    size: int
    """Bytes."""
    artifacts: int
    questions: tuple[Question, ...]
    seconds: float
    """Packing, reopening and asking."""

    @property
    def identical(self) -> bool:
        """Whether every answer was."""
        return all(question.identical for question in self.questions)


DemoStep = TableStep | BundleStep
