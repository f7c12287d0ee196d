from __future__ import annotations

import ast
import copy
import inspect
import pickle
from pathlib import Path

import pytest

import zsm_store
from tests.examples import fingerprint, trained
from tests.processes import run
from zsm_store import SchemaRegistry, errors

HASH = "ab" * 32
DIGEST = "sha256:" + "cd" * 32

ERRORS = [
    zsm_store.ZsmError("text"),
    zsm_store.InvalidArtifactError("field name 'a' stands twice in the schema"),
    zsm_store.TableError("too few columns", source=Path("people.csv"), line=3),
    zsm_store.TableError("no columns"),
    zsm_store.ArtifactNotFoundError("brp", "neither a hash nor a tag"),
    zsm_store.ArtifactNotFoundError(HASH),
    zsm_store.AmbiguousRefError("abab", [HASH] * 5),
    zsm_store.FormatError("odd"),
    zsm_store.ArtifactFormatError("ZSM020", "digest differs", 3, 4),
    zsm_store.BundleFormatError(12, "magic", "an empty file"),
    zsm_store.SettingsFormatError("format is newer", is_newer=True),
    zsm_store.ConflictError(HASH, DIGEST, None),
    zsm_store.RegistryLockedError("/r/.zsm/lock", 1.5),
    zsm_store.StorageError.of("read", "/r/x.json", PermissionError(13, "denied")),
    zsm_store.StorageError.of("read", "/r/x.json", OSError("no number")),
    zsm_store.GitError("git ls-files: index file corrupt"),
    zsm_store.NotInGitError("not in a git work tree: '/r'"),
    zsm_store.ReadOnlyRegistryError(30, "a bundle is read-only", "/r.zsm"),
]


def test_public_names_are_sorted_and_there() -> None:
    assert list(zsm_store.__all__) == sorted(
        zsm_store.__all__,
        # Constants, classes, functions: the order of the linter.
        key=lambda name: (not name.isupper(), not name[0].isupper(), name),
    )
    assert len(set(zsm_store.__all__)) == len(zsm_store.__all__)
    for name in zsm_store.__all__:
        assert hasattr(zsm_store, name), name


def test_type_checkers_read_the_same_names_from_the_same_modules() -> None:
    assert zsm_store.__file__ is not None
    tree = ast.parse(Path(zsm_store.__file__).read_text(encoding="utf-8"))
    read = {
        name.name: (statement.module or "").removeprefix("zsm_store.")
        for statement in ast.walk(tree)
        if isinstance(statement, ast.ImportFrom)
        for name in statement.names
        if (statement.module or "").startswith("zsm_store.")
    }
    assert read == zsm_store._DEFINED_IN
    assert set(read) == set(zsm_store.__all__)


def test_names_are_there_before_and_after_they_are_imported() -> None:
    code = """
import sys, zsm_store
assert set(zsm_store.__all__) <= set(dir(zsm_store))
assert "SchemaRegistry" not in vars(zsm_store)
registry = zsm_store.SchemaRegistry
assert vars(zsm_store)["SchemaRegistry"] is registry
from zsm_store import *
assert set(zsm_store.__all__) <= set(globals())
assert SchemaRegistry is registry
"""
    ended = run(code)
    assert ended.returncode == 0, ended.stderr


def test_a_name_that_is_not_there_is_an_error_like_any_other() -> None:
    with pytest.raises(AttributeError, match="module 'zsm_store' has no attribute 'x'"):
        zsm_store.x  # noqa: B018  # asking is the test
    assert not hasattr(zsm_store, "import_everything")


def named(error: Exception) -> str:
    return f"{ERRORS.index(error)}: {type(error).__name__}"


def documented(owner: object) -> list[tuple[str, object]]:
    """Return the public methods and properties that a class defines itself."""
    return [
        (name, member)
        for name, member in vars(owner).items()
        if not name.startswith("_")
        and (inspect.isroutine(member) or isinstance(member, property))
    ]


@pytest.mark.parametrize("name", zsm_store.__all__)
def test_every_public_object_says_what_it_is(name: str) -> None:
    value = getattr(zsm_store, name)
    if inspect.isclass(value):
        assert value.__doc__
        assert not value.__doc__.startswith(f"{name}("), "made by dataclass"
        for member_name, member in documented(value):
            assert inspect.getdoc(member), f"{name}.{member_name}"
    elif inspect.isroutine(value):
        assert inspect.getdoc(value)


def test_every_error_of_the_tree_is_public() -> None:
    tree = {
        name
        for name, value in vars(errors).items()
        if inspect.isclass(value) and issubclass(value, zsm_store.ZsmError)
    }
    assert tree <= set(zsm_store.__all__)
    tested = {type(error).__name__ for error in ERRORS}
    assert tree == tested, "an example of each error above"


@pytest.mark.parametrize("error", ERRORS, ids=named)
def test_error_survives_the_way_to_another_process(error: Exception) -> None:
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):  # noqa: S301  # our own bytes
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert again.__dict__ == error.__dict__
        if isinstance(error, OSError):
            assert again.errno == error.errno


@pytest.mark.parametrize("error", ERRORS, ids=named)
def test_error_is_one_line_in_lower_case_without_a_full_stop(error: Exception) -> None:
    text = str(error)
    assert "\n" not in text
    assert not text.endswith(".")
    assert text.lstrip("'")[0].islower()


@pytest.mark.parametrize("error", ERRORS, ids=named)
def test_number_of_an_operating_system_error_is_a_number(error: Exception) -> None:
    if isinstance(error, OSError):
        assert error.errno is None or isinstance(error.errno, int)


def test_errors_can_be_caught_by_what_python_calls_them() -> None:
    assert issubclass(zsm_store.InvalidArtifactError, ValueError)
    assert issubclass(zsm_store.TableError, ValueError)
    assert issubclass(zsm_store.ArtifactNotFoundError, KeyError)
    assert issubclass(zsm_store.AmbiguousRefError, LookupError)
    assert issubclass(zsm_store.ArtifactFormatError, zsm_store.FormatError)
    assert issubclass(zsm_store.BundleFormatError, zsm_store.FormatError)
    assert issubclass(zsm_store.RegistryLockedError, TimeoutError)
    assert issubclass(zsm_store.StorageError, OSError)


def test_values_survive_the_way_to_another_process() -> None:
    registry = SchemaRegistry.in_memory()
    registry.save(trained(tag="t", extra={"a": [1]}))
    mode = registry.lookup_startup_mode(fingerprint(context={"b": 1}))
    assert pickle.loads(pickle.dumps(mode)) == mode  # noqa: S301  # our own bytes


def test_py_typed_and_version_are_there() -> None:
    assert zsm_store.__version__
    assert zsm_store.__file__ is not None
    assert Path(zsm_store.__file__).with_name("py.typed").exists()


def test_reading_a_registry_pays_for_nothing_heavy(tmp_path: Path) -> None:
    path = tmp_path / "registry"
    key = trained().schema_hash
    SchemaRegistry.open(path).save(trained(tag="brp"))
    code = f"""
import sys
heavy = {{"numpy", "watchdog", "filelock", "click"}}
import zsm_store
assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()
registry = zsm_store.SchemaRegistry.open(sys.argv[1])
found = registry.get({key!r})
assert registry.get("brp") == found
assert registry.list_all() == [found]
assert isinstance(registry.lookup_startup_mode(found.fingerprint), zsm_store.WarmLoad)
assert registry.digest("brp")
assert registry.verify() == []
assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()
"""
    ended = run(code, path)
    assert ended.returncode == 0, ended.stderr


def test_opening_starts_no_thread_and_touches_no_file(tmp_path: Path) -> None:
    code = """
import sys, threading
import zsm_store
registry = zsm_store.SchemaRegistry.open(sys.argv[1])
assert threading.active_count() == 1
"""
    assert run(code, tmp_path / "registry").returncode == 0
    assert not (tmp_path / "registry").exists()
