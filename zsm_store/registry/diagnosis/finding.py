"""What a diagnosis says."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How a check went."""

    OK = "ok"
    WARN = "warn"
    """It works, but not as well or as safely as it could."""
    FAIL = "fail"
    """A promise is not kept here, or something does not work at all."""
    SKIP = "skip"
    """It could not be tried; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The outcome of one check."""

    check: str
    status: Status
    message: str
    advice: tuple[str, ...] = ()
    """What to know or do about it, a line each."""
    is_damage: bool = False
    """Whether data is damaged, rather than out of reach."""
