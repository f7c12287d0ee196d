"""`zsm demo`."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zsm_store.cli.command import command
from zsm_store.cli.exit_codes import ExitCode
from zsm_store.cli.json_output import write_json
from zsm_store.cli.progress import working
from zsm_store.cli.terminal import write_lines
from zsm_store.demo import render
from zsm_store.demo.scenario import DEFAULT_RECORDS, run_demo
from zsm_store.demo.steps import BundleStep

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zsm_store.cli.session import Session
    from zsm_store.demo.steps import DemoStep

_FEWEST, _MOST = 100, 100_000


@command(
    "demo",
    registry=False,
    examples="""
    zsm demo
    zsm demo here --seed 7
    zsm demo --json | jq '.steps[].mode'
    """,
)
@click.argument(
    "directory",
    required=False,
    type=click.Path(readable=False, path_type=Path),
    metavar="[DIR]",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**63 - 1),
    default=1,
    show_default=True,
    help="Of the made-up tables.",
)
@click.option(
    "--records",
    type=click.IntRange(_FEWEST, _MOST),
    default=DEFAULT_RECORDS,
    show_default=True,
    help="Records of each table.",
)
def demo_command(
    session: Session, directory: Path | None, seed: int, records: int
) -> None:
    """Watch a registry at work on made-up tables.

    Trains on one table from nothing, loads its model for the same columns a quarter
    later, starts from it where a column was added, begins anew for another kind of
    table, and shares it all as a bundle. Every number is measured. With DIR, the
    registry is kept there.
    """
    steps: list[DemoStep] = []
    with _directory(directory) as chosen:
        running = run_demo(chosen, seed=seed, records=records)
        while (step := _next(running)) is not None:
            if not (session.as_json or session.quiet):
                write_lines([*([""] if steps else []), *render.lines(step)])
            steps.append(step)
    if session.as_json:
        kept = None if directory is None else str(directory)
        document = {
            "directory": kept,
            "seed": seed,
            "records": records,
            "steps": [render.as_dict(step) for step in steps],
        }
        write_json(document)
    elif session.quiet:
        write_lines(_saved(steps))
    session.hint("")
    if directory is None:
        session.hint("next: 'zsm demo DIR' keeps the registry, to look around in it")
    else:
        session.hint(f"next: 'zsm ls --registry {directory}/registry'")
    if not all(step.identical for step in steps if isinstance(step, BundleStep)):
        click.get_current_context().exit(ExitCode.UNEXPECTED)


@contextmanager
def _directory(given: Path | None) -> Iterator[Path]:
    if given is not None:
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="zsm-demo-") as made:
        yield Path(made)


def _next(running: Iterator[DemoStep]) -> DemoStep | None:
    with working("training"):
        return next(running, None)


def _saved(steps: list[DemoStep]) -> Iterator[str]:
    for step in steps:
        if not isinstance(step, BundleStep) and step.saved_as is not None:
            yield step.saved_as
