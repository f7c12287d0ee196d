"""Share: `zsm pack`, `zsm unpack`, `zsm inspect`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from zsm_store.cli.bundle_view import (
    BundleContent,
    content_json,
    content_lines,
    read_content,
)
from zsm_store.cli.command import command, durability_option
from zsm_store.cli.exit_codes import ExitCode
from zsm_store.cli.json_output import write_json
from zsm_store.cli.printable import counted
from zsm_store.cli.progress import working
from zsm_store.cli.terminal import fail, warn, write_lines

if TYPE_CHECKING:
    from zsm_store.cli.session import Session

_BUNDLE = click.argument("bundle", type=click.Path(readable=False, path_type=Path))


@command(
    "pack",
    locks=True,
    examples="""
    zsm pack people.zsm
    zsm pack people.zsm --registry /srv/linkage/registry
    """,
)
@_BUNDLE
def pack_command(session: Session, bundle: Path) -> None:
    """Write every artifact into one BUNDLE (.zsm), which the Rust library opens, too.

    A bundle of that name is replaced; any other file is not. Damaged artifacts are
    named and left out, and the exit code is 4 then.
    """
    with session.open_registry() as registry:
        session.hint_if_missing(registry)
        with working(f"packing {registry.location}"):
            report = registry.pack(bundle)
    for reason in report.skipped:
        warn(f"left out: {reason}")
    if session.as_json:
        facts = {
            "bundle": str(bundle),
            "packed": list(report.packed),
            "skipped": list(report.skipped),
        }
        write_json(facts)
    elif session.quiet:
        write_lines(report.packed)
    else:
        write_lines(
            [f"packed {counted(len(report.packed), 'artifact')} into '{bundle}'"]
        )
    if report.skipped:
        click.get_current_context().exit(ExitCode.DAMAGED)


@command(
    "unpack",
    locks=True,
    examples="""
    zsm unpack people.zsm
    zsm unpack people.zsm --replace
    """,
)
@_BUNDLE
@click.option(
    "--replace",
    is_flag=True,
    help="Also where the registry has another training of the same schema.",
)
@durability_option()
def unpack_command(session: Session, bundle: Path, replace: bool) -> None:
    """Save the artifacts of BUNDLE.

    Where the registry has another training of the same schema, that one is kept and
    listed, and the exit code is 5. A damaged bundle is not unpacked at all.
    """
    with session.open_registry() as registry, working(f"unpacking {bundle}"):
        report = registry.unpack(bundle, replace=replace)
    for reason in report.refused:
        fail(f"refused: {reason}")
    for key in report.kept:
        warn(f"kept what the registry has: {key}; --replace takes the bundle's")
    if session.as_json:
        facts = {
            "bundle": str(bundle),
            "saved": list(report.saved),
            "unchanged": list(report.unchanged),
            "kept": list(report.kept),
            "refused": list(report.refused),
        }
        write_json(facts)
    elif session.quiet:
        write_lines(report.saved)
    else:
        write_lines(f"saved {key}" for key in report.saved)
        counts = (
            f"{counted(len(report.saved), 'artifact')} saved, "
            f"{len(report.unchanged)} unchanged, {len(report.kept)} kept, "
            f"{len(report.refused)} refused"
        )
        write_lines([counts])
    if report.refused:
        click.get_current_context().exit(ExitCode.DAMAGED)
    if report.kept:
        click.get_current_context().exit(ExitCode.CONFLICT)


@command(
    "inspect",
    registry=False,
    examples="""
    zsm inspect people.zsm
    zsm inspect people.zsm --json | jq '.artifacts[].tag'
    """,
)
@_BUNDLE
def inspect_command(session: Session, bundle: Path) -> None:
    """Show what is in BUNDLE, without a registry.

    What cannot be served is named with the reason, and the exit code is 4 then.
    """
    with working(f"reading {bundle}"):
        content = read_content(bundle)
    if session.as_json:
        write_json(content_json(content))
    elif session.quiet:
        write_lines(entry.schema_hash for entry in content.entries)
    else:
        write_lines(content_lines(content))
    _report_problems(content)


def _report_problems(content: BundleContent) -> None:
    bad = [entry for entry in content.entries if entry.problem is not None]
    for entry in bad:
        fail(f"cannot be served: {entry.schema_hash}: {entry.problem}")
    if bad:
        click.get_current_context().exit(ExitCode.DAMAGED)
