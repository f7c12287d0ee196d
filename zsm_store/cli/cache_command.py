"""`zsm cache`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from zsm_store.cli.command import command
from zsm_store.cli.json_output import write_json
from zsm_store.cli.location import registry_path
from zsm_store.cli.printable import counted
from zsm_store.cli.table import Column, table_lines
from zsm_store.cli.terminal import write_lines
from zsm_store.registry.cache_list import drop_caches, list_caches
from zsm_store.registry.index_cache import cache_directory

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from zsm_store.cli.session import Session
    from zsm_store.cli.terminal import Line
    from zsm_store.registry.cache_list import CacheInfo

_COLUMNS = (
    Column("artifacts", right=True),
    Column("bytes", right=True),
    Column("saved"),
    Column("fits", least=12),
    Column("registry"),
)
_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"))


@command(
    "cache",
    cache=False,
    quiet="paths",
    examples="""
    zsm cache
    zsm cache --drop --registry /srv/linkage/registry
    zsm cache --drop --all
    """,
)
@click.option("--drop", is_flag=True, help="Remove the caches of the registry.")
@click.option("--all", "every", is_flag=True, help="With --drop: of all registries.")
def cache_command(session: Session, drop: bool, every: bool) -> None:
    """Show the caches of indexes, or drop them.

    The index of a large registry is kept in ZSM_CACHE_DIR, else in the user's cache
    directory, so that the next command need not read every artifact. A cache that does
    not fit what the registry holds now is never used. All can be dropped at any time.
    """
    if every and not drop:
        message = "--all needs --drop"
        raise click.UsageError(message, click.get_current_context())
    if drop:
        _drop(session, every=every)
    else:
        _show(session)


def _show(session: Session) -> None:
    directory, caches = str(cache_directory()), list_caches()
    if session.as_json:
        rows = [_cache_json(cache) for cache in caches]
        write_json({"directory": directory, "caches": rows})
    elif session.quiet:
        write_lines(str(cache.path) for cache in caches)
    else:
        write_lines([f"'{directory}': {counted(len(caches), 'cache')}"])
        if caches:
            write_lines(_cache_lines(caches))


def _drop(session: Session, *, every: bool) -> None:
    registry = None if every else registry_path(session.registry)
    dropped = [str(path) for path in drop_caches(registry)]
    if session.as_json:
        write_json({"directory": str(cache_directory()), "dropped": dropped})
    else:
        prefix = "" if session.quiet else "dropped "
        write_lines(prefix + path for path in dropped)
    if not dropped:
        session.hint("no cache" if registry is None else f"no cache of '{registry}'")


def _cache_lines(caches: Sequence[CacheInfo]) -> Iterator[Line]:
    now = time.time()
    rows = [
        [
            f"{cache.artifacts:,}",
            f"{cache.size:,}",
            _age(now - cache.saved_at),
            ": ".join(filter(None, ["yes" if cache.fits else "no", cache.note])),
            cache.registry or "?",
        ]
        for cache in caches
    ]
    yield ""
    yield from table_lines(_COLUMNS, rows)


def _age(seconds: float) -> str:
    """Return how long ago, in the largest unit of which it takes one."""
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{counted(int(seconds // size), unit)} ago"
    return "just now"  # or later, by a clock that was set back


def _cache_json(cache: CacheInfo) -> dict[str, Any]:
    return {
        "path": str(cache.path),
        "registry": cache.registry or None,
        "artifacts": cache.artifacts,
        "size": cache.size,
        "saved_at": int(cache.saved_at),
        "fits": cache.fits,
        "note": cache.note or None,
    }
