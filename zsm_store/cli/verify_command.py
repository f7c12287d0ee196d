"""`zsm verify`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zsm_store.cli.command import command
from zsm_store.cli.exit_codes import ExitCode
from zsm_store.cli.json_output import write_json
from zsm_store.cli.location import registry_path
from zsm_store.cli.printable import counted
from zsm_store.cli.progress import working
from zsm_store.cli.terminal import write_lines
from zsm_store.errors import BundleFormatError, StorageError
from zsm_store.registry.problem import Problem, Severity
from zsm_store.registry.schema_registry import SchemaRegistry

if TYPE_CHECKING:
    from zsm_store.cli.session import Session


@command(
    "verify",
    cache=False,
    examples="""
    zsm verify
    zsm verify people.zsm
    zsm verify --json | jq '.problems[] | select(.severity == "error")'
    """,
)
@click.argument(
    "path",
    required=False,
    type=click.Path(readable=False, path_type=Path),
    metavar="[PATH]",
)
def verify_command(session: Session, path: Path | None) -> None:
    """Check every artifact: names, digests, schema, probabilities.

    PATH is a registry's directory or a bundle; by default the registry. Prints one
    line per problem, as compilers do: path:line:column: CODE message. Errors end with
    exit code 4; warnings and notes do not.
    """
    if path is None:
        path = registry_path(session.registry)
    else:
        # A directory that does not exist is an empty registry, but not a checked one.
        _check_exists(path)
    with working(f"checking {path}"):
        problems = _problems(path)
    counts = Counter(problem.severity for problem in problems)
    if session.as_json:
        write_json(
            {
                "registry": str(path),
                "errors": counts[Severity.ERROR],
                "warnings": counts[Severity.WARNING],
                "notes": counts[Severity.NOTE],
                "problems": [_problem_json(problem) for problem in problems],
            }
        )
    else:
        write_lines(str(problem) for problem in problems)
        session.hint(_summary(path, counts))
    if counts[Severity.ERROR]:
        click.get_current_context().exit(ExitCode.DAMAGED)


def _check_exists(path: Path) -> None:
    try:
        path.stat()
    except OSError as error:
        raise StorageError.of("open", path, error) from error


def _problems(path: Path) -> list[Problem]:
    try:
        with SchemaRegistry.open(path, watch=False) as registry:
            return registry.verify()
    except BundleFormatError as error:
        # So damaged that it does not even open: that is what was asked.
        return [Problem(path=str(path), code="ZSM060", message=error.reason)]


def _problem_json(problem: Problem) -> dict[str, Any]:
    return {
        "path": problem.path,
        "line": problem.line,
        "column": problem.column,
        "code": problem.code,
        "severity": problem.severity.value,
        "message": problem.message,
    }


def _summary(path: Path, counts: Counter[Severity]) -> str:
    if not path.exists():
        return f"'{path}' does not exist: nothing is saved yet"
    found = [
        counted(counts[severity], severity.value)
        for severity in Severity
        if counts[severity]
    ]
    return f"'{path}': {', '.join(found) or 'no problems'}"
