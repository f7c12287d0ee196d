"""Readers beside writers of other processes: whole artifacts, and no old ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.examples import BRP_WITH_PHONE, fingerprint, numbered, trained
from tests.processes import run_together, running
from zsm_store import ColdStart, Layout, SchemaRegistry, WarmLoad

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.multiprocess
@pytest.mark.parametrize("layout", Layout)
def test_readers_never_meet_a_torn_or_foreign_artifact(
    tmp_path: Path, layout: Layout
) -> None:
    # Large, so that writing takes several pages, and checked by digest at every read.
    path = tmp_path / "registry"
    registry = SchemaRegistry.init(path, layout=layout)
    registry.save(trained(em_iterations=0))
    code = """
registry = SchemaRegistry.open(sys.argv[1])
key = trained().schema_hash
if sys.argv[2] == "write":
    for number in range(1, 151):
        notes = chr(97 + number % 26) * (number * 997 % 40_000)
        registry.save(trained(em_iterations=number, extra={"notes": notes}))
else:
    last, reads = 0, 0
    while last < 150:
        found = registry.get(key)
        assert found.em_iterations >= last, "an old version came back"
        last = found.em_iterations
        if last:
            notes = chr(97 + last % 26) * (last * 997 % 40_000)
            assert found.extra["notes"] == notes
        mode = registry.lookup_startup_mode(found.fingerprint)
        assert isinstance(mode, WarmLoad), mode
        reads += 1
    print(reads)
"""
    given: list[tuple[object, ...]] = [(path, "write"), (path, "read"), (path, "read")]
    ended = run_together(code, given, tmp_path / "start")
    assert [code for code, _, _ in ended] == [0, 0, 0], ended
    assert all(int(output) > 20 for _, output, _ in ended[1:])
    assert "skipped" not in "".join(errors for _, _, errors in ended)


@pytest.mark.multiprocess
def test_pack_and_list_see_one_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The writer saves the artifact that is listed first, then the one that is listed
    # last, one generation after the other. At any moment the first is of the same
    # generation or one ahead; whoever reads slowly sees the last one ahead.
    path = tmp_path / "registry"
    registry = SchemaRegistry.open(path)
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", lambda _: None)
        for number in range(102):
            registry.save(numbered(number))
    code = """
registry = SchemaRegistry.open(sys.argv[1])
listed = sorted((numbered(n) for n in range(102)), key=lambda one: one.schema_hash)
first, *_, last = (one.fingerprint for one in listed)
if sys.argv[2] == "write":
    for generation in range(26, 96):
        registry.save(trained(first, em_iterations=generation))
        registry.save(trained(last, em_iterations=generation))
else:
    bundle, looks, seen = sys.argv[1] + ".zsm", 0, 0
    while seen < 95:
        for listing in ("list", "pack"):
            if listing == "list":
                found = registry.list_all()
            else:
                registry.pack(bundle)
                with SchemaRegistry.open(bundle) as packed:
                    found = packed.list_all()
            assert len(found) == 102
            early, seen = found[0].em_iterations, found[-1].em_iterations
            assert early - seen in (0, 1), (early, seen)
            looks += 1
    print(looks)
"""
    given: list[tuple[object, ...]] = [(path, "write"), (path, "read")]
    ended = run_together(code, given, tmp_path / "start")
    assert [code for code, _, _ in ended] == [0, 0], ended
    # On a slow machine the writer is soon done, and the reader's last look is late.
    assert int(ended[1][1]) >= 2


WRITER = """
import sys
from tests.examples import BRP, SIM, trained
from zsm_store import SchemaRegistry
registry = SchemaRegistry.open(sys.argv[1])
for line in sys.stdin:
    action, number = line.split()
    if action == "save":
        registry.save(trained(em_iterations=int(number)))
    else:
        assert registry.delete(trained().schema_hash)
    print("acknowledged", flush=True)
"""


@pytest.mark.multiprocess
@pytest.mark.parametrize("layout", Layout)
def test_next_lookup_sees_what_another_process_did(
    tmp_path: Path, layout: Layout
) -> None:
    path = tmp_path / "registry"
    registry = SchemaRegistry.init(path, layout=layout)
    assert isinstance(registry.lookup_startup_mode(fingerprint()), ColdStart)
    with running(WRITER, path, stdin=True) as writer:
        assert writer.stdin is not None
        assert writer.stdout is not None
        for number in range(1, 31):
            action = "delete" if number % 3 == 0 else "save"
            writer.stdin.write(f"{action} {number}\n")
            writer.stdin.flush()
            assert writer.stdout.readline() == "acknowledged\n"
            mode = registry.lookup_startup_mode(fingerprint())
            if action == "delete":
                assert mode == ColdStart(wanted=fingerprint(), stored=0)
                assert len(registry) == 0
            else:
                assert isinstance(mode, WarmLoad)
                assert mode.artifact.em_iterations == number
                nearest = registry.get_nearest(fingerprint(BRP_WITH_PHONE))
                assert nearest is not None
                assert nearest.artifact.em_iterations == number
