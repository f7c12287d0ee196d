"""Check the files of a directory, one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zsm_store.codec import artifact_json
from zsm_store.codec.strict_json import MAX_BYTES
from zsm_store.errors import ArtifactFormatError, StorageError
from zsm_store.registry.checks import artifact_problems
from zsm_store.registry.problem import Problem, Severity
from zsm_store.storage.listing import oddities

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zsm_store.storage.directory import ArtifactDirectory


def directory_problems(directory: ArtifactDirectory) -> Iterator[Problem]:
    """Check every artifact file, and what only looks like one."""
    for path, code, message in oddities(directory.path):
        yield Problem(path=path, code=code, message=message)
    for schema_hash in sorted(directory.entries()):
        path = str(directory.locate(schema_hash))
        yield from _verify_file(directory, schema_hash, path)


def _verify_file(
    directory: ArtifactDirectory, schema_hash: str, path: str
) -> Iterator[Problem]:
    try:
        data = directory.read(schema_hash, limit=MAX_BYTES, listed=True)
        if data is None:
            return
        artifact = artifact_json.decode(data, schema_hash)
    except StorageError as error:
        yield Problem(path=path, code="ZSM004", message=f"unreadable: {error.strerror}")
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
