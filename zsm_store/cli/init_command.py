"""`zsm init`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from zsm_store.cli.command import command
from zsm_store.cli.json_output import write_json
from zsm_store.cli.location import MARK
from zsm_store.cli.terminal import write_lines
from zsm_store.errors import FormatError, StorageError
from zsm_store.registry.schema_registry import SchemaRegistry
from zsm_store.registry.settings import Layout, RegistrySettings

if TYPE_CHECKING:
    from zsm_store.cli.session import Session

_WRITTEN = (MARK, ".gitattributes", ".zsm/.gitignore")


@command(
    "init",
    cache=False,
    examples="""
    zsm init
    zsm init /srv/linkage/registry --layout fan-out
    """,
)
@click.argument(
    "directory",
    required=False,
    type=click.Path(readable=False, path_type=Path),
    metavar="[DIR]",
)
@click.option(
    "--layout",
    type=click.Choice([layout.value for layout in Layout]),
    help="flat: all artifacts side by side, the default; fan-out: in folders by the "
    "first two digits, for more than about 5,000 artifacts in git.",
)
def init_command(session: Session, directory: Path | None, layout: str | None) -> None:
    """Create a registry in DIR, by default here.

    Does nothing where there is one.
    """
    path = directory or session.registry or Path()
    stored = _stored_layout(path)
    if stored is not None and layout is not None and stored != layout:
        message = f"'{path}' is a registry with layout {stored.value!r} and keeps it"
        raise click.UsageError(message, click.get_current_context())
    chosen = Layout(layout) if layout is not None else stored or Layout.FLAT
    before = _present(path)
    with SchemaRegistry.init(path, layout=chosen) as registry:
        location = registry.location
    written = [name for name in _present(path) if name not in before]
    if session.as_json:
        facts = {"registry": location, "layout": chosen.value, "written": written}
        write_json(facts)
    elif not session.quiet:
        if stored is None:
            write_lines([f"created registry '{location}' with layout {chosen.value}"])
        else:
            write_lines([f"'{location}' is a registry already, layout {chosen.value}"])
        write_lines(f"  wrote {name}" for name in written)
    where = "" if _is_here(path) else f" --registry '{location}'"
    session.hint(f"next: 'zsm lookup TABLE{where}' says how training should start")


def _present(path: Path) -> list[str]:
    return [name for name in _WRITTEN if (path / name).is_file()]


def _is_here(path: Path) -> bool:
    here = Path.cwd()
    return path.resolve() in (here, *here.parents)


def _stored_layout(path: Path) -> Layout | None:
    """Return the layout of a registry that is there, None where none is.

    Raises
    ------
    FormatError
        Its settings are damaged.
    StorageError
        They cannot be read.
    """
    settings = path / MARK
    try:
        return RegistrySettings.decode(settings.read_bytes()).layout
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError.of("open", settings, error) from error
    except FormatError as error:
        error.source = settings
        raise
