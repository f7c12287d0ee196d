"""What is wrong with what writers were told they stored, and with what readers saw."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from tests.multiprocess.writers_players import Save, initial

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tests.multiprocess.writers_players import Look, Version


class Kind(StrEnum):
    """What is wrong."""

    LOST = "lost"
    """A save that was acknowledged is not there."""
    FOREIGN = "foreign"
    """Somebody saw what nobody saved."""
    LATE = "late"
    """An answer is of a moment too long ago."""
    MIXED = "mixed"
    """An answer is of no moment at all."""
    BACKWARDS = "backwards"
    """A reader saw something older than what it had seen before."""
    FAILED = "failed"
    """A process did, or the registry does not pass `verify`."""


class Fault(NamedTuple):
    """One thing that is wrong."""

    kind: Kind
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """When a version can have been the one that is stored."""

    begin: float
    end: float
    """When at the latest another one, which is known, took its place."""


class Judge:
    """Knows everything that was written.

    Parameters
    ----------
    saves
        Of all writers.
    late_s
        How long a save may stay unseen after its end: on a network drive, a host goes
        on for a while to believe what it was told.
    """

    def __init__(self, saves: Iterable[Save], *, late_s: float = 0.0) -> None:
        self._late_ns = late_s * 1e9
        self._saves: defaultdict[str, list[Save]] = defaultdict(list)
        for version in initial():
            self._saves[version.name].append(Save(version, 0, 0))
        for save in saves:
            self._saves[save.version.name].append(save)
        self._stays = {name: _stays(saves) for name, saves in self._saves.items()}
        self.longest_late_s = 0.0
        """How late a reader was at most."""

    def lost(self, stored: Iterable[Version]) -> Iterator[Fault]:
        """Say what is missing in the end, or there without having been saved.

        Parameters
        ----------
        stored
            What the registry holds when all is over.
        """
        found = {version.name: version for version in stored}
        for name in found.keys() - self._saves.keys():
            yield Fault(Kind.FOREIGN, f"nobody saved {found[name]}")
        for name, saves in self._saves.items():
            done = [save.version for save in saves if save.end is not None]
            acknowledged = [version.number for version in done]
            last = found.get(name)
            if last is None:
                if acknowledged:
                    yield Fault(Kind.LOST, f"{name} is gone")
                continue
            if last not in [save.version for save in saves]:
                yield Fault(Kind.FOREIGN, f"nobody saved {last}")
            if len(set(acknowledged)) < len(acknowledged):
                twice = {one for one in acknowledged if acknowledged.count(one) > 1}
                yield Fault(
                    Kind.LOST, f"two saved the same number of {name}: {sorted(twice)}"
                )
            if acknowledged and last.number < max(acknowledged):
                yield Fault(
                    Kind.LOST, f"{name} is {last.number}, but was {max(acknowledged)}"
                )
            missing = set(range(1, last.number + 1)) - {
                save.version.number for save in saves
            }
            if missing:
                yield Fault(
                    Kind.FOREIGN, f"{name} went up without a save: {sorted(missing)}"
                )

    def faults(self, looks: Iterable[Look]) -> Iterator[Fault]:
        """Say which answers of one reader are wrong, in the order they were given."""
        newest: dict[str, int] = {}
        for look in looks:
            yield from self._faults(look)
            yield from _backwards(look, newest)

    def _faults(self, look: Look) -> Iterator[Fault]:
        found = {version.name: version for version in look.found}
        asked = self._saves.keys() if look.asked is None else look.asked
        begin, end, oldest, newest = 0.0, math.inf, "", ""
        for name in found.keys() - set(asked):
            yield Fault(
                Kind.FOREIGN,
                f"{look.question}: nobody saved, or asked for, {found[name]}",
            )
        for name in asked:
            stay = self._stays[name].get(found.get(name))
            if stay is None:
                yield Fault(
                    Kind.FOREIGN,
                    f"{look.question}: nobody saved {found.get(name) or f'no {name}'}",
                )
                continue
            if stay.begin > begin:
                begin, newest = stay.begin, str(found[name])
            if stay.end < end:
                end, oldest = stay.end, str(found.get(name) or f"no {name}")
        late_ns = look.begin - end
        self.longest_late_s = max(self.longest_late_s, late_ns / 1e9)
        if late_ns > self._late_ns:
            yield Fault(
                Kind.LATE,
                f"{look.question}: {oldest} is {late_ns / 1e9:.3f} s out of date",
            )
        if begin > look.end:
            yield Fault(Kind.FOREIGN, f"{look.question}: {newest} was not saved yet")
        if begin > end:
            yield Fault(
                Kind.MIXED,
                f"{look.question}: {newest} and {oldest} were never there together",
            )


def _stays(saves: list[Save]) -> Mapping[Version | None, Stay]:
    """Return when each version can have been stored; None: no version."""
    ends = [(save.version.number, save.end) for save in saves if save.end is not None]

    def end_of(number: int) -> float:
        return min((end for later, end in ends if later > number), default=math.inf)

    stays: dict[Version | None, Stay] = {
        save.version: Stay(begin=save.begin, end=end_of(save.version.number))
        for save in saves
    }
    if all(save.version.number for save in saves):
        stays[None] = Stay(begin=0, end=end_of(0))
    return stays


def _backwards(look: Look, newest: dict[str, int]) -> Iterator[Fault]:
    for version in look.found:
        before = newest.get(version.name, 0)
        if version.number < before:
            yield Fault(
                Kind.BACKWARDS, f"{look.question}: {version} after number {before}"
            )
        newest[version.name] = max(version.number, before)
    gone = newest.keys() if look.asked is None else newest.keys() & set(look.asked)
    for name in gone - {version.name for version in look.found}:
        yield Fault(Kind.BACKWARDS, f"{look.question}: no {name}, which was there")
