"""One bad file never takes the registry down, and neither do a hundred of all kinds."""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.examples import SIM, fingerprint, trained
from tests.faults.neighbors import (
    CONTENTS,
    FREE_FOLDERS,
    Neighborhood,
    settle,
    snapshot,
)
from tests.processes import run_as_nobody, running, wait_until
from zsm_store import (
    Layout,
    Schema,
    SchemaRegistry,
    WarmLoad,
    ZsmError,
    fingerprint_distance,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


EACH = 5


@pytest.fixture(scope="module", params=Layout)
def town(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Neighborhood:
    base = tmp_path_factory.mktemp("neighbors")
    return settle(base, request.param, good=1_000, each=EACH)


@pytest.fixture
def registry(
    town: Neighborhood, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SchemaRegistry]:
    """Open it; whatever is asked of it, nothing on the disk may change."""
    # A damaged file is read again after a moment, as somebody may be writing it.
    monkeypatch.setattr(time, "sleep", lambda _: None)
    logging.getLogger("zsm_store").setLevel(logging.ERROR)
    before = snapshot(town.path.parent)
    with SchemaRegistry.open(town.path, watch=False, cache=False) as opened:
        yield opened
    logging.getLogger("zsm_store").setLevel(logging.NOTSET)
    assert snapshot(town.path.parent) == before


def test_every_kind_of_damage_is_there(town: Neighborhood) -> None:
    assert len(town.good) == 1_000
    assert len(town.damaged) == EACH * len(CONTENTS) + 1 >= 100
    assert len(town.odd) > 10
    assert len(town.foreign) > 20


def test_each_good_one_is_served(town: Neighborhood, registry: SchemaRegistry) -> None:
    assert len(registry) == len(town.good)
    for one in town.good:
        assert registry.get(one.schema_hash) == one
        assert registry.get_exact(one.fingerprint) == one
    modes = registry.lookup_many(one.fingerprint for one in town.good)
    for one, mode in zip(town.good, modes, strict=True):
        assert isinstance(mode, WarmLoad)
        assert mode.artifact == one
    for one in town.good[::50]:
        mode = registry.lookup_startup_mode(one.fingerprint)
        assert isinstance(mode, WarmLoad)
        assert mode.artifact == one
        assert one in registry


def test_only_good_ones_are_listed_and_packed(
    town: Neighborhood, registry: SchemaRegistry, tmp_path: Path
) -> None:
    assert registry.list_all() == town.good
    assert list(registry) == town.good
    report = registry.pack(tmp_path / "all.zsm")
    assert report.packed == tuple(one.schema_hash for one in town.good)
    named = Counter(
        path for line in report.skipped for path in town.damaged if path in line
    )
    assert named == Counter(town.damaged.keys())
    with SchemaRegistry.open(tmp_path / "all.zsm") as packed:
        assert packed.list_all() == town.good


def test_only_good_ones_are_near(town: Neighborhood, registry: SchemaRegistry) -> None:
    fields = (*town.good[3].fingerprint.fields, *town.good[700].fingerprint.fields)
    wanted = fingerprint(Schema(fields))
    ranked = sorted(
        (fingerprint_distance(one.fingerprint, wanted), one.schema_hash)
        for one in town.good
    )
    found = registry.nearest(wanted, 20)
    assert [(near.distance, near.artifact.schema_hash) for near in found] == ranked[:20]


def test_each_bad_one_is_named_once(
    town: Neighborhood, registry: SchemaRegistry
) -> None:
    named = Counter(problem.path for problem in registry.verify())
    assert named == Counter([*town.damaged, *town.odd])


def test_no_bad_one_is_served(town: Neighborhood, registry: SchemaRegistry) -> None:
    for artifact in town.damaged.values():
        assert artifact not in registry
        with pytest.raises(ZsmError):
            registry.get(artifact.schema_hash)
        with pytest.raises(ZsmError):
            registry.get_exact(artifact.fingerprint)
        mode = registry.lookup_startup_mode(artifact.fingerprint)
        assert not isinstance(mode, WarmLoad)
    for path in town.odd:
        with pytest.raises(ZsmError):
            registry.get(os.path.basename(path)[: -len(".json")].lower())  # noqa: PTH119  # a name
    with pytest.raises(ZsmError):  # it lies behind a link that leads out
        registry.get(FREE_FOLDERS[1] * 32)


_WRITER = """
import itertools, sys, time
from pathlib import Path
from tests.examples import numbered, trained
from zsm_store import SchemaRegistry

path, stop = map(Path, sys.argv[1:])
with SchemaRegistry.open(path) as registry:
    for number in itertools.count():
        if stop.exists():
            break
        one = numbered(1_000_000 + number % 7)
        registry.save(trained(one.fingerprint, em_iterations=number))
        if number % 3 == 0:
            registry.delete(one.schema_hash)
        (path.parent / "progress").write_text(str(number))
        time.sleep(0.002)
"""


@pytest.mark.multiprocess
def test_nothing_of_that_changes_beside_a_writer(tmp_path: Path) -> None:
    town = settle(tmp_path, Layout.FAN_OUT, good=100, each=1)
    before = _of(town, snapshot(tmp_path))
    stop = tmp_path / "stop"
    good = {one.schema_hash: one for one in town.good}
    bad = {one.schema_hash for one in town.damaged.values()}
    with (
        running(_WRITER, town.path, stop) as writer,
        SchemaRegistry.open(town.path) as registry,
    ):
        wait_until((tmp_path / "progress").exists, "the writer")
        for listed in (registry.list_all(), list(registry)):
            found = {one.schema_hash: one for one in listed}
            assert good.items() <= found.items()
            assert not bad & found.keys()
        for one in town.good:
            mode = registry.lookup_startup_mode(one.fingerprint)
            assert isinstance(mode, WarmLoad)
            assert mode.artifact == one
        assert good.keys() <= set(registry.pack(tmp_path / "all.zsm").packed)
        named = Counter(problem.path for problem in registry.verify())
        assert named == Counter([*town.damaged, *town.odd])
        stop.touch()
        _, errors = writer.communicate(timeout=30)
        assert (writer.returncode, errors) == (0, "")
        assert good.items() <= {one.schema_hash: one for one in registry}.items()
    assert _of(town, snapshot(tmp_path)) == before


def _of(town: Neighborhood, found: dict[str, object]) -> dict[str, object]:
    """Return the part of a snapshot that is no business of a writer."""
    good = {one.schema_hash for one in town.good}
    kept = town.damaged.keys() | town.odd | town.foreign
    return {
        path: what
        for path, what in found.items()
        if path in kept or os.path.basename(path).removesuffix(".json") in good  # noqa: PTH119  # maybe not UTF-8
    }


_CLOSED = """
registry = SchemaRegistry.open("registry")
key = trained().schema_hash
assert [one.schema_hash for one in registry.list_all()] == [trained(SIM).schema_hash]
assert [one.code for one in registry.verify()] == ["ZSM004"]
try:
    registry.get(key)
except StorageError as error:
    assert error.errno == 13 and key in str(error), error
else:
    raise AssertionError("served what is closed")
"""


def test_a_file_that_is_closed_to_us_is_named_and_the_others_are_served(
    tmp_path: Path,
) -> None:
    tmp_path.chmod(0o755)
    path = tmp_path / "registry"
    with SchemaRegistry.open(path) as registry:
        registry.save(trained())
        registry.save(trained(SIM))
    (path / f"{trained().schema_hash}.json").chmod(0o000)
    before = snapshot(tmp_path)
    ended = run_as_nobody(_CLOSED, tmp_path)
    assert (ended.returncode, ended.stderr.count("Traceback")) == (0, 0), ended.stderr
    assert snapshot(tmp_path) == before


_CLOSED_FOLDER = """
registry = SchemaRegistry.open("registry")
folder = trained().schema_hash[:2]
for ask in (
    registry.list_all, registry.verify, lambda: list(registry), lambda: len(registry),
    lambda: registry.lookup_startup_mode(trained(SIM).fingerprint),
):
    try:
        ask()
    except StorageError as error:
        assert error.errno == 13 and folder in str(error), error
    else:
        raise AssertionError("a part of the registry was taken for all of it")
assert registry.get(trained(SIM).schema_hash) == trained(SIM)
"""


def test_a_folder_that_is_closed_to_us_is_an_error_and_never_a_part_of_the_answer(
    tmp_path: Path,
) -> None:
    tmp_path.chmod(0o755)
    path = tmp_path / "registry"
    with SchemaRegistry.init(path, layout=Layout.FAN_OUT) as registry:
        registry.save(trained())
        registry.save(trained(SIM))
    (path / trained().schema_hash[:2]).chmod(0o000)
    ended = run_as_nobody(_CLOSED_FOLDER, tmp_path)
    (path / trained().schema_hash[:2]).chmod(0o755)
    assert ended.returncode == 0, ended.stderr
