"""`zsm git resolve`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from zsm_store.cli.command import command
from zsm_store.cli.exit_codes import ExitCode
from zsm_store.cli.json_output import write_json
from zsm_store.cli.location import registry_path
from zsm_store.cli.printable import counted
from zsm_store.cli.terminal import Styled, tell, write_lines
from zsm_store.git.choice import Policy, Side
from zsm_store.git.resolve import resolve
from zsm_store.storage.lock import DEFAULT_TIMEOUT_S

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zsm_store.cli.session import Session
    from zsm_store.cli.terminal import Line
    from zsm_store.git.resolve import Outcome, Resolution


@command(
    "resolve",
    locks=True,
    cache=False,
    quiet="the hashes of what is left",
    examples="""
    zsm git resolve
    zsm git resolve --policy newest
    zsm git resolve --theirs 969fb2e646c6
    """,
)
@click.argument("refs", metavar="[REF]...", nargs=-1)
@click.option(
    "--policy",
    type=click.Choice([policy.value for policy in Policy]),
    help="Between two trainings: a person decides (manual, the default), the one that "
    "was trained last (newest), the one with more records (records).",
)
@click.option("--ours", is_flag=True, help="Take our side, even if it deleted it.")
@click.option("--theirs", is_flag=True, help="Take their side, even if it deleted it.")
def resolve_command(
    session: Session,
    refs: tuple[str, ...],
    policy: str | None,
    ours: bool,
    theirs: bool,
) -> None:
    """Resolve conflicts of a merge: take one whole side of each artifact.

    A REF is the hash of an artifact in conflict, the start of one, or a tag on either
    side; without any, all are meant. What only one side changed is taken from there.
    What is resolved is written and staged; nothing is ever blended. What is left is
    listed with what to type, and the exit code is 5.
    """
    if ours + theirs + (policy is not None) > 1:
        message = "--policy, --ours and --theirs exclude each other"
        raise click.UsageError(message, click.get_current_context())
    side = Side.OURS if ours else Side.THEIRS if theirs else None
    timeout_s = session.lock_timeout_s
    resolution = resolve(
        registry_path(session.registry),
        refs,
        policy=Policy(policy or Policy.MANUAL),
        side=side,
        lock_timeout_s=DEFAULT_TIMEOUT_S if timeout_s is None else timeout_s,
    )
    if session.as_json:
        write_json(_resolution_json(resolution))
    elif session.quiet:
        left = {outcome.conflict.schema_hash for outcome in resolution.left}
        write_lines(sorted(left))
    else:
        write_lines(_resolution_lines(resolution))
        _say_what_is_next(resolution)
    if resolution.left:
        raise click.exceptions.Exit(ExitCode.CONFLICT)


def _resolution_lines(resolution: Resolution) -> Iterator[Line]:
    for outcome in resolution.outcomes:
        key, choice = outcome.conflict.schema_hash, outcome.choice
        if choice.side is None:
            yield [Styled("left     ", "yellow"), f"{key}  {choice.reason}"]
            yield f"         {outcome.advice}"
        else:
            yield f"resolved {key}  {choice.side}: {choice.reason}"


def _say_what_is_next(resolution: Resolution) -> None:
    operation, left = resolution.operation, len(resolution.left)
    if resolution.outcomes:
        tell(f"in this {operation.name}, ours is {operation.ours}")
        tell(f"and theirs is {operation.theirs}")
    else:
        tell("no artifact is in conflict")
    if resolution.others:
        tell(f"in conflict, but no artifact: {', '.join(resolution.others)}")
    elif left:
        tell(f"{counted(left, 'conflict')} left")
    elif resolution.outcomes:
        tell(f"next: '{operation.goes_on}'")


def _resolution_json(resolution: Resolution) -> dict[str, Any]:
    operation = resolution.operation
    return {
        "operation": operation.name,
        "ours": operation.ours,
        "theirs": operation.theirs,
        "conflicts": [_outcome_json(outcome) for outcome in resolution.outcomes],
        "others": resolution.others,
    }


def _outcome_json(outcome: Outcome) -> dict[str, Any]:
    return {
        "schema_hash": outcome.conflict.schema_hash,
        "path": outcome.conflict.name,
        "side": outcome.choice.side,
        "reason": outcome.choice.reason,
        "advice": outcome.advice or None,
    }
