"""`zsm verify`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from zsm_store.cli.command import command
from zsm_store.cli.exit_codes import ExitCode
from zsm_store.cli.json_output import write_json
from zsm_store.cli.location import registry_path
from zsm_store.cli.printable import counted
from zsm_store.cli.problem_lines import github_line, problem_json
from zsm_store.cli.progress import working
from zsm_store.cli.terminal import write_lines
from zsm_store.errors import BundleFormatError, StorageError
from zsm_store.registry.named_file import file_problems, is_json_file
from zsm_store.registry.problem import Problem, Severity
from zsm_store.registry.schema_registry import SchemaRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from zsm_store.cli.session import Session
    from zsm_store.registry.repair import RepairReport


@command(
    "verify",
    cache=False,
    locks=True,
    examples="""
    zsm verify
    zsm verify people.zsm
    zsm verify --staged
    git ls-files -z 'models/*.json' | xargs -0r zsm verify --format github
    zsm verify --fix --dry-run
    zsm verify --json | jq '.problems[] | select(.severity == "error")'
    """,
)
@click.argument(
    "paths",
    nargs=-1,
    type=click.Path(readable=False, path_type=Path),
    metavar="[PATH]...",
)
@click.option(
    "--staged",
    is_flag=True,
    help="Check what git would commit: the artifacts in its index that differ from "
    "HEAD, of the whole repository or below PATH.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "github"]),
    help="text: a line per problem, the default; json: like --json; github: notes "
    "beside the lines of a pull request.",
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
def verify_command(  # noqa: PLR0917  # click passes them by name
    session: Session,
    paths: tuple[Path, ...],
    staged: bool,
    form: str | None,
    fix: bool,
    dry_run: bool,
) -> None:
    """Check every artifact: names, digests, schema, probabilities.

    PATH is the directory of a registry, a bundle, or the file of one artifact; by
    default the registry. Prints one line per problem, as compilers do:
    path:line:column: CODE message. Errors end with exit code 4; warnings and notes do
    not. With --fix, only errors that are left do.
    """
    _check_options(session, form, staged=staged, fix=fix, dry_run=dry_run)
    # A directory that does not exist is an empty registry, but not a checked one.
    for path in paths:
        _check_exists(path)
    if staged:
        checked = _staged(paths)
    else:
        paths = tuple(dict.fromkeys(paths)) or (registry_path(session.registry),)
        checked = _repaired(session, paths, dry_run) if fix else _checked(paths)
    counts = Counter(problem.severity for problem in checked.problems)
    if session.as_json:
        write_json(_document(checked, counts, dry_run))
    else:
        _print(session, checked, counts, github=form == "github", dry_run=dry_run)
    if counts[Severity.ERROR]:
        click.get_current_context().exit(ExitCode.DAMAGED)


class _Checked(NamedTuple):
    """What was checked, and what was found."""

    subject: str
    """What it is called behind the list."""
    names: list[str]
    problems: list[Problem]
    registry: Path | None = None
    """The one that was checked; None for files, and for several at once."""
    report: RepairReport | None = None
    """With --fix."""


def _check_options(
    session: Session, form: str | None, *, staged: bool, fix: bool, dry_run: bool
) -> None:
    message = ""
    if dry_run and not fix:
        message = "--dry-run needs --fix"
    elif staged and fix:
        message = "--staged is about the index of git, --fix about files"
    elif session.as_json and form not in {None, "json"}:
        message = f"--json and --format {form} exclude each other"
    elif session.quiet and form == "json":
        message = "--format json and --quiet exclude each other"
    if message:
        raise click.UsageError(message, click.get_current_context())
    session.as_json = session.as_json or form == "json"


def _staged(paths: Sequence[Path]) -> _Checked:
    from zsm_store.git.repository import Repository  # noqa: PLC0415  # of few interest
    from zsm_store.git.staged import staged_problems  # noqa: PLC0415  # as above

    repository = Repository.around(paths[0] if paths else Path())
    below = [repository.relative(path) for path in paths]
    names, problems = staged_problems(repository, below)
    return _Checked(counted(len(names), "staged file"), names, problems)


def _check_exists(path: Path) -> None:
    try:
        path.stat()
    except OSError as error:
        raise StorageError.of("open", path, error) from error


def _checked(paths: Sequence[Path]) -> _Checked:
    subject = f"'{paths[0]}'" if len(paths) == 1 else counted(len(paths), "path")
    with working(f"checking {subject}"):
        problems = [problem for path in paths for problem in _problems(path)]
    is_registry = len(paths) == 1 and not is_json_file(paths[0])
    registry = paths[0] if is_registry else None
    return _Checked(subject, list(map(str, paths)), problems, registry)


def _problems(path: Path) -> list[Problem]:
    if is_json_file(path):
        return file_problems(path)
    try:
        with SchemaRegistry.open(path, watch=False) as registry:
            return registry.verify()
    except BundleFormatError as error:
        # So damaged that it does not even open: that is what was asked.
        return [Problem(path=str(path), code="ZSM060", message=error.reason)]


def _repaired(session: Session, paths: Sequence[Path], dry_run: bool) -> _Checked:
    path, message = paths[0], ""
    if len(paths) > 1:
        message = "--fix is for one registry at a time"
    elif path.is_file():
        kind = "a file" if is_json_file(path) else "a bundle"
        message = f"'{path}' is {kind}: --fix is for the directory of a registry"
    if message:
        raise click.UsageError(message, click.get_current_context())
    with working(f"checking {path}"), session.open(path) as registry:
        report = registry.repair(dry_run=dry_run)
    return _Checked(f"'{path}'", [str(path)], list(report.problems), path, report)


def _print(
    session: Session,
    checked: _Checked,
    counts: Counter[Severity],
    *,
    github: bool,
    dry_run: bool,
) -> None:
    report, registry = checked.report, checked.registry
    if report is not None:
        write_lines(_moved_lines(report))
    write_lines(map(github_line if github else str, checked.problems))
    if report is not None:
        for line in _swept_lines(report, dry_run):
            session.hint(line)
    if registry is not None and not registry.exists():
        session.hint(f"'{registry}' does not exist: nothing is saved yet")
    # Hooks and CI name files, and whoever commits wants to read what is wrong only.
    elif registry is not None or checked.problems:
        session.hint(f"{checked.subject}: {_summary(counts)}")


def _document(
    checked: _Checked, counts: Counter[Severity], dry_run: bool
) -> dict[str, Any]:
    registry = checked.registry
    document: dict[str, Any] = {
        "registry": None if registry is None else str(registry),
        "errors": counts[Severity.ERROR],
        "warnings": counts[Severity.WARNING],
        "notes": counts[Severity.NOTE],
        "problems": [problem_json(problem) for problem in checked.problems],
    }
    if registry is None:
        document["paths"] = checked.names
    if checked.report is not None:
        document |= _report_json(checked.report, dry_run)
    return document


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
            {**problem_json(moved.problem), "to": moved.to} for moved in report.moved
        ],
        "swept": report.swept,
        "stale_lock": report.stale_lock,
    }


def _summary(counts: Counter[Severity]) -> str:
    found = [
        counted(counts[severity], severity.value)
        for severity in Severity
        if counts[severity]
    ]
    return ", ".join(found) or "no problems"
