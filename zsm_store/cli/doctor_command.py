"""`zsm doctor`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zsm_store.cli.command import command
from zsm_store.cli.exit_codes import ExitCode
from zsm_store.cli.json_output import write_json
from zsm_store.cli.location import registry_path
from zsm_store.cli.progress import working
from zsm_store.cli.terminal import Styled, write_lines
from zsm_store.registry.diagnosis.examination import examine
from zsm_store.registry.diagnosis.finding import Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from zsm_store.cli.session import Session
    from zsm_store.cli.terminal import Line
    from zsm_store.registry.diagnosis.finding import Finding

_COLORS = {Status.OK: "green", Status.WARN: "yellow", Status.FAIL: "red"}
_NAME_WIDTH = 11
_INDENT = " " * (4 + 2 + _NAME_WIDTH + 2)


@command(
    "doctor",
    cache=False,
    quiet="what warns or fails",
    examples="""
    zsm doctor
    zsm doctor /mnt/team/registry
    zsm doctor --json | jq '.checks[] | select(.status != "ok")'
    """,
)
@click.argument(
    "directory",
    required=False,
    type=click.Path(readable=False, path_type=Path),
    metavar="[DIR]",
)
def doctor_command(session: Session, directory: Path | None) -> None:
    """Check whether a registry can do in DIR what it promises.

    By default in the registry. Tries out the lock, renames and syncs in a directory of
    its own, which is gone afterwards; changes nothing. Prints one line per check. Ends
    with exit code 6 if one fails, 4 if the settings are damaged.
    """
    path = directory or registry_path(session.registry)
    with working(f"examining {path}"):
        findings = list(examine(path))
    if session.as_json:
        write_json(
            {
                "registry": str(path),
                "checks": [
                    {
                        "check": finding.check,
                        "status": finding.status.value,
                        "message": finding.message,
                        "advice": list(finding.advice),
                    }
                    for finding in findings
                ],
            }
        )
    else:
        write_lines(_lines(findings, quiet=session.quiet))
        session.hint(_summary(path, findings))
    failed = [finding for finding in findings if finding.status is Status.FAIL]
    if failed:
        is_damage = any(finding.is_damage for finding in failed)
        code = ExitCode.DAMAGED if is_damage else ExitCode.UNREACHABLE
        click.get_current_context().exit(code)


def _lines(findings: Sequence[Finding], *, quiet: bool) -> Iterator[Line]:
    for finding in findings:
        status = finding.status
        if quiet and status not in {Status.WARN, Status.FAIL}:
            continue
        label = Styled(f"{status.value:<4}", _COLORS.get(status))
        yield [label, f"  {finding.check:<{_NAME_WIDTH}}  {finding.message}"]
        for line in finding.advice:
            yield _INDENT + line


def _summary(path: Path, findings: Sequence[Finding]) -> str:
    counts = Counter(finding.status for finding in findings)
    said = {
        Status.FAIL: "failed",
        Status.WARN: "with a warning",
        Status.SKIP: "not tried",
        Status.OK: "ok",
    }
    told = [f"{counts[one]} {text}" for one, text in said.items() if counts[one]]
    return f"'{path}': {', '.join(told)}"
