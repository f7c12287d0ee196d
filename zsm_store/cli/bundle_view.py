"""What is in a bundle, entry by entry, also where some of it cannot be served."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zsm_store.cli.artifact_list import (
    ARTIFACT_COLUMNS,
    artifact_json_row,
    artifact_row,
    short_hashes,
)
from zsm_store.cli.printable import counted
from zsm_store.cli.table import Column, table_lines
from zsm_store.codec import artifact_json
from zsm_store.codec.bundle import Bundle
from zsm_store.codec.bundle_entry import encode_entry
from zsm_store.errors import BundleFormatError, InvalidArtifactError
from zsm_store.storage.file_source import FileSource

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from zsm_store.cli.terminal import Line
    from zsm_store.model.artifact import ModelArtifact


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleEntry:
    """One entry."""

    schema_hash: str
    offset: int
    """Byte at which it begins."""
    artifact: ModelArtifact | None = None
    """None where its bytes are damaged."""
    digest: str | None = None
    """As in the artifact's JSON file; None where it cannot be one."""
    problem: str | None = None
    """Why it cannot be served."""

    @property
    def size(self) -> int | None:
        """Bytes, key included."""
        # The encoding is the peer's, byte for byte, so there is nothing to remember.
        return None if self.artifact is None else len(encode_entry(self.artifact))


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleContent:
    """A bundle and its entries, sorted by schema hash."""

    path: Path
    size: int
    """Bytes."""
    has_trailer: bool
    """Whether this package wrote it; the Rust library writes none."""
    entries: tuple[BundleEntry, ...]


def read_content(path: Path) -> BundleContent:
    """Read every entry of a bundle.

    Raises
    ------
    StorageError
        There is no such file.
    BundleFormatError
        It is no bundle, or so damaged that its entries cannot be told apart.
    """
    with closing(FileSource(path)) as source:
        try:
            bundle = Bundle(source)
            entries = tuple(_read_entry(bundle, key) for key in bundle.keys())  # noqa: SIM118  # no mapping
        except BundleFormatError as error:
            error.source = path
            raise
        return BundleContent(
            path=path,
            size=source.size,
            has_trailer=bundle.has_trailer,
            entries=entries,
        )


def content_lines(content: BundleContent) -> Iterator[Line]:
    """Facts about the file, then a row per entry."""
    written = (
        "with a trailer" if content.has_trailer else "no trailer (the Rust library's)"
    )
    yield (
        f"{content.path}: {counted(len(content.entries), 'artifact')}, "
        f"{content.size:,} bytes, {written}"
    )
    if not content.entries:
        return
    short = short_hashes(entry.schema_hash for entry in content.entries)
    rows = [
        [
            *_artifact_cells(entry, short),
            _size_cell(entry),
            "yes" if entry.problem is None else "NO",
        ]
        for entry in content.entries
    ]
    yield ""
    columns = (*ARTIFACT_COLUMNS, Column("bytes", right=True), Column("served"))
    yield from table_lines(columns, rows)


def content_json(content: BundleContent) -> dict[str, Any]:
    """Return the same as JSON values."""
    return {
        "bundle": str(content.path),
        "size": content.size,
        "has_trailer": content.has_trailer,
        "artifacts": [_entry_json(entry) for entry in content.entries],
    }


def _read_entry(bundle: Bundle, key: str) -> BundleEntry:
    offset = bundle.offset(key)
    try:
        artifact = bundle.read(key)
    except BundleFormatError as error:
        return BundleEntry(schema_hash=key, offset=offset, problem=error.reason)
    try:
        digest = artifact_json.digest(artifact)
    except InvalidArtifactError as error:
        return BundleEntry(
            schema_hash=key, offset=offset, artifact=artifact, problem=str(error)
        )
    return BundleEntry(schema_hash=key, offset=offset, artifact=artifact, digest=digest)


def _artifact_cells(entry: BundleEntry, short: dict[str, str]) -> list[str]:
    if entry.artifact is None:
        unknown = len(ARTIFACT_COLUMNS) - 1
        return [short[entry.schema_hash], *["?"] * unknown]
    return artifact_row(entry.artifact, short)


def _size_cell(entry: BundleEntry) -> str:
    return "?" if entry.size is None else f"{entry.size:,}"


def _entry_json(entry: BundleEntry) -> dict[str, Any]:
    if entry.artifact is None:
        facts: dict[str, Any] = {
            "schema_hash": entry.schema_hash,
            "tag": None,
            "fields": None,
            "record_count": None,
            "trained_on": None,
            "em_iterations": None,
        }
    else:
        facts = artifact_json_row(entry.artifact)
    return {
        **facts,
        "offset": entry.offset,
        "size": entry.size,
        "digest": entry.digest,
        "problem": entry.problem,
    }
