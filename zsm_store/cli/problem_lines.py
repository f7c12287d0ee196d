"""Problems as lines: for people and editors, and for GitHub."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zsm_store.registry.problem import Severity

if TYPE_CHECKING:
    from zsm_store.registry.problem import Problem

_COMMANDS = {
    Severity.ERROR: "error",
    Severity.WARNING: "warning",
    Severity.NOTE: "notice",
}
# Whatever ends a value, or begins another one, would be read as a part of the command.
_IN_MESSAGE = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_IN_PROPERTY = {**_IN_MESSAGE, **str.maketrans({":": "%3A", ",": "%2C"})}


def github_line(problem: Problem) -> str:
    """Return the workflow command that shows a problem beside its line.

    See "Workflow commands for GitHub Actions" in GitHub's documentation.
    """
    properties = {
        "file": _in_workspace(problem.path),
        "line": str(problem.line),
        "col": str(problem.column),
    }
    listed = ",".join(
        f"{name}={value.translate(_IN_PROPERTY)}" for name, value in properties.items()
    )
    message = f"{problem.code} {problem.message}".translate(_IN_MESSAGE)
    return f"::{_COMMANDS[problem.severity]} {listed}::{message}"


def problem_json(problem: Problem) -> dict[str, Any]:
    """Return a problem as a JSON object."""
    return {
        "path": problem.path,
        "line": problem.line,
        "column": problem.column,
        "code": problem.code,
        "severity": problem.severity.value,
        "message": problem.message,
    }


def _in_workspace(path: str) -> str:
    """Return a path as GitHub knows the file: from the top of what it checked out."""
    top = os.environ.get("GITHUB_WORKSPACE") or os.curdir
    place, root = Path(path).absolute(), Path(top).absolute()
    return str(place.relative_to(root) if place.is_relative_to(root) else place)
