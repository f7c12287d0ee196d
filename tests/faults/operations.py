"""Everything that writes, as tests of faults run it again and again."""

from __future__ import annotations

import itertools
import json
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.examples import BRP_WITH_PHONE, SIM, numbered, trained
from zsm_store import ArtifactNotFoundError, Layout, LockStrategy, SchemaRegistry
from zsm_store.codec import artifact_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from zsm_store import ModelArtifact, SaveReport

OLD = trained(em_iterations=1)
NEW = trained(em_iterations=2)
NEWER = trained(em_iterations=3)
KEY = OLD.schema_hash
OTHER = trained(SIM)
NEVER_SEEN = trained(BRP_WITH_PHONE)
BESIDE = next(
    one for one in map(numbered, itertools.count(1)) if one.schema_hash[:2] == KEY[:2]
)
"""Lies in one folder with `OLD`, where there are folders."""

LATER = numbered(0)
"""Saved by everybody afterwards."""

State = dict[str, object]
"""What a user finds: artifacts by hash, the layout under `LAYOUT`, what is
remembered of one artifact under `KEPT`, a bundle's content under the bundle's name."""
LAYOUT = "layout"
KEPT = "kept"
BUNDLE = "all.zsm"


def state_of(place: Path) -> State:
    """Return what somebody finds who comes new."""
    registry_dir = place / "registry"
    found: State = {}
    settings = registry_dir / "registry.json"
    if settings.exists():
        found[LAYOUT] = json.loads(settings.read_bytes())["layout"]
    with SchemaRegistry.open(registry_dir, watch=False) as registry:
        found.update((one.schema_hash, one) for one in registry.list_all())
        with suppress(ArtifactNotFoundError):
            found[KEPT] = {one.digest for one in registry.history(KEY)}
        # An older copy in the other layout is harmless, and named.
        assert {one.code for one in registry.verify()} <= {"ZSM003"}
    bundle = place / BUNDLE
    if bundle.exists():
        with SchemaRegistry.open(bundle) as packed:
            found[BUNDLE] = tuple(packed.list_all())
    return found


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One call of the public interface."""

    prepare: Callable[[Path, Layout], None]
    """Make what is there before, in `place/registry` and beside it."""
    act: Callable[[SchemaRegistry, Path, Layout], object]
    """On a registry that has looked at all of it, and the same place."""
    layouts: tuple[Layout, ...] = tuple(Layout)
    unsynced: tuple[str, ...] = ()
    """What somebody else has made, and not synced, as paths below the place."""
    may_come_back: Callable[[str], bool] = field(default=lambda _: False)
    """What a power cut may bring back without harm."""
    may_miss: bool = False
    """Whether what cannot be read may count as not there."""


def _stored(place: Path, layout: Layout) -> None:
    registry = SchemaRegistry.init(place / "registry", layout=layout)
    registry.save(OLD)
    registry.save(OTHER)


def _marked(place: Path, layout: Layout) -> None:
    """Have the lock that network drives need."""
    _stored(place, layout)
    SchemaRegistry.init(place / "registry", lock=LockStrategy.MARKER).close()


def _keeping(place: Path, layout: Layout) -> None:
    """Have an earlier version, and keep the next ones."""
    with SchemaRegistry.init(place / "registry", layout=layout, keep=5) as registry:
        for one in (NEW, OLD, OTHER):
            registry.save(one)


def _nothing(place: Path, layout: Layout) -> None:
    """Leave the place empty."""


def _empty(place: Path, layout: Layout) -> None:
    SchemaRegistry.init(place / "registry", layout=layout)


def _directory(place: Path, layout: Layout) -> None:  # noqa: ARG001  # there is none yet
    (place / "registry").mkdir()


def _doubled(place: Path, layout: Layout) -> None:
    """Have an older copy, too, where the layout does not look first."""
    _stored(place, layout)
    folder = place / "registry" / ("" if layout is Layout.FAN_OUT else KEY[:2])
    folder.mkdir(exist_ok=True)
    older = artifact_json.encode(trained(em_iterations=99))
    (folder / f"{KEY}.json").write_bytes(older)


def _bundled(place: Path, layout: Layout) -> None:
    _stored(place, layout)
    with SchemaRegistry.open(place / "registry") as registry:
        registry.pack(place / BUNDLE)
        registry.delete(OTHER.schema_hash)
        registry.save(NEW)


def _received(place: Path, layout: Layout) -> None:
    """Have a bundle with one training that is stored in another, and a new one."""
    _stored(place, layout)
    sender = SchemaRegistry.in_memory()
    for one in (NEW, OTHER, BESIDE):
        sender.save(one)
    sender.pack(place / BUNDLE)


def _init(registry: SchemaRegistry, place: Path, layout: Layout) -> None:  # noqa: ARG001  # it is made here
    SchemaRegistry.init(place / "registry", layout=layout).close()


def _all_saved(report: SaveReport) -> None:
    """Raise what became of the first that was not saved."""
    for error in report.failed.values():
        raise error


OPERATIONS = {
    "init": Operation(prepare=_nothing, act=_init),
    "first save of all": Operation(
        prepare=_nothing,
        act=lambda registry, *_: registry.save(NEW),
        layouts=(Layout.FLAT,),
    ),
    "first save into a directory": Operation(
        prepare=_directory,
        act=lambda registry, *_: registry.save(NEW),
        layouts=(Layout.FLAT,),
        unsynced=("registry",),
    ),
    "first save after init": Operation(
        prepare=_empty, act=lambda registry, *_: registry.save(NEW, if_absent=True)
    ),
    "replacing save": Operation(
        prepare=_stored, act=lambda registry, *_: registry.save(NEW)
    ),
    "save with if_match": Operation(
        prepare=_stored,
        act=lambda registry, *_: registry.save(NEW, if_match=artifact_json.digest(OLD)),
    ),
    "save beside another one": Operation(
        prepare=_stored, act=lambda registry, *_: registry.save(BESIDE)
    ),
    "save over two copies": Operation(
        prepare=_doubled,
        act=lambda registry, *_: registry.save(NEW),
        may_come_back=lambda path: path.endswith(f"/{KEY}.json"),
    ),
    "save under a marker": Operation(
        prepare=_marked,
        act=lambda registry, *_: registry.save(NEW),
        layouts=(Layout.FLAT,),
    ),
    "save that keeps the old one": Operation(
        prepare=_keeping, act=lambda registry, *_: registry.save(NEWER)
    ),
    "delete that keeps the old one": Operation(
        prepare=_keeping,
        act=lambda registry, *_: registry.delete(KEY),
        layouts=(Layout.FLAT,),
    ),
    "restore": Operation(
        prepare=_keeping,
        act=lambda registry, *_: registry.restore(KEY, artifact_json.digest(NEW)),
        layouts=(Layout.FLAT,),
        may_miss=True,
    ),
    "save_many": Operation(
        prepare=_stored,
        act=lambda registry, *_: _all_saved(registry.save_many([NEW, BESIDE])),
    ),
    "delete": Operation(prepare=_stored, act=lambda registry, *_: registry.delete(KEY)),
    "delete of two copies": Operation(
        prepare=_doubled, act=lambda registry, *_: registry.delete(KEY)
    ),
    "pack": Operation(
        prepare=_stored, act=lambda registry, place, _: registry.pack(place / BUNDLE)
    ),
    "pack over a bundle": Operation(
        prepare=_bundled, act=lambda registry, place, _: registry.pack(place / BUNDLE)
    ),
    "unpack": Operation(
        prepare=_received,
        act=lambda registry, place, _: registry.unpack(place / BUNDLE, replace=True),
    ),
}


def cases() -> Iterator[tuple[str, Layout]]:
    """Yield each operation by its name, in each layout that it can have."""
    for name, operation in OPERATIONS.items():
        for layout in operation.layouts:
            yield name, layout


def artifacts(state: State) -> dict[str, ModelArtifact]:
    """Return the artifacts of a state by schema hash."""
    return {key: one for key, one in state.items() if key not in (LAYOUT, KEPT, BUNDLE)}  # type: ignore[misc]
