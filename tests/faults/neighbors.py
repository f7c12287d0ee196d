"""Everything that may lie in a shared directory beside good artifacts."""

from __future__ import annotations

import os
import random
import socket
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tests.examples import numbered
from zsm_store import Layout, SchemaRegistry
from zsm_store.codec import artifact_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from zsm_store import ModelArtifact

LARGEST = 64 << 20
FREE_FOLDERS = ("00", "ff")
"""First digits that no good artifact has."""


def _changed(old: bytes, new: bytes) -> Callable[[bytes, random.Random], bytes]:
    def damage(data: bytes, _: random.Random) -> bytes:
        assert old in data
        return data.replace(old, new, 1)

    return damage


def _truncated(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(1, len(data) - 2)]  # the last two end the object


def _bit_flipped(data: bytes, chance: random.Random) -> bytes:
    place, bit = chance.randrange(len(data) - 1), chance.randrange(8)
    return data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]


def _digest_of_another(data: bytes, _: random.Random) -> bytes:
    own, other = artifact_json.decode(data), numbered(0)
    return data.replace(
        artifact_json.digest(own).encode(), artifact_json.digest(other).encode()
    )


def _blended(data: bytes, _: random.Random) -> bytes:
    """Take half of the lines from another training of the same schema."""
    artifact = artifact_json.decode(data)
    other = replace(
        artifact,
        em_iterations=artifact.em_iterations + 1,
        params=replace(artifact.params, log_prior_odds=-3.0),
    )
    lines = data.splitlines(keepends=True)
    others = artifact_json.encode(other).splitlines(keepends=True)
    return b"".join(lines[:6] + others[6:])


def _conflicting(data: bytes, chance: random.Random) -> bytes:
    theirs = _blended(data, chance)
    return b"<<<<<<< ours\n" + data + b"=======\n" + theirs + b">>>>>>> theirs\n"


CONTENTS: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "empty": lambda *_: b"",
    "truncated": _truncated,
    "bit flipped": _bit_flipped,
    "another value": _changed(b": 25,", b": 26,"),
    "digest of another": _digest_of_another,
    "of another schema": lambda *_: artifact_json.encode(numbered(0)),
    "blended": _blended,
    "in conflict": _conflicting,
    "key twice": _changed(b'"tag": null,', b'"tag": null,\n  "tag": null,'),
    "not a number": _changed(b"-2.0", b"NaN"),
    "beyond all numbers": _changed(b"-2.0", b"-2e999"),
    "with a BOM": lambda data, _: b"\xef\xbb\xbf" + data,
    "in UTF-16": lambda data, _: data.decode().encode("utf-16"),
    "of the future": _changed(b"zsm-store/1", b"zsm-store/9"),
    "junk": lambda data, chance: chance.randbytes(len(data)),
    "zeros": lambda data, _: bytes(len(data)),
    "nested": lambda *_: b"[" * 100_000,
    "half a character": _changed(b'"tag": null', b'"tag": "\\ud800"'),
    "a list": lambda data, _: b"[" + data + b"]",
    "twice": lambda data, _: data + data,
}
"""Damage to what lies under a right name."""


@dataclass
class Neighborhood:
    """A registry, with what is good in it and what is not."""

    path: Path
    good: list[ModelArtifact] = field(default_factory=list)
    """By schema hash."""
    damaged: dict[str, ModelArtifact] = field(default_factory=dict)
    """Files that cannot be trusted, by path: what they would be, were they not."""
    odd: set[str] = field(default_factory=set)
    """Paths that look like an artifact and are none."""
    foreign: set[str] = field(default_factory=set)
    """Paths that are none of the registry's business."""


def settle(base: Path, layout: Layout, *, good: int, each: int) -> Neighborhood:
    """Make a registry in which everything there is lies side by side.

    Parameters
    ----------
    base
        An empty directory; the registry lies in it.
    layout
        Of the good ones.
    good, each
        How many good artifacts, and how many files of each kind of damage.
    """
    path = base / "registry"
    SchemaRegistry.init(path, layout=layout).close()
    town = Neighborhood(path)
    numbers = _numbers()
    for _ in range(good):
        artifact = next(numbers)
        _place(path, artifact.schema_hash, layout).write_bytes(
            artifact_json.encode(artifact)
        )
        town.good.append(artifact)
    town.good.sort(key=lambda one: one.schema_hash)
    chance = random.Random(20_261_125)  # noqa: S311  # the same damage every time
    for damage in CONTENTS.values():
        for _ in range(each):
            artifact = next(numbers)
            file = _place(path, artifact.schema_hash, layout)
            file.write_bytes(damage(artifact_json.encode(artifact), chance))
            town.damaged[str(file)] = artifact
    artifact = next(numbers)
    file = _place(path, artifact.schema_hash, layout)
    with file.open("wb") as sparse:
        sparse.truncate(LARGEST + 1)
    town.damaged[str(file)] = artifact
    _add_odd(town, base, layout, numbers)
    _add_foreign(town, base, numbers)
    return town


def _numbers() -> Iterator[ModelArtifact]:
    number = 0
    while True:
        number += 1
        artifact = numbered(number)
        if not artifact.schema_hash.startswith(FREE_FOLDERS):
            yield artifact


def _place(path: Path, schema_hash: str, layout: Layout) -> Path:
    folder = path / schema_hash[:2] if layout is Layout.FAN_OUT else path
    folder.mkdir(exist_ok=True)
    return folder / f"{schema_hash}.json"


def _add_odd(
    town: Neighborhood, base: Path, layout: Layout, numbers: Iterator[ModelArtifact]
) -> None:
    """Add what has an artifact's name, or nearly, and is no file of that artifact."""

    def place() -> Path:
        file = _place(town.path, next(numbers).schema_hash, layout)
        town.odd.add(str(file))
        return file

    whole = artifact_json.encode(next(numbers))
    linked = next(numbers)  # whole and under its name, but it lies elsewhere
    outside = base / "outside.json"
    outside.write_bytes(artifact_json.encode(linked))
    file = _place(town.path, linked.schema_hash, layout)
    file.symlink_to(outside)
    town.odd.add(str(file))
    place().symlink_to(_place(town.path, town.good[0].schema_hash, layout))
    place().symlink_to("nowhere")
    loop = place()
    loop.symlink_to(loop.name)
    os.mkfifo(place())
    place().mkdir()
    file = place()
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    with socket.socket(socket.AF_UNIX) as listener:
        # The path of a socket must be short.
        listener.bind(f"/proc/self/fd/{folder}/{file.name}")
    os.close(folder)
    key = next(numbers).schema_hash
    for name in (
        *("f" * 63 + ".json", "f" * 65 + ".json", f"{key}.JSON"),
        f"{next(numbers).schema_hash.upper()}.json",
    ):
        odd = town.path / name
        odd.write_bytes(whole)
        town.odd.add(str(odd))
    key = next(numbers).schema_hash
    elsewhere = town.path / ("a1" if key.startswith("a0") else "a0")
    elsewhere.mkdir(exist_ok=True)
    (elsewhere / f"{key}.json").write_bytes(whole)
    town.odd.add(str(elsewhere / f"{key}.json"))


def _add_foreign(
    town: Neighborhood, base: Path, numbers: Iterator[ModelArtifact]
) -> None:
    """Add what has nothing to do with the registry."""
    artifact = next(numbers)
    key, whole = artifact.schema_hash, artifact_json.encode(artifact)
    for name in (
        *(f"{key}.json.tmp", f"{key}.json~", f"{key}.json.orig", f"{key}.json.swp"),
        *(f".#{key}.json", f".{key}.json", f"{key} (1).json", f"{key}.json\n"),
        *(f"\x1b[2J{key}.json", f"{key}", f"{key}.zsm", "notes.json"),
        *(
            "README.md",
            ".DS_Store",
            "na\u00efve.json",
            "-rf",
            os.fsdecode(b"\xff\xfe.json"),
        ),
    ):
        _add(town, town.path / name, whole)
    for folder in (
        "data",
        ".git",
        "AB",
        "abc",
        key[:32],
        FREE_FOLDERS[0].upper() + "0",
    ):
        (town.path / folder).mkdir()
        _add(town, town.path / folder / f"{key}.json", whole)
    # Two that look like folders of the fan-out.
    _add(town, town.path / FREE_FOLDERS[0], b"a file")
    outside = base / "outside"
    outside.mkdir()
    (outside / f"{FREE_FOLDERS[1] * 32}.json").write_bytes(whole)
    (town.path / FREE_FOLDERS[1]).symlink_to(outside)
    town.foreign.add(str(town.path / FREE_FOLDERS[1]))
    staging = town.path / ".zsm" / "tmp"
    staging.mkdir(exist_ok=True)
    _add(town, staging / f"{key}.0123456789abcdef", whole[:100])


def _add(town: Neighborhood, path: Path, data: bytes) -> None:
    path.write_bytes(data)
    town.foreign.add(str(path))


def snapshot(base: Path) -> dict[str, tuple[object, ...]]:
    """Return everything that is below a directory, down to the last byte."""
    found: dict[str, tuple[object, ...]] = {}
    for folder, folders, files in os.walk(base):
        for name in (".", *folders, *files):
            path = os.path.join(folder, name)  # noqa: PTH118  # maybe not UTF-8
            status = os.lstat(path)
            content: object = None
            if os.path.islink(path):  # noqa: PTH114  # maybe not UTF-8
                content = os.readlink(path)  # noqa: PTH115  # maybe not UTF-8
            elif os.path.isfile(path) and status.st_size <= LARGEST:  # noqa: PTH113  # maybe not UTF-8
                with open(path, "rb") as file:  # noqa: PTH123  # maybe not UTF-8
                    content = file.read()
            times = (status.st_mtime_ns, status.st_ctime_ns)
            what = (status.st_mode, status.st_ino, status.st_size, status.st_nlink)
            found[path] = (*what, *times, content)
    return found
