"""`zsm init`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from zsm_store.cli.command import command
from zsm_store.cli.json_output import write_json
from zsm_store.cli.location import MARK
from zsm_store.cli.terminal import warn, write_lines
from zsm_store.errors import FormatError, StorageError
from zsm_store.registry.schema_registry import SchemaRegistry
from zsm_store.registry.settings import MOST_KEPT, Layout, RegistrySettings
from zsm_store.storage.file_system import file_system_type
from zsm_store.storage.known_limits import known_limits
from zsm_store.storage.lock import LockStrategy

if TYPE_CHECKING:
    from zsm_store.cli.session import Session

_WRITTEN = (MARK, ".gitattributes", ".zsm/.gitignore")


@command(
    "init",
    cache=False,
    locks=True,
    examples="""
    zsm init
    zsm init /srv/linkage/registry --layout fan-out
    zsm init --keep 10
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
@click.option(
    "--lock",
    type=click.Choice([lock.value for lock in LockStrategy]),
    help="flock: writers of one host exclude each other; marker: also those of other "
    "hosts, by a file. By default what suits the file system.",
)
@click.option(
    "--keep",
    type=click.IntRange(0, MOST_KEPT),
    metavar="N",
    help="Keep the last N replaced versions of each artifact; 0 by default.",
)
def init_command(
    session: Session,
    directory: Path | None,
    layout: str | None,
    lock: str | None,
    keep: int | None,
) -> None:
    """Create a registry in DIR, by default here; or change --lock and --keep of it.

    Where there is one, only what is given is changed. The layout cannot be.
    """
    path = directory or session.registry or Path()
    stored = _stored(path)
    if stored is not None and layout is not None and stored.layout != layout:
        message = (
            f"'{path}' is a registry with layout {stored.layout.value!r} and keeps it"
        )
        raise click.UsageError(message, click.get_current_context())
    before = _present(path)
    SchemaRegistry.init(
        path,
        layout=None if layout is None else Layout(layout),
        lock=None if lock is None else LockStrategy(lock),
        keep=keep,
        **session.lock_options(),
    ).close()
    settings = _stored(path) or RegistrySettings()
    written = [name for name in _present(path) if name not in before]
    if session.as_json:
        facts = {
            "registry": str(path),
            "layout": settings.layout.value,
            "lock": settings.lock.value,
            "keep": settings.keep,
            "written": written,
        }
        write_json(facts)
    elif not session.quiet:
        write_lines([f"{_outcome(path, stored, settings)}: {_told(settings)}"])
        write_lines(f"  wrote {name}" for name in written)
    _warn(path)
    where = "" if _is_here(path) else f" --registry '{path}'"
    session.hint(f"next: 'zsm lookup TABLE{where}' says how training should start")


def _warn(path: Path) -> None:
    """Say what the file system is known not to do: better now than after a loss."""
    for limit in known_limits(path):
        if not limit.is_obvious:
            kind = file_system_type(path)
            advice = f" ({limit.advice})" if limit.advice else ""
            warn(f"'{path}' lies on {kind}: {limit.text}{advice}")


def _outcome(
    path: Path, before: RegistrySettings | None, after: RegistrySettings
) -> str:
    if before is None:
        return f"created registry '{path}'"
    if before != after:
        return f"changed registry '{path}'"
    return f"'{path}' is a registry already"


def _told(settings: RegistrySettings) -> str:
    told = f"layout {settings.layout}, lock {settings.lock}"
    return told + (f", keeps {settings.keep} versions" if settings.keep else "")


def _present(path: Path) -> list[str]:
    return [name for name in _WRITTEN if (path / name).is_file()]


def _is_here(path: Path) -> bool:
    here = Path.cwd()
    return path.resolve() in (here, *here.parents)


def _stored(path: Path) -> RegistrySettings | None:
    """Return the settings of a registry that is there, None where none is.

    Raises
    ------
    FormatError
        They are damaged.
    StorageError
        They cannot be read.
    """
    settings = path / MARK
    try:
        return RegistrySettings.decode(settings.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError.of("open", settings, error) from error
    except FormatError as error:
        error.source = settings
        raise
