"""A group whose commands are imported when they are called."""

from __future__ import annotations

import errno
import importlib
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import click
from click.exceptions import NoSuchCommand

from zsm_store.cli import terminal
from zsm_store.cli.exit_codes import ExitCode, exit_code_of
from zsm_store.cli.log_lines import log_lines
from zsm_store.cli.session import Session
from zsm_store.cli.streams import check_streams
from zsm_store.errors import ZsmError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PROGRAM = "zsm"


class LazyCommand(NamedTuple):
    """Where a command is, and what a list of commands says about it."""

    module: str
    """Of `zsm_store.cli`; holds the command as `<name>_command`, hyphens as `_`."""
    summary: str


class LazyGroup(click.Group):
    """The commands by section; and the one place where errors become exit codes."""

    def __init__(
        self, *args: Any, sections: Mapping[str, Mapping[str, LazyCommand]], **kw: Any
    ) -> None:
        super().__init__(*args, **kw)
        self.sections = sections
        self._lazy = {
            name: where
            for listed in sections.values()
            for name, where in listed.items()
        }

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # the signature is click's
        """Return all names in the order of the help."""
        return list(self._lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # the signature is click's
        """Import a command."""
        if cmd_name not in self._lazy:
            return None
        module = importlib.import_module(f"zsm_store.cli.{self._lazy[cmd_name].module}")
        found: click.Command = getattr(module, f"{cmd_name.replace('-', '_')}_command")
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or name the ones that are spelled alike."""
        try:
            return super().resolve_command(ctx, args)
        except NoSuchCommand as error:
            raise NoSuchCommand(
                error.command_name, possibilities=list(self._lazy), ctx=ctx
            ) from None

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002  # the signature is click's
        formatter: click.HelpFormatter,
    ) -> None:
        """List the commands by section, without importing them."""
        widest = max(map(len, self._lazy))
        for title, listed in self.sections.items():
            with formatter.section(title):
                rows = [(name.ljust(widest), it.summary) for name, it in listed.items()]
                formatter.write_dl(rows)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,  # noqa: ARG002  # `python -m` would say __main__.py
        complete_var: str | None = None,
        standalone_mode: bool = True,  # noqa: ARG002  # there is no other mode
        windows_expand_args: bool = True,  # noqa: ARG002  # the shell expands
        **extra: Any,
    ) -> NoReturn:
        """Run the command that `args` name and exit with its code."""
        arguments = sys.argv[1:] if args is None else list(args)
        self._main_shell_completion(extra, PROGRAM, complete_var)
        session = Session()
        try:
            check_streams()
            with log_lines(session):
                code = self._run(arguments, session, extra)
            sys.stdout.flush()
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  # the last resort
            code = _report(error, session)
        sys.exit(code)

    def _run(
        self, arguments: list[str], session: Session, extra: dict[str, Any]
    ) -> int:
        try:
            with self.make_context(PROGRAM, arguments, obj=session, **extra) as ctx:
                self.invoke(ctx)
        except click.exceptions.Exit as exit_:
            return exit_.exit_code
        return ExitCode.DONE


def _report(error: BaseException, session: Session) -> int:
    """Print an error as one line and return the exit code."""
    if isinstance(error, KeyboardInterrupt | click.Abort):
        terminal.tell("")  # what comes next starts behind the terminal's ^C
        return ExitCode.INTERRUPTED
    if isinstance(error, OSError) and error.errno == errno.EPIPE:
        _drop_output()
        return ExitCode.BROKEN_PIPE
    if isinstance(error, click.ClickException):
        terminal.fail(_usage_line(error))
        return error.exit_code
    if session.verbose:
        import traceback  # noqa: PLC0415  # few need it

        for line in traceback.format_exception(error):
            for part in line.splitlines():
                terminal.tell(part)
    if isinstance(error, ZsmError):
        terminal.fail(str(error))
        return exit_code_of(error)
    if isinstance(error, OSError) and error.filename is None:
        _drop_output()
        terminal.fail(f"cannot write the output: {error.strerror or error}")
        return ExitCode.UNEXPECTED
    more = "" if session.verbose else "; -v shows where"
    terminal.fail(f"unexpected {type(error).__name__}: {error}{more}")
    return ExitCode.UNEXPECTED


def _usage_line(error: click.ClickException) -> str:
    message = error.format_message().strip().rstrip(".")
    message = " ".join(message.split())
    if message[:1].isupper() and not message[:2].isupper():
        message = message[0].lower() + message[1:]
    ctx = error.ctx if isinstance(error, click.UsageError) else None
    path = ctx.command_path if ctx is not None else PROGRAM
    joint = "" if message.endswith("?") else ";"
    return f"{message}{joint} see '{path} --help'"


def _drop_output() -> None:
    """Let nothing be written any more: the interpreter flushes once more at its end."""
    with suppress(OSError, ValueError):
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, sys.stdout.fileno())
        os.close(nothing)
