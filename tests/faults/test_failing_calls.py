"""Whatever call fails: one clear error, and nothing is lost, torn or left behind."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from tests.faults.operations import BUNDLE, NEW, OLD, OPERATIONS, OTHER, cases
from tests.faults.system_calls import MEANT
from tests.faults.trial import Trials
from zsm_store import Layout, SchemaRegistry

if TYPE_CHECKING:
    from pathlib import Path

    from _pytest.mark import ParameterSet

VARIABLE = "ZSM_TEST_FAULTS"
needs_time = pytest.mark.skipif(
    os.environ.get(VARIABLE) != "all",
    reason=f"takes minutes: {VARIABLE}=all pytest tests/faults",
)
_LATE = {errno.EIO, None}
_LASTING = {errno.ENOSPC, errno.EROFS, errno.EIO}
FLAT, FAN_OUT = Layout.FLAT, Layout.FAN_OUT


def _each(*chosen: tuple[str, Layout]) -> list[ParameterSet]:
    return [
        pytest.param(name, layout, id=f"{name}, {layout}") for name, layout in chosen
    ]


def _named(number: int | None) -> str:
    return "Ctrl-C" if number is None else errno.errorcode[number]


@pytest.mark.parametrize(("name", "layout"), _each(*cases()))
def test_an_error_costs_the_operation_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, layout: Layout
) -> None:
    trials = Trials(monkeypatch, tmp_path, name, layout)
    assert trials.complaints(errno.EIO) == []


@pytest.mark.parametrize("number", MEANT.keys() - {errno.EIO}, ids=_named)
def test_every_error_number_is_as_harmless(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    trials = Trials(monkeypatch, tmp_path, "first save after init", FAN_OUT)
    assert trials.complaints(number) == []


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENOMEM], ids=_named)
def test_no_file_is_blamed_for_what_the_process_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    trials = Trials(monkeypatch, tmp_path, "pack", FLAT)
    assert trials.complaints(number) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS], ids=_named)
@pytest.mark.parametrize(
    ("name", "layout"), _each(("replacing save", FLAT), ("pack", FLAT))
)
def test_an_error_that_stays_is_as_harmless(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    layout: Layout,
    number: int,
) -> None:
    trials = Trials(monkeypatch, tmp_path, name, layout)
    assert trials.complaints(number, is_lasting=True) == []


@pytest.mark.parametrize(
    ("name", "layout"), _each(("replacing save", FLAT), ("delete", FAN_OUT))
)
def test_an_error_after_the_deed_is_as_harmless(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, layout: Layout
) -> None:
    # A network drive that did what it was told, and whose answer was lost.
    trials = Trials(monkeypatch, tmp_path, name, layout)
    assert trials.complaints(errno.EIO, is_late=True) == []


@pytest.mark.parametrize(
    ("name", "layout"),
    _each(
        ("first save of all", FLAT),
        ("save with if_match", FAN_OUT),
        ("delete of two copies", FLAT),
        ("pack over a bundle", FLAT),
    ),
)
def test_ctrl_c_is_as_harmless(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, layout: Layout
) -> None:
    trials = Trials(monkeypatch, tmp_path, name, layout)
    assert trials.complaints(None) == []


@needs_time
@pytest.mark.timeout(600)
@pytest.mark.parametrize("number", [*MEANT, None], ids=_named)
@pytest.mark.parametrize(("name", "layout"), _each(*cases()))
def test_every_fault_at_every_call_of_every_operation(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    layout: Layout,
    number: int | None,
) -> None:
    if number == errno.ENOLCK and name.startswith("pack"):
        pytest.skip("takes no lock")
    trials = Trials(monkeypatch, tmp_path, name, layout)
    found = trials.complaints(number)
    if number in _LATE:
        found += trials.complaints(number, is_late=True)
    if number in _LASTING:
        found += trials.complaints(number, is_lasting=True)
    assert found == []


@pytest.mark.parametrize("name", ["replacing save", "pack"])
def test_a_write_that_takes_only_a_part_is_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    operation = OPERATIONS[name]
    operation.prepare(tmp_path, FLAT)
    whole_write = os.write
    with SchemaRegistry.open(tmp_path / "registry") as registry:
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", lambda fd, data: whole_write(fd, data[:7]))
            operation.act(registry, tmp_path, FLAT)
        expected = [OTHER, NEW if name == "replacing save" else OLD]
        expected.sort(key=lambda one: one.schema_hash)
        assert registry.list_all() == expected
        assert registry.verify() == []
    if name == "pack":
        with SchemaRegistry.open(tmp_path / BUNDLE) as packed:
            assert packed.list_all() == expected
            assert packed.verify() == []
