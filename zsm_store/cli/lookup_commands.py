"""Ask: `zsm fingerprint`, `zsm lookup`, `zsm nearest`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from zsm_store.cli.artifact_list import artifact_json_row, nearest_lines
from zsm_store.cli.command import command
from zsm_store.cli.exit_codes import ExitCode
from zsm_store.cli.fingerprint_view import fingerprint_json, fingerprint_lines
from zsm_store.cli.json_output import write_json
from zsm_store.cli.lookup_view import lookup_json, lookup_lines, next_step
from zsm_store.cli.progress import working
from zsm_store.cli.table_options import TableRequest, table_options
from zsm_store.cli.terminal import write_lines
from zsm_store.model.float32 import shortest_float64
from zsm_store.model.startup import ColdStart, WarmLoad, WarmStart

if TYPE_CHECKING:
    from zsm_store.cli.session import Session
    from zsm_store.model.startup import StartupMode


@command(
    "fingerprint",
    registry=False,
    examples="""
    zsm fingerprint people.csv
    zsm fingerprint people.csv --kind code=Id --json > people.schema.json
    zsm fingerprint people.csv --schema people.schema.json -q
    """,
)
@table_options
def fingerprint_command(session: Session, request: TableRequest) -> None:
    """Show what TABLE looks like to a registry.

    The schema hash, and for each column its kind, the rule that decided it, the share
    of missing values, the number of distinct values and the most frequent ones. The
    JSON document is a schema file.
    """
    found = request.read()
    if session.as_json:
        write_json(fingerprint_json(found))
    elif session.quiet:
        write_lines([found.fingerprint.schema_hash])
    else:
        write_lines(fingerprint_lines(found, request.title))


@command(
    "lookup",
    examples="""
    zsm lookup people_q2.csv
    zsm lookup people_q2.csv --json > start.json
    zsm lookup people_q2.csv --exit-code -q || echo "train it first"
    zsm lookup --schema people.schema.json
    """,
)
@table_options
@click.option(
    "--exit-code",
    is_flag=True,
    help="Exit with 0 for a warm load, 10 for a warm start, 11 for a cold start.",
)
def lookup_command(session: Session, request: TableRequest, exit_code: bool) -> None:
    """Say how training on TABLE should start, and why.

    A warm load: the very same schema was trained before, so its parameters can be used
    as they are. A warm start: a similar one was; EM starts from its parameters. A cold
    start: nothing near was. With --quiet, the hash of the artifact to start from.
    """
    wanted = request.read().fingerprint
    with session.open_registry() as registry:
        session.hint_if_missing(registry)
        with working(f"looking up in {registry.location}"):
            mode = registry.lookup_startup_mode(wanted, explain=True)
    if session.as_json:
        write_json(lookup_json(mode))
    elif session.quiet:
        if not isinstance(mode, ColdStart):
            write_lines([mode.artifact.schema_hash])
    else:
        write_lines(lookup_lines(mode))
        session.hint(next_step(mode))
    if exit_code:
        click.get_current_context().exit(_code_of(mode))


@command(
    "nearest",
    examples="""
    zsm nearest people.csv
    zsm nearest people.csv -k 10 --json
    """,
)
@table_options
@click.option(
    "-k",
    "count",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    metavar="N",
    help="How many.",
)
def nearest_command(session: Session, request: TableRequest, count: int) -> None:
    """List the artifacts nearest to TABLE, the nearest first."""
    wanted = request.read().fingerprint
    with session.open_registry() as registry:
        session.hint_if_missing(registry)
        with working(f"looking up in {registry.location}"):
            found = registry.nearest(wanted, count)
    if session.as_json:
        rows = [
            {
                "distance": shortest_float64(nearest.distance),
                **artifact_json_row(nearest.artifact),
            }
            for nearest in found
        ]
        write_json({"schema_hash": wanted.schema_hash, "nearest": rows})
    elif session.quiet:
        write_lines(it.artifact.schema_hash for it in found)
    elif found:
        write_lines(nearest_lines(found))
    else:
        session.hint("the registry holds no artifact that can be used: see 'zsm save'")


def _code_of(mode: StartupMode) -> ExitCode:
    match mode:
        case WarmLoad():
            return ExitCode.DONE
        case WarmStart():
            return ExitCode.WARM_START
        case ColdStart():
            return ExitCode.COLD_START
