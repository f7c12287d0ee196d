"""What `verify` finds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How bad a problem is."""

    ERROR = "error"
    """Not served, or will be lost: act."""
    WARNING = "warning"
    """Served, but probably not what was meant."""
    NOTE = "note"
    """Worth knowing; normal for artifacts of the peer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One finding about one file."""

    path: str
    line: int = 1
    column: int = 1
    code: str
    """``ZSM`` and three digits; `docs/cli.md` lists them."""
    message: str
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        kind = "" if self.severity is Severity.ERROR else f"{self.severity}: "
        return (
            f"{self.path}:{self.line}:{self.column}: {self.code} {kind}{self.message}"
        )
