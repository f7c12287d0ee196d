"""Many writers and two readers at one registry, on one host or on two."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from tests.multiprocess.writers_judge import Fault, Judge, Kind
from tests.multiprocess.writers_players import (
    Log,
    Player,
    artifact,
    initial,
    version_of,
)
from tests.processes import run_together
from zsm_store import Layout, SchemaRegistry

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_PLAY = """
from tests.multiprocess.writers_players import Player
Player.named(*sys.argv[1:-1]).play()
"""


class Host(NamedTuple):
    """Where processes run."""

    path: Path
    """The registry, as they see it."""
    name: str = ""
    """They pass for those of this other host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """How many processes of each role there are, who take turns on the hosts."""

    savers: int = 0
    counters: int = 0
    pairs: int = 0
    readers: int = 2
    times: int
    """Saves of each writer, if there is time."""
    seconds: float = 25.0
    """Time within which they begin something."""


@dataclass(slots=True)
class Outcome:
    """What came of it."""

    faults: list[Fault] = field(default_factory=list)
    logs: list[Log] = field(default_factory=list)
    longest_late_s: float = 0.0
    took_s: float = 0.0

    @property
    def refusals(self) -> Counter[str]:
        """What was raised, and how often."""
        return Counter(
            f"{one.call}: {one.error}" for log in self.logs for one in log.refusals
        )

    @property
    def acknowledged(self) -> int:
        """How many saves were."""
        saves = [save for log in self.logs for save in log.saves]
        return sum(save.end is not None for save in saves)

    @property
    def conflicts(self) -> int:
        """How many saves somebody else was faster than."""
        return sum(len(log.conflicts) for log in self.logs)

    @property
    def looks(self) -> int:
        """How many answers were given."""
        return sum(len(log.looks) for log in self.logs)

    @property
    def longest_wait_s(self) -> float:
        """How long the slowest save took."""
        ends = [
            (save.end - save.begin) / 1e9
            for log in self.logs
            for save in log.saves
            if save.end is not None
        ]
        return max(ends, default=0.0)

    def __str__(self) -> str:
        kinds = Counter(fault.kind.value for fault in self.faults)
        shown = "".join(f"\n{fault.kind}: {fault.text}" for fault in self.faults[:10])
        return (
            f"{dict(kinds) or 'no'} faults; "
            f"{self.acknowledged} saves in {self.took_s:.1f} s, "
            f"{self.conflicts} conflicts, longest {self.longest_wait_s:.1f} s; "
            f"{self.looks} answers, late by {self.longest_late_s:.3f} s; "
            f"raised: {dict(self.refusals)}{shown}"
        )


def make_registry(path: Path, layout: Layout, *, keep: int = 0) -> None:
    """Store what is there from the beginning."""
    with SchemaRegistry.init(path, layout=layout, keep=keep) as registry:
        report = registry.save_many(map(artifact, initial()))
        assert not report.failed


def play(
    hosts: Sequence[Host],
    logs: Path,
    cast: Cast,
    *,
    late_s: float = 0.0,
) -> Outcome:
    """Let them play, and judge them.

    Parameters
    ----------
    hosts
        With a registry that was made a moment ago.
    logs
        A new directory, for what the processes leave behind.
    cast
        Who plays.
    late_s
        See `Judge`.
    """
    done = logs / "done"
    done.mkdir(parents=True)
    roles = (
        *(["save"] * cast.savers),
        *(["count"] * cast.counters),
        *(["pair"] * cast.pairs),
        *(["read"] * cast.readers),
    )
    players = []
    for number, role in enumerate(roles):
        host, name = hosts[number % len(hosts)], f"{role}-{number}"
        players.append(
            Player(
                role=role,
                name=name,
                path=str(host.path),
                log=str(logs / name),
                seconds=cast.seconds,
                times=cast.times,
                done=str(done),
                writers=len(roles) - cast.readers,
                host=host.name,
            )
        )
    began = time.monotonic()
    given: list[tuple[object, ...]] = [player.arguments() for player in players]
    ended = run_together(_PLAY, given, logs / "start")
    outcome = Outcome(took_s=time.monotonic() - began)
    outcome.logs = [Log.load(logs / player.name) for player in players]
    for player, (code, _, errors) in zip(players, ended, strict=True):
        if code:
            text = f"{player.name} ended with {code}: {errors}"
            outcome.faults.append(Fault(Kind.FAILED, text))
    judge(outcome, hosts[0].path, late_s=late_s)
    return outcome


def judge(outcome: Outcome, path: Path, *, late_s: float) -> None:
    """Find out what is wrong."""
    judge = Judge([save for log in outcome.logs for save in log.saves], late_s=late_s)
    deadline = time.monotonic() + late_s
    while True:  # until all of it shows
        with SchemaRegistry.open(path, cache=False, watch=False) as registry:
            missing = [*judge.lost(map(version_of, registry.list_all()))]
            if not missing or time.monotonic() > deadline:
                problems = registry.verify()
                break
        time.sleep(0.2)
    outcome.faults += missing
    outcome.faults += [Fault(Kind.FAILED, str(one)) for one in problems]
    for log in outcome.logs:
        outcome.faults += judge.faults(log.looks)
    outcome.longest_late_s = judge.longest_late_s
