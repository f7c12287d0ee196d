"""Four writers and two readers, each a process of its own, at one registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tests.multiprocess.freshness_judge import Count, Membership, Neighbors
from tests.multiprocess.freshness_players import Log, Watching, load
from tests.multiprocess.freshness_scene import WRITERS, Step, artifact, fillers, owned
from tests.processes import run_together
from zsm_store import Layout, SchemaRegistry
from zsm_store.codec import artifact_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.multiprocess.freshness_judge import Answer, Operation

CONSTANT = [Step(key, 2) for key in fillers()]
"""What is stored all the time."""
_MOVING = [key for writer in range(WRITERS) for key in owned(writer)]

_PLAY = """
from tests.multiprocess.freshness_players import play
play(*sys.argv[1:-1])
"""


class Run(NamedTuple):
    """What four writers and two readers did and were told."""

    writers: list[Log]
    readers: list[Log]

    @property
    def operations(self) -> list[Operation]:
        return [one for log in self.writers for one in log.operations]

    @property
    def answers(self) -> list[Answer]:
        return [one for log in (*self.writers, *self.readers) for one in log.answers]

    @property
    def refused(self) -> list[str]:
        return [one for log in (*self.writers, *self.readers) for one in log.refused]


def make_registry(path: Path, layout: Layout) -> None:
    """Store what never changes, and leave a cache of what is not there any more."""
    SchemaRegistry.init(path, layout=layout).close()
    gone = [write_file(path, layout, Step(key, 1)) for key in _MOVING]
    for step in CONSTANT:
        write_file(path, layout, step)
    with SchemaRegistry.open(path, watch=False) as registry:
        assert len(registry) == len(CONSTANT) + len(gone)
    for file in gone:
        file.unlink()


def write_file(path: Path, layout: Layout, step: Step) -> Path:
    stored = artifact(*step)
    name = f"{stored.schema_hash}.json"
    folder = path / name[:2] if layout is Layout.FAN_OUT else path
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(artifact_json.encode(stored))
    return folder / name


def play(
    path: Path,
    logs: Path,
    watching: Watching,
    seconds: float,
    *,
    before: str = "",
    readers_path: Path | None = None,
) -> Run:
    """Let four writers and two readers, one of them two threads, at a new registry.

    Parameters
    ----------
    path
        Of a registry that was just made.
    logs
        A directory for what the processes leave behind.
    watching
        Of the readers.
    seconds
        How long they do it.
    before
        Code that each process begins with.
    readers_path
        Where readers find the registry, if not where writers do.
    """
    roles = [
        *(("write", number) for number in range(WRITERS)),
        ("read", 1),
        ("read", 2),
    ]
    given: list[tuple[object, ...]] = [
        (
            role,
            path if role == "write" else readers_path or path,
            logs / f"{role} {number}",
            number,
            watching,
            seconds,
        )
        for role, number in roles
    ]
    ended = run_together(before + _PLAY, given, logs / "start")
    assert [code for code, _, _ in ended] == [0] * len(given), ended
    found = [load(logs / f"{role} {number}") for role, number in roles]
    return Run(found[:WRITERS], found[WRITERS:])


def outcomes(answers: list[Answer]) -> Iterator[str]:
    for answer in answers:
        if isinstance(answer, Neighbors):
            yield answer.mode or "nearest"
        elif isinstance(answer, Membership):
            yield "stored" if answer.stored else "not stored"
        else:
            assert isinstance(answer, Count)
            yield "counted"
