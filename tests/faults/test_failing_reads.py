"""A read that fails is an error, or an answer that names what it goes without."""

from __future__ import annotations

import errno
import logging
from typing import TYPE_CHECKING

import pytest

from tests.examples import BRP_WITHOUT_TWO, fingerprint
from tests.faults.operations import BUNDLE, OLD, OPERATIONS, OTHER
from tests.faults.system_calls import Fault, failing, without_frames
from tests.faults.trial import OF_ONE_FILE
from zsm_store import ArtifactNotFoundError, Layout, SchemaRegistry, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.faults.system_calls import SystemCalls

NEAR = fingerprint(BRP_WITHOUT_TWO)
"""Of no artifact; both are at some distance."""

READS: dict[str, Callable[[SchemaRegistry], object]] = {
    "get": lambda registry: registry.get(OLD.schema_hash),
    "get by prefix": lambda registry: registry.get(OLD.schema_hash[:8]),
    "get_exact": lambda registry: registry.get_exact(OTHER.fingerprint),
    "digest": lambda registry: registry.digest(OLD.schema_hash),
    "lookup": lambda registry: registry.lookup_startup_mode(OLD.fingerprint),
    "explained lookup": lambda registry: registry.lookup_startup_mode(
        NEAR, explain=True
    ),
    "lookup_many": lambda registry: registry.lookup_many([NEAR, OTHER.fingerprint]),
    "nearest": lambda registry: registry.nearest(NEAR, 5),
    "list_all": lambda registry: registry.list_all(),
    "iteration": list,
    "len": len,
    "in": lambda registry: OTHER in registry,
    "verify": lambda registry: registry.verify(),
}
NUMBERS = [errno.EIO, errno.EACCES, errno.EMFILE, errno.ENOMEM, errno.ESTALE]


def _names(number: int) -> str:
    return errno.errorcode[number]


@pytest.mark.parametrize("number", NUMBERS, ids=_names)
@pytest.mark.parametrize("read", READS)
def test_a_read_that_fails_never_gives_a_wrong_answer(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    read: str,
    number: int,
) -> None:
    OPERATIONS["replacing save"].prepare(tmp_path, Layout.FAN_OUT)
    path, ask = tmp_path / "registry", READS[read]
    with SchemaRegistry.open(path) as registry:
        right = ask(registry)
    caplog.set_level(logging.WARNING)
    for nth in range(1, 200):
        caplog.clear()
        fault = Fault(number=number, nth=nth)
        with SchemaRegistry.open(path, watch=False) as registry:
            with failing(monkeypatch, path, fault) as calls:
                answer = _asked(lambda: ask(registry))
            if isinstance(answer, StorageError):
                assert answer.errno == number
                assert str(path) in str(answer)
            elif answer != right:
                _check_what_is_missing(calls, number, answer, caplog.text)
            assert calls.leaked() == [], calls.fired
            assert ask(registry) == right, f"still wrong after {calls.fired}"
        if not calls.fired:
            break
    assert nth > 2, "hardly a call was seen"


def _asked(ask: Callable[[], object]) -> object:
    """Return an answer, or the error that takes its place."""
    try:
        return ask()
    except StorageError as error:
        return without_frames(error)


def _keys(bundle: Path) -> list[str]:
    with SchemaRegistry.open(bundle) as packed:
        return [one.schema_hash for one in packed]


def _check_what_is_missing(
    calls: SystemCalls, number: int, answer: object, log: str
) -> None:
    """Whether a wrong answer is one file's fault, and whether that is said."""
    [(_, path)] = calls.fired
    assert number in OF_ONE_FILE, f"wrong after {calls.fired}: {answer}"
    assert path.endswith(".json"), f"wrong after {calls.fired}: {answer}"
    assert path in f"{log} {answer}", f"not told of {calls.fired}: {answer}"


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOMEM], ids=_names)
def test_a_bundle_that_cannot_be_read_is_an_error(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    number: int,
) -> None:
    OPERATIONS["pack over a bundle"].prepare(tmp_path, Layout.FLAT)
    for nth in range(1, 200):
        with failing(monkeypatch, tmp_path, Fault(number=number, nth=nth)) as calls:
            found = _asked(lambda: _keys(tmp_path / BUNDLE))
        if isinstance(found, StorageError):
            assert found.errno == number
            assert BUNDLE in str(found)
        elif found != [OTHER.schema_hash, OLD.schema_hash]:
            assert number in OF_ONE_FILE
            assert "skipped: " in caplog.text
            assert BUNDLE in caplog.text
        assert calls.leaked() == [], calls.fired
        if not calls.fired:
            break
    assert nth > 2, "hardly a call was seen"


def test_what_is_not_there_is_not_confused_with_what_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    OPERATIONS["replacing save"].prepare(tmp_path, Layout.FLAT)
    path = tmp_path / "registry"
    with SchemaRegistry.open(path, watch=False) as registry:
        with pytest.raises(ArtifactNotFoundError):
            registry.get("0" * 64)
        fault = Fault(number=errno.EIO, nth=1, is_lasting=True)
        with failing(monkeypatch, path, fault), pytest.raises(StorageError):
            registry.get("0" * 64)
