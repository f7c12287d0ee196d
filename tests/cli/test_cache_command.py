from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.examples import BRP, trained
from zsm_store.cli import cache_command
from zsm_store.model.schema import Field, FieldKind, Schema
from zsm_store.registry.cache_list import CacheInfo
from zsm_store.registry.schema_registry import SchemaRegistry

MINUTE, HOUR, DAY = 60, 3_600, 86_400
ARTIFACTS = 600


def _cache(name: str, registry: str, **facts: Any) -> CacheInfo:
    usual = {"artifacts": 10_000, "size": 4_194_304, "saved_at": 0.0, "fits": True}
    return CacheInfo(
        path=Path("/caches") / name, registry=registry, **{**usual, "note": "", **facts}
    )


@pytest.fixture(name="listed")
def _listed(monkeypatch) -> list[CacheInfo]:
    """Caches as the command is told of them; dropping takes them out."""
    caches: list[CacheInfo] = []

    def drop(registry: Path | None) -> list[Path]:
        gone = [it for it in caches if registry in (None, Path(it.registry))]
        for cache in gone:
            caches.remove(cache)
        return [cache.path for cache in gone]

    monkeypatch.setattr(cache_command, "list_caches", lambda: list(caches))
    monkeypatch.setattr(cache_command, "drop_caches", drop)
    monkeypatch.setattr(cache_command, "cache_directory", lambda: Path("/caches"))
    return caches


@pytest.fixture(name="two")
def _two(listed) -> list[CacheInfo]:
    now = time.time()
    listed += [
        _cache("a", "/srv/a", saved_at=now - 3 * HOUR - 9),
        _cache(
            "b",
            "/srv/\x1b[31mb",
            artifacts=1_234,
            size=999,
            saved_at=now + DAY,
            fits=False,
            note="of another one",
        ),
    ]
    return listed


@pytest.mark.usefixtures("two")
def test_caches_are_listed_a_line_each(zsm) -> None:
    outcome = zsm("cache")
    assert outcome.code == 0
    assert outcome.out.splitlines() == [
        "'/caches': 2 caches",
        "",
        "artifacts      bytes  saved        fits                registry",
        "   10,000  4,194,304  3 hours ago  yes                 /srv/a",
        r"    1,234        999  just now     no: of another one  /srv/\x1b[31mb",
    ]
    assert outcome.err == ""


@pytest.mark.usefixtures("listed")
def test_without_a_cache_the_directory_is_named(zsm) -> None:
    assert zsm("cache").out == "'/caches': 0 caches\n"
    assert zsm("cache", "-q").out == ""
    assert zsm("cache", "--json").document == {"directory": "/caches", "caches": []}


@pytest.mark.usefixtures("two")
def test_quiet_prints_paths_for_scripts(zsm) -> None:
    outcome = zsm("cache", "-q")
    assert (outcome.out, outcome.err) == ("/caches/a\n/caches/b\n", "")


def test_json_tells_the_same(zsm, two) -> None:
    document = zsm("cache", "--json").document
    assert document["directory"] == "/caches"
    first, second = document["caches"]
    assert first == {
        "path": "/caches/a",
        "registry": "/srv/a",
        "artifacts": 10_000,
        "size": 4_194_304,
        "saved_at": int(two[0].saved_at),
        "fits": True,
        "note": None,
    }
    assert second["fits"] is False
    assert second["note"] == "of another one"


def test_a_note_stands_beside_a_cache_that_fits_and_no_registry_is_a_question_mark(
    zsm, listed
) -> None:
    listed += [
        _cache("a", "/srv/a", note="3 artifacts are new"),
        _cache("b", "", fits=False, note="damaged"),
    ]
    shown = zsm("cache").out
    assert "  yes: 3 artifacts are new  /srv/a\n" in shown
    assert "  no: damaged               ?\n" in shown
    assert zsm("cache", "--json").document["caches"][1]["registry"] is None


def test_drop_is_about_the_registry_that_is_meant(zsm, two) -> None:
    outcome = zsm("cache", "--drop", "--registry", "/srv/a")
    assert (outcome.code, outcome.out) == (0, "dropped /caches/a\n")
    assert [cache.registry for cache in two] == ["/srv/\x1b[31mb"]
    again = zsm("cache", "--drop", "--registry", "/srv/a")
    assert (again.code, again.out) == (0, "")
    assert again.err == "no cache of '/srv/a'\n"


def test_drop_knows_the_registry_around_here(zsm, stored, files, two) -> None:  # noqa: ARG001  # there has to be one
    two.append(_cache("c", str(files)))
    assert zsm("cache", "--drop", "-q").out == "/caches/c\n"


def test_drop_without_a_registry_is_wrong_usage(zsm, two) -> None:
    outcome = zsm("cache", "--drop")
    assert outcome.code == 2
    assert "'zsm init'" in outcome.err
    assert len(two) == 2


def test_drop_all_needs_no_registry(zsm, two) -> None:
    outcome = zsm("cache", "--drop", "--all", "--json")
    assert outcome.document == {
        "directory": "/caches",
        "dropped": ["/caches/a", "/caches/b"],
    }
    assert two == []
    assert zsm("cache", "--drop", "--all").err == "no cache\n"


def test_all_without_drop_is_wrong_usage(zsm, two) -> None:
    outcome = zsm("cache", "--all")
    assert outcome.code == 2
    assert outcome.err == "zsm: error: --all needs --drop; see 'zsm cache --help'\n"
    assert len(two) == 2


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-DAY, "just now"),
        (MINUTE - 1, "just now"),
        (MINUTE, "1 minute ago"),
        (HOUR - 1, "59 minutes ago"),
        (HOUR, "1 hour ago"),
        (2 * DAY - 1, "1 day ago"),
        (1_000 * DAY, "1,000 days ago"),
    ],
)
def test_age_is_in_its_largest_unit(seconds, words) -> None:
    assert cache_command._age(seconds) == words


@pytest.fixture(name="many", scope="module")
def _many(tmp_path_factory) -> Path:
    """A registry that is large enough to have a cache."""
    path: Path = tmp_path_factory.mktemp("many") / "registry"
    with SchemaRegistry.open(path) as registry:
        for number in range(ARTIFACTS):
            fields = [*BRP.fields, Field(f"extra_{number}", FieldKind.ID)]
            registry.save(trained(Schema(fields)))
    return path


@pytest.mark.usefixtures("files")
def test_a_lookup_leaves_a_cache_unless_told_not_to(zsm, many) -> None:
    wanted = ["lookup", "people.csv", "--registry", many]
    assert zsm(*wanted, "--no-cache", "-q").code == 0
    assert zsm("cache", "-q").out == ""
    assert zsm(*wanted, "-q").code == 0
    document = zsm("cache", "--json").document
    (cache,) = document["caches"]
    assert cache["registry"] == str(many)
    assert cache["artifacts"] == ARTIFACTS
    assert cache["fits"]
    assert Path(cache["path"]).parent == Path(document["directory"])
    dropped = zsm("cache", "--drop", "--registry", many, "-q")
    assert dropped.out == f"{cache['path']}\n"
    assert not Path(cache["path"]).exists()
