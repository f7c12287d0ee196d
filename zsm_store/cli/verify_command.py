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
    from collections.abc import Iterator

    from zsm_store.cli.session import Session
    from zsm_store.registry.repair import RepairReport


@command(
    "verify",
    cache=False,
    locks=True,
    examples="""
    zsm verify
    zsm verify people.zsm
    zsm verify --fix --dry-run
    zsm verify --json | jq '.problems[] | select(.severity == "error")'
    """,
)
@click.argument(
    "path",
    required=False,
    type=click.Path(readable=False, path_type=Path),
    metavar="[PATH]",
)
@click.option(
    "--fix",
    is_flag=True,
    help="Move what is damaged to quarantine/ in the registry; sweep what killed "
    "writers have left.",
)
@click.option(
    "--dry-run", is_flag=True, help="With --fix: only say what would be done."
)
def verify_command(
    session: Session, path: Path | None, fix: bool, dry_run: bool
) -> None:
    """Check every artifact: names, digests, schema, probabilities.

    PATH is a registry's directory or a bundle; by default the registry. Prints one
    line per problem, as compilers do: path:line:column: CODE message. Errors end with
    exit code 4; warnings and notes do not. With --fix, only errors that are left do.
    """
    if dry_run and not fix:
        message = "--dry-run needs --fix"
        raise click.UsageError(message, click.get_current_context())
    if path is None:
        path = registry_path(session.registry)
    else:
        # A directory that does not exist is an empty registry, but not a checked one.
        _check_exists(path)
    if fix and path.is_file():
        message = f"'{path}' is a bundle: --fix is for the directory of a registry"
        raise click.UsageError(message, click.get_current_context())
    with working(f"checking {path}"):
        report = _repaired(session, path, dry_run) if fix else None
        problems = _problems(path) if report is None else list(report.problems)
    counts = Counter(problem.severity for problem in problems)
    if session.as_json:
        document: dict[str, Any] = {
            "registry": str(path),
            "errors": counts[Severity.ERROR],
            "warnings": counts[Severity.WARNING],
            "notes": counts[Severity.NOTE],
            "problems": [_problem_json(problem) for problem in problems],
        }
        if report is not None:
            document |= _report_json(report, dry_run)
        write_json(document)
    else:
        if report is not None:
            write_lines(_moved_lines(report))
        write_lines(str(problem) for problem in problems)
        if report is not None:
            for line in _swept_lines(report, dry_run):
                session.hint(line)
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


def _repaired(session: Session, path: Path, dry_run: bool) -> RepairReport:
    with session.open(path) as registry:
        return registry.repair(dry_run=dry_run)


def _moved_lines(report: RepairReport) -> Iterator[str]:
    for moved in report.moved:
        problem = moved.problem
        done = "would be moved" if moved.to is None else f"moved to '{moved.to}'"
        yield f"{problem.path}: {done}: {problem.code} {problem.message}"


def _swept_lines(report: RepairReport, dry_run: bool) -> Iterator[str]:
    would = "would remove" if dry_run else "removed"
    if report.swept:
        files = counted(report.swept, "staging file")
        yield f"{would} {files} that killed writers have left"
    if report.stale_lock:
        yield f"{would} the lock of {report.stale_lock}"


def _report_json(report: RepairReport, dry_run: bool) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "moved": [
            {**_problem_json(moved.problem), "to": moved.to} for moved in report.moved
        ],
        "swept": report.swept,
        "stale_lock": report.stale_lock,
    }


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
