"""One operation, one fault: what it did, and what it must not have done."""

from __future__ import annotations

import errno
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.faults.operations import (
    BESIDE,
    LATER,
    NEVER_SEEN,
    OLD,
    OPERATIONS,
    OTHER,
    artifacts,
    state_of,
)
from tests.faults.power import Power
from tests.faults.system_calls import Fault, failing, without_frames
from zsm_store import (
    ArtifactNotFoundError,
    SchemaRegistry,
    StorageError,
    WarmLoad,
    ZsmError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest

    from tests.faults.operations import State
    from tests.faults.system_calls import SystemCalls
    from zsm_store import Layout

OF_ONE_FILE = frozenset({errno.EIO, errno.EACCES})
"""What may be wrong with one file alone: then it is named, and the others go on."""

_NOT_REACHED = 10**9


@dataclass(kw_only=True)
class _Outcome:
    """What is to be judged."""

    fault: Fault
    calls: SystemCalls
    result: object
    error: BaseException | None
    state: State


class Trials:
    """Repeats one operation from the same start, each time with another fault.

    Parameters
    ----------
    monkeypatch
        To let calls fail.
    base
        An empty directory.
    name, layout
        As of `cases`.
    """

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, base: Path, name: str, layout: Layout
    ) -> None:
        self._monkeypatch = monkeypatch
        self._operation = OPERATIONS[name]
        self._layout = layout
        self._start = base / "start"
        self._place = base / "place"
        self._start.mkdir()
        # Syncing takes time and proves nothing where no power is cut.
        with failing(monkeypatch, base, None):
            self._operation.prepare(self._start, layout)
        self._before = state_of(self._start)
        self._names = _names(self._start)
        self._after: State | None = None
        self._fired = False
        complaints = list(self._run(Fault(number=None, nth=_NOT_REACHED)))
        assert complaints == []

    def complaints(self, number: int | None, **how: bool) -> list[str]:
        """Let each call fail in turn that an error is meant for, until none is left."""
        found: list[str] = []
        nth = 0
        self._fired = True
        while self._fired:
            nth += 1
            found += self._run(Fault(number=number, nth=nth, **how))
        assert nth > 1, "no call was seen"
        return found

    def _run(self, fault: Fault) -> Iterator[str]:
        """Act once, and yield what is wrong afterwards."""
        shutil.rmtree(self._place, ignore_errors=True)
        shutil.copytree(self._start, self._place)
        path = self._place / "registry"
        with (
            SchemaRegistry.open(path, watch=False) as writer,
            SchemaRegistry.open(path, watch=False) as reader,
        ):
            for one in (writer, reader):
                one.lookup_startup_mode(NEVER_SEEN.fingerprint)
            calls, result, error = self._act(fault, writer)
            self._fired = bool(calls.fired)
            at = [(call, self._short(where)) for call, where in calls.fired[:3]]
            what = f"{fault} at {at}: {error!r}"
            try:
                state = state_of(self._place)
            except (ZsmError, AssertionError, ValueError) as damage:
                yield f"damaged: {damage!r}; {what}"
                return
            outcome = _Outcome(
                fault=fault, calls=calls, result=result, error=error, state=state
            )
            for complaint in (
                *self._about_the_end(outcome),
                *self._about_the_disk(outcome),
                *_about_answers(outcome, writer, reader),
                *_about_what_follows(outcome, writer),
            ):
                yield f"{complaint}; {what}"
            del error, outcome
        yield from (f"{where} is open; {what}" for where in calls.leaked())

    def _act(
        self, fault: Fault, writer: SchemaRegistry
    ) -> tuple[SystemCalls, object, BaseException | None]:
        power = Power()
        for name in self._operation.unsynced:
            power.note_name(str(self._place / name))
        with failing(self._monkeypatch, self._place, fault, power) as calls:
            try:
                result = self._operation.act(writer, self._place, self._layout)
            except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  # whatever it is, it is judged
                return calls, None, without_frames(error)
        return calls, result, None

    def _about_the_end(self, outcome: _Outcome) -> Iterator[str]:
        error, number = outcome.error, outcome.fault.number
        if error is None:
            at_risk = map(self._short, outcome.calls.power.at_risk())
            lost = [name for name in at_risk if not self._operation.may_come_back(name)]
            if lost and not self._is_excused(outcome):
                yield f"reported as done, and a power cut may take {lost}"
        elif not outcome.calls.fired:
            yield "failed without a fault"
        elif number is not None:
            yield from self._about_the_error(error, number)
        elif not isinstance(error, KeyboardInterrupt):
            yield "swallowed an interrupt"

    def _about_the_error(self, error: BaseException, number: int) -> Iterator[str]:
        if self._operation.may_miss and isinstance(error, ArtifactNotFoundError):
            if number not in OF_ONE_FILE:
                yield "blamed a file for it"
        elif not isinstance(error, StorageError):
            yield "no StorageError"
        elif error.errno != number:
            yield f"error number {error.errno}"
        elif "\n" in str(error) or str(self._place.parent) not in str(error):
            yield f"unclear: {error}"

    def _is_excused(self, outcome: _Outcome) -> bool:
        """Whether nobody can do better: a directory of others may be closed to us."""
        return bool(self._operation.unsynced) and outcome.fault.number == errno.EACCES

    def _about_the_disk(self, outcome: _Outcome) -> Iterator[str]:
        state, names = outcome.state, _names(self._place)
        if self._after is None:  # what it does without a fault is what it is to do
            self._after = state
            self._names |= names
        left = sorted(names - self._names)
        may_leave = outcome.fault.is_lasting or "unlink" in dict(outcome.calls.fired)
        if left and not may_leave:
            yield f"left behind {left}"
        if getattr(outcome.result, "skipped", ()):
            if outcome.fault.number not in OF_ONE_FILE:
                yield "blamed a file for it"
            return
        if outcome.error is None and state != self._after:
            yield "reported as done, and was not"
        for key in {*state, *self._before, *self._after}:
            found = state.get(key)
            if found not in (self._before.get(key), self._after.get(key)):
                yield f"{key} is neither old nor new"

    def _short(self, path: str) -> str:
        return path.removeprefix(f"{self._place}/")


def _about_answers(outcome: _Outcome, *registries: SchemaRegistry) -> Iterator[str]:
    """Compare what those serve that have looked at the registry before."""
    stored = artifacts(outcome.state)
    for who, one in zip(("writer", "reader"), registries, strict=True):
        for wanted in (OLD, OTHER, BESIDE):
            mode = one.lookup_startup_mode(wanted.fingerprint)
            served = mode.artifact if isinstance(mode, WarmLoad) else None
            found = stored.get(wanted.schema_hash)
            # What nobody was told of may show later; but nothing else may show.
            if served not in (found, None if outcome.error else found):
                yield f"the {who} serves something else than is stored"
        if one.list_all() != [stored[key] for key in sorted(stored)]:
            yield f"the {who} lists something else than is stored"


def _about_what_follows(outcome: _Outcome, writer: SchemaRegistry) -> Iterator[str]:
    """Whether everybody can go on at once."""
    with SchemaRegistry.open(writer.location, lock_timeout_s=0, watch=False) as other:
        try:
            other.save(LATER)
        except ZsmError as error:
            yield f"others cannot write afterwards: {error!r}"
            return
        writer.save(NEVER_SEEN)
        expected = {
            **artifacts(outcome.state),
            LATER.schema_hash: LATER,
            NEVER_SEEN.schema_hash: NEVER_SEEN,
        }
        for one in (other, writer):
            if one.list_all() != [expected[key] for key in sorted(expected)]:
                yield "the next saves did not do what they should"


def _names(place: Path) -> set[str]:
    """Return what lies below a place, as paths from there, but for earlier versions.

    One more of those does no harm; `state_of` looks at what they are.
    """
    return {
        name
        for folder, folders, files in os.walk(place)
        for name in (f"{folder}/{one}"[len(f"{place}/") :] for one in folders + files)
        if not name.startswith("registry/history")
    }
