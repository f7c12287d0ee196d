"""What a command does not import: nobody waits for what it does not use."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.examples import BRP, trained
from tests.processes import run
from zsm_store.model.schema import Field, FieldKind, Schema
from zsm_store.registry.schema_registry import SchemaRegistry

if TYPE_CHECKING:
    from pathlib import Path

ARTIFACTS = 600
"""More than an index takes in before it makes arrays of numpy of them."""
HEAVY = {"numpy", "watchdog", "filelock", "ssl", "asyncio", "email", "socket"}
NEVER_TO_READ = {
    "zsm_store.codec.bundle",
    "zsm_store.demo",
    "zsm_store.index",
    "zsm_store.model.startup",
    "zsm_store.registry.bundling",
    "zsm_store.registry.lookup",
    "zsm_store.tables",
}
"""Of our own: what looks things up, reads tables or makes bundles."""

_LISTED = """
import atexit, json, sys
atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))
import zsm_store.cli
zsm_store.cli.main()
"""


@pytest.fixture(name="many", scope="module")
def _many(tmp_path_factory) -> tuple[Path, str]:
    """A registry of many artifacts, and the hash of the one tagged 'wanted'."""
    path = tmp_path_factory.mktemp("many") / "registry"
    wanted = trained(tag="wanted")
    with SchemaRegistry.open(path) as registry:
        registry.save(wanted)
        for number in range(ARTIFACTS - 1):
            fields = [*BRP.fields, Field(f"extra_{number}", FieldKind.ID)]
            registry.save(trained(Schema(fields), tag=f"other_{number}"))
    return path, wanted.schema_hash


def _imported(*args: str | Path) -> set[str]:
    """Return the modules that a command has imported at its end."""
    ended = run(_LISTED, *args)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout
    return set(json.loads(ended.stderr.splitlines()[-1]))


def test_show_of_a_hash_imports_what_reads_one_file(many, zsm) -> None:  # noqa: ARG001  # of zsm only its cache directory
    path, schema_hash = many
    found = _imported("show", schema_hash, "--registry", path)
    assert not found & HEAVY
    assert not found & NEVER_TO_READ


def test_show_of_a_tag_imports_nothing_heavy(many, zsm) -> None:  # noqa: ARG001  # of zsm only its cache directory
    assert not _imported("show", "wanted", "--registry", many[0]) & HEAVY


def test_ls_imports_nothing_heavy(many, zsm) -> None:  # noqa: ARG001  # of zsm only its cache directory
    found = _imported("ls", "--registry", many[0])
    assert not found & HEAVY
    assert not found & NEVER_TO_READ


@pytest.mark.parametrize("args", [["--version"], ["--help"], ["ls", "--help"]])
def test_a_help_imports_no_registry(args) -> None:
    found = _imported(*args)
    assert not found & HEAVY
    assert "zsm_store.registry" not in found
    assert "zsm_store.codec" not in found


def test_a_process_of_its_own_looks_for_garbage_rarely_and_not_at_its_end() -> None:
    code = """
import atexit, gc, sys
import zsm_store.cli
assert gc.get_threshold()[0] < 10_000, "it is the process that is set, not the import"
atexit.register(lambda: print(gc.get_threshold()[0], gc.get_freeze_count()))
zsm_store.cli.main()
"""
    ended = run(code, "--version")
    threshold, frozen = ended.stdout.splitlines()[-1].split()
    assert int(threshold) >= 10_000
    assert int(frozen) >= 10_000


def test_the_package_alone_imports_none_of_its_modules() -> None:
    code = "import sys, zsm_store; print(*sys.modules)"
    found = run(code).stdout.split()
    assert [name for name in found if name.startswith("zsm_store")] == ["zsm_store"]
