from __future__ import annotations

import copy
import errno
import os
import pickle
from pathlib import Path

import pytest

from zsm_store import errors
from zsm_store.errors import (
    AmbiguousRefError,
    ArtifactFormatError,
    ArtifactNotFoundError,
    BundleFormatError,
    ConflictError,
    FormatError,
    GitError,
    InvalidArtifactError,
    NotInGitError,
    ReadOnlyRegistryError,
    RegistryLockedError,
    SettingsFormatError,
    StorageError,
    TableError,
    ZsmError,
)

HASHES = tuple(digit * 64 for digit in "abcde")


def with_source(error: FormatError, source: str) -> FormatError:
    error.source = Path(source)
    return error


def storage_error(kind: type[StorageError] = StorageError) -> StorageError:
    return kind.of("publish", Path("/r/a.json"), OSError(errno.ENOSPC, "disk full"))


MESSAGES: list[tuple[ZsmError, str]] = [
    (InvalidArtifactError("m has 1 rows and u has 2"), "m has 1 rows and u has 2"),
    (TableError("no columns"), "no columns"),
    (
        TableError("ragged row", source=Path("people.csv"), line=3),
        "cannot read 'people.csv': line 3: ragged row",
    ),
    (TableError("no columns", source="p.csv"), "cannot read 'p.csv': no columns"),
    (
        ArtifactNotFoundError("abc"),
        "no artifact 'abc': 'zsm ls' lists what is there",
    ),
    (ArtifactNotFoundError("\x1b[31m", "look"), "no artifact '\\x1b[31m': look"),
    (
        AmbiguousRefError("ab", HASHES[:2]),
        (
            f"'ab' means 2 artifacts ({HASHES[0]}, {HASHES[1]}): "
            "give more digits of the hash"
        ),
    ),
    (
        AmbiguousRefError("ab", HASHES),
        (
            f"'ab' means 5 artifacts ({', '.join(HASHES[:3])} and 2 more): "
            "give more digits of the hash"
        ),
    ),
    (ArtifactFormatError("ZSM012", "not JSON"), "not JSON"),
    (ArtifactFormatError("ZSM010", "conflict", 3), "line 3: conflict"),
    (ArtifactFormatError("ZSM012", "not JSON", 1, 7), "line 1: not JSON"),
    (
        with_source(ArtifactFormatError("ZSM010", "conflict", 3), "/r/a.json"),
        "cannot read artifact '/r/a.json': line 3: conflict",
    ),
    (
        BundleFormatError(0, "magic 5a534d01", "5a534d02"),
        "expected magic 5a534d01 at byte 0, found 5a534d02",
    ),
    (
        with_source(BundleFormatError(12, "0 or 1", "2"), "/r.zsm"),
        "cannot read bundle '/r.zsm': expected 0 or 1 at byte 12, found 2",
    ),
    (
        with_source(SettingsFormatError("not JSON"), "/r/registry.json"),
        "cannot read registry settings '/r/registry.json': not JSON",
    ),
    (
        ConflictError(HASHES[0], "sha256:1", None),
        (
            f"artifact {HASHES[0]} is not as expected: expected sha256:1, found none; "
            "look at the stored one and decide again"
        ),
    ),
    (
        RegistryLockedError("/r/.zsm/lock", 10.0),
        (
            "registry is locked: another writer held '/r/.zsm/lock' for more than "
            "10 s; try again"
        ),
    ),
    (
        RegistryLockedError("/r", 0.5, "process 7 on node-42"),
        (
            "registry is locked: process 7 on node-42 held '/r' for more than 0.5 s; "
            "try again"
        ),
    ),
    (storage_error(), "cannot publish '/r/a.json': disk full"),
    (storage_error(ReadOnlyRegistryError), "cannot publish '/r/a.json': disk full"),
    (GitError("git: fatal: bad object"), "git: fatal: bad object"),
    (NotInGitError("'/r' is in no work tree"), "'/r' is in no work tree"),
]


def classes() -> set[type[ZsmError]]:
    return {
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, ZsmError)
    }


def test_every_error_has_an_example_here() -> None:
    bases = {ZsmError, FormatError}
    assert {type(error) for error, _ in MESSAGES} == classes() - bases


@pytest.mark.parametrize(
    ("error", "message"),
    [
        pytest.param(error, message, id=f"{number} {type(error).__name__}")
        for number, (error, message) in enumerate(MESSAGES)
    ],
)
def test_each_message_is_one_line_that_says_what_and_where(
    error: ZsmError, message: str
) -> None:
    assert str(error) == message
    assert "\n" not in message
    assert not message.endswith(".")


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(error, id=f"{number} {type(error).__name__}")
        for number, (error, _) in enumerate(MESSAGES)
    ],
)
def test_errors_travel_between_processes(error: ZsmError) -> None:
    for other in (
        pickle.loads(pickle.dumps(error)),  # noqa: S301  # our own bytes
        copy.copy(error),
    ):
        assert type(other) is type(error)
        assert str(other) == str(error)
        assert vars(other) == vars(error)


@pytest.mark.parametrize(
    ("kind", "parents"),
    [
        (InvalidArtifactError, (ValueError,)),
        (TableError, (ValueError,)),
        (ArtifactNotFoundError, (KeyError, LookupError)),
        (AmbiguousRefError, (LookupError,)),
        (ArtifactFormatError, (FormatError,)),
        (BundleFormatError, (FormatError,)),
        (SettingsFormatError, (FormatError,)),
        (RegistryLockedError, (TimeoutError,)),
        (StorageError, (OSError,)),
        (ReadOnlyRegistryError, (StorageError,)),
    ],
)
def test_errors_are_caught_under_the_names_of_the_language(
    kind: type[ZsmError], parents: tuple[type[Exception], ...]
) -> None:
    assert issubclass(kind, (ZsmError, *parents))
    assert all(issubclass(kind, parent) for parent in parents)


def test_a_damaged_file_is_not_the_callers_invalid_artifact() -> None:
    assert not issubclass(FormatError, ValueError)
    assert not issubclass(InvalidArtifactError, FormatError)


def test_a_storage_error_keeps_what_the_system_said() -> None:
    error = storage_error()
    assert error.errno == errno.ENOSPC
    assert error.filename == "/r/a.json"
    assert error.action == "publish"


def test_a_storage_error_without_a_text_finds_one() -> None:
    for bare in (OSError(), OSError(errno.EIO, "")):
        error = StorageError.of("read", "/r", bare)
        assert str(error).startswith("cannot read '/r': ")
        assert error.strerror == (str(bare) or os.strerror(error.errno or 0))


def test_the_facts_are_attributes() -> None:
    conflict = ConflictError(HASHES[0], None, "sha256:2")
    assert (conflict.schema_hash, conflict.expected) == (HASHES[0], None)
    assert conflict.found == "sha256:2"
    assert AmbiguousRefError("ab", list(HASHES)).candidates == HASHES
    assert ArtifactNotFoundError("abc").ref == "abc"
    assert BundleFormatError(7, "a", "b").offset == 7
    damaged = ArtifactFormatError("ZSM020", "m", 3, 4)
    assert (damaged.code, damaged.line, damaged.column) == ("ZSM020", 3, 4)
    locked = RegistryLockedError("/r", 2.5)
    assert (locked.path, locked.timeout_s) == ("/r", 2.5)
    table = TableError("m", source=Path("t.csv"), line=2)
    assert (table.source, table.line) == ("t.csv", 2)
    assert SettingsFormatError("m", is_newer=True).is_newer
