from __future__ import annotations

import errno

import pytest
from click.testing import CliRunner

from zsm_store import errors
from zsm_store.cli.exit_codes import ExitCode, exit_code_of
from zsm_store.cli.root_command import root_command
from zsm_store.registry.schema_registry import SchemaRegistry

CASES: list[tuple[errors.ZsmError, int]] = [
    (errors.ZsmError("x"), 1),
    (errors.ArtifactNotFoundError("x"), 3),
    (errors.AmbiguousRefError("x", ["a", "b"]), 3),
    (errors.ArtifactFormatError("ZSM012", "x"), 4),
    (errors.BundleFormatError(0, "a", "b"), 4),
    (errors.SettingsFormatError("x"), 4),
    (errors.TableError("x"), 4),
    (errors.InvalidArtifactError("x"), 4),
    (errors.ConflictError("x", None, None), 5),
    (errors.NotInGitError("x"), 3),
    (errors.GitError("x"), 6),
    (errors.RegistryLockedError("x", 1.0), 6),
    (errors.StorageError(errno.EIO, "x", "y"), 6),
    (errors.StorageError(errno.ENOSPC, "x", "y"), 6),
    (errors.StorageError(errno.ENOENT, "x", "y"), 6),
    (errors.ReadOnlyRegistryError(errno.EROFS, "x", "y"), 6),
    (errors.StorageError.of("open", "y", FileNotFoundError(errno.ENOENT, "x")), 3),
    (errors.StorageError.of("open", "y", OSError(errno.EISDIR, "x")), 2),
    (errors.StorageError.of("pack into", "y", OSError(errno.EEXIST, "x")), 5),
]


@pytest.mark.parametrize(("error", "code"), CASES)
def test_each_error_has_its_exit_code(error, code) -> None:
    assert exit_code_of(error) == code


def test_every_class_of_the_tree_has_a_case() -> None:
    def tree(kind: type) -> set[type]:
        return {kind}.union(*map(tree, kind.__subclasses__()))

    known = {
        kind for kind in tree(errors.ZsmError) if kind.__module__ == errors.__name__
    }
    assert known - {type(error) for error, _ in CASES} <= {errors.FormatError}


@pytest.mark.usefixtures("stored")
def test_an_error_of_the_library_is_one_line(zsm, monkeypatch) -> None:
    def locked(*_: object, **__: object) -> str:
        raise errors.RegistryLockedError("/r/.zsm/lock", 30.0)

    monkeypatch.setattr(SchemaRegistry, "save", locked)
    outcome = zsm("save", "params.json", "people.csv")
    assert outcome.code == ExitCode.UNREACHABLE
    assert outcome.err == (
        "zsm: error: registry is locked: another writer held '/r/.zsm/lock' for more "
        "than 30 s; try again\n"
    )


def test_what_nobody_expected_is_one_line_and_a_traceback_with_verbose(
    stored, zsm, monkeypatch
) -> None:
    def broken(*_: object, **__: object) -> str:
        message = "oh\nno"
        raise RuntimeError(message)

    monkeypatch.setattr(SchemaRegistry, "get", broken)
    outcome = zsm("show", stored)
    assert outcome.code == 1
    assert (
        outcome.err == "zsm: error: unexpected RuntimeError: oh\\nno; -v shows where\n"
    )
    verbose = CliRunner().invoke(root_command, ["-v", "show", stored])
    assert verbose.exit_code == 1
    assert "Traceback" in verbose.stderr
    assert verbose.stderr.splitlines()[-1].startswith("zsm: error: unexpected")


def test_an_interrupt_is_130_without_a_word(stored, zsm, monkeypatch) -> None:
    def interrupted(*_: object, **__: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(SchemaRegistry, "get", interrupted)
    outcome = zsm("show", stored)
    assert (outcome.code, outcome.out, outcome.err) == (130, "", "\n")
