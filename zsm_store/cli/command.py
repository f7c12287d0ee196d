"""What all commands have in common: shared options, and examples under the help."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zsm_store.cli.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_TIMEOUT_S = 1e6
CONTEXT: dict[str, Any] = {"help_option_names": ["-h", "--help"]}


class ExampleCommand(click.Command):
    """A command whose epilog is a list of examples, printed as they stand."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # the signature is click's
        """Write the examples without wrapping them: they get pasted."""
        import textwrap  # noqa: PLC0415  # only helps need it

        examples = textwrap.dedent(self.epilog or "").strip("\n")
        with formatter.section("Examples"):
            formatter.write(textwrap.indent(examples, "  "))
            formatter.write("\n")


def command(
    name: str,
    *,
    examples: str,
    registry: bool = True,
    cache: bool = True,
    locks: bool = False,
    data: bool = True,
    quiet: str = "hashes",
) -> Callable[[Callable[..., None]], click.Command]:
    """Make a command of a function that takes the `Session` first.

    Parameters
    ----------
    name
        The verb.
    examples
        Lines to paste, for the help.
    registry
        The command is about a registry, so it takes ``--registry``.
    cache
        It opens the registry to ask for artifacts, so it takes ``--no-cache``, too.
    locks
        It may have to wait for writers, so it takes ``--lock-timeout``.
    data
        The command prints data, so it takes ``--json`` and ``--quiet``.
    quiet
        What it prints with ``--quiet``.
    """

    def make(function: Callable[..., None]) -> click.Command:
        made = click.command(
            name,
            cls=ExampleCommand,
            epilog=examples,
            context_settings=CONTEXT,
        )(click.pass_obj(function))
        if data:
            made.params += [json_option(), quiet_option(quiet)]
        if registry:
            made.params.append(registry_option())
        if registry and cache:
            made.params.append(no_cache_option())
        if locks:
            made.params.append(lock_timeout_option())
        made.params.append(verbose_option())
        return made

    return make


def json_option() -> click.Option:
    """``--json``."""
    return click.Option(
        ["--json"],
        is_flag=True,
        expose_value=False,
        callback=_store_json,
        help="Print one JSON document.",
    )


def quiet_option(prints: str = "hashes") -> click.Option:
    """``-q``."""
    return click.Option(
        ["-q", "--quiet"],
        is_flag=True,
        expose_value=False,
        callback=_store_quiet,
        help=f"Print {prints} only.",
    )


def registry_option() -> click.Option:
    """``--registry``."""
    return click.Option(
        ["--registry"],
        type=click.Path(readable=False, path_type=Path),
        metavar="PATH",
        expose_value=False,
        callback=_store_registry,
        help="A directory or a .zsm bundle; else ZSM_REGISTRY, else the directory "
        "around here with a registry.json.",
    )


def no_cache_option() -> click.Option:
    """``--no-cache``."""
    return click.Option(
        ["--no-cache"],
        is_flag=True,
        expose_value=False,
        callback=_store_no_cache,
        help="Neither use nor write the cache of the index, which is in ZSM_CACHE_DIR, "
        "else in the user's cache directory.",
    )


def lock_timeout_option() -> click.Option:
    """``--lock-timeout``."""
    return click.Option(
        ["--lock-timeout"],
        type=click.FloatRange(min=0, max=MAX_TIMEOUT_S),
        metavar="SECONDS",
        expose_value=False,
        callback=_store_lock_timeout,
        help="Wait that long for other writers; 30 if left out.",
    )


def durability_option() -> Callable[[Callable[..., None]], Callable[..., None]]:
    """``--durability``, for those who save."""
    return click.option(
        "--durability",
        type=click.Choice(["full", "rename"]),
        expose_value=False,
        callback=_store_durability,
        help="full: what is saved survives a power cut, the default; rename: only the "
        "end of processes, which is faster.",
    )


def verbose_option() -> click.Option:
    """``-v``."""
    return click.Option(
        ["-v", "--verbose"],
        is_flag=True,
        expose_value=False,
        callback=_store_verbose,
        help="Say on standard error what is done and why.",
    )


def _store_json(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    session = ctx.ensure_object(Session)
    session.as_json = session.as_json or value
    _refuse_both(session, ctx)


def _store_quiet(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    session = ctx.ensure_object(Session)
    session.quiet = session.quiet or value
    _refuse_both(session, ctx)


def _refuse_both(session: Session, ctx: click.Context) -> None:
    if session.as_json and session.quiet:
        message = "--json and --quiet exclude each other"
        raise click.UsageError(message, ctx)


def _store_verbose(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    session = ctx.ensure_object(Session)
    session.verbose = session.verbose or value


def _store_no_cache(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        ctx.ensure_object(Session).use_cache = False


def _store_lock_timeout(
    ctx: click.Context, _: click.Parameter, value: float | None
) -> None:
    if value is not None:
        ctx.ensure_object(Session).lock_timeout_s = value


def _store_durability(
    ctx: click.Context, _: click.Parameter, value: str | None
) -> None:
    if value is not None:
        ctx.ensure_object(Session).durability = value


def _store_registry(ctx: click.Context, _: click.Parameter, value: Path | None) -> None:
    if value is not None:
        ctx.ensure_object(Session).registry = value
