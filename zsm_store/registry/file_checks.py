"""Check the files of a directory, one by one."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

from zsm_store.codec import artifact_json
from zsm_store.codec.strict_json import MAX_BYTES
from zsm_store.errors import ArtifactFormatError, StorageError
from zsm_store.registry.checks import artifact_problems
from zsm_store.registry.moment import Seen, snapshot
from zsm_store.registry.problem import Problem, Severity
from zsm_store.registry.store import EXHAUSTED
from zsm_store.storage.listing import FAN_DIGITS, oddities

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from zsm_store.registry.store import ArtifactStore
    from zsm_store.storage.directory import ArtifactDirectory
    from zsm_store.storage.listing import FileVersion


def directory_problems(
    directory: ArtifactDirectory, store: ArtifactStore
) -> Iterator[Problem]:
    """Check every artifact file of one moment, and what only looks like one.

    Parameters
    ----------
    directory
        The files.
    store
        Tells what is there at one moment.
    """
    before = list(oddities(directory.path))
    found = snapshot(store, partial(_checked, directory))
    # Half of what a writer does can look odd: what is odd for a moment only, is not.
    after = set(oddities(directory.path)) if before else set()
    for odd in before:
        if odd in after:
            path, code, message = odd
            yield Problem(path=path, code=code, message=message)
    for problems in found.values():
        yield from problems


def _checked(
    directory: ArtifactDirectory, schema_hash: str, version: Hashable
) -> Seen[tuple[Problem, ...]] | None:
    *_, in_folder = cast("FileVersion", version)
    folder = directory.path / schema_hash[:FAN_DIGITS] if in_folder else directory.path
    path = f"{folder}/{schema_hash}.json"
    try:
        found = directory.read_changed(schema_hash, None, limit=MAX_BYTES, listed=True)
    except StorageError as error:
        if error.errno in EXHAUSTED:
            raise
        message = f"unreadable: {error.strerror}"
        problem = Problem(path=path, code="ZSM004", message=message)
        return Seen((problem,), is_exact=False)
    if found is None:  # deleted, most probably
        return Seen((), is_exact=False)
    if found[0] != version or found[1] is None:
        return None
    problems = tuple(content_problems(found[1], schema_hash, path))
    # Whoever writes in place, like git, shows half a file for a moment.
    is_exact = all(problem.severity is not Severity.ERROR for problem in problems)
    return Seen(problems, is_exact)


def content_problems(data: bytes, schema_hash: str, path: str) -> Iterator[Problem]:
    """Check the bytes of one artifact file.

    Parameters
    ----------
    data
        The bytes, wherever they come from.
    schema_hash
        The hash that the file is named by.
    path
        The file, for the report.
    """
    try:
        artifact = artifact_json.decode(data, schema_hash)
    except ArtifactFormatError as error:
        yield Problem(
            path=path,
            line=error.line,
            column=error.column,
            code=error.code,
            message=str(error.args[1]),
        )
    else:
        if b"\r" in data:
            yield Problem(
                path=path,
                line=data.count(b"\n", 0, data.index(b"\r")) + 1,
                code="ZSM040",
                message="CR line ends: git rewrites this file",
                severity=Severity.WARNING,
            )
        yield from artifact_problems(artifact, path, data)
