"""`zsm completion`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from click.shell_completion import get_completion_class

from zsm_store.cli.command import command
from zsm_store.cli.lazy_group import PROGRAM
from zsm_store.cli.terminal import write_bytes

if TYPE_CHECKING:
    from zsm_store.cli.session import Session

_SHELLS = ("bash", "zsh", "fish")


@command(
    "completion",
    registry=False,
    data=False,
    examples="""
    eval "$(zsm completion bash)"       # in ~/.bashrc
    eval "$(zsm completion zsh)"        # in ~/.zshrc
    zsm completion fish > ~/.config/fish/completions/zsm.fish
    """,
)
@click.argument("shell", type=click.Choice(_SHELLS))
def completion_command(_: Session, shell: str) -> None:
    """Print what makes SHELL complete commands, options, tags and hashes."""
    found = get_completion_class(shell)
    if found is None:
        message = f"no completion for {shell!r}"
        raise click.UsageError(message, click.get_current_context())
    root = click.get_current_context().find_root().command
    source = found(root, {}, PROGRAM, f"_{PROGRAM.upper()}_COMPLETE").source()
    write_bytes(source.encode())
