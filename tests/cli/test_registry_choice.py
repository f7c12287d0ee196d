from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from zsm_store.registry.schema_registry import SchemaRegistry

if TYPE_CHECKING:
    from pathlib import Path


def test_the_registry_around_here_is_found_upwards(
    files, stored, zsm, monkeypatch
) -> None:
    below = files / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert zsm("ls", "-q").out == f"{stored}\n"


@pytest.mark.usefixtures("stored")
def test_the_environment_wins_over_what_is_around(zsm, monkeypatch, tmp_path) -> None:
    zsm("init", "other")
    monkeypatch.setenv("ZSM_REGISTRY", str(tmp_path / "other"))
    assert zsm("ls", "-q").out == ""


@pytest.mark.parametrize("order", ["before", "after"])
def test_the_option_wins_over_the_environment(
    files, stored, zsm, monkeypatch, order
) -> None:
    monkeypatch.setenv("ZSM_REGISTRY", str(files / "nowhere"))
    option = ["--registry", str(files)]
    args = [*option, "ls", "-q"] if order == "before" else ["ls", "-q", *option]
    assert zsm(*args).out == f"{stored}\n"


def test_behind_the_verb_wins_over_before_it(files, stored, zsm) -> None:
    outcome = zsm("--registry", "nowhere", "ls", "-q", "--registry", files)
    assert outcome.out == f"{stored}\n"


def test_no_registry_at_all_says_how_to_get_one(zsm) -> None:
    outcome = zsm("ls")
    assert outcome.code == 2
    assert "'zsm init'" in outcome.err
    assert "--registry" in outcome.err
    assert "ZSM_REGISTRY" in outcome.err


def test_a_bundle_is_a_registry_that_cannot_be_changed(files, stored, zsm) -> None:
    assert zsm("pack", "all.zsm").code == 0
    assert zsm("--registry", "all.zsm", "ls", "-q").out == f"{stored}\n"
    loaded = zsm("lookup", "people.csv", "--exit-code", "--registry", "all.zsm")
    assert loaded.code == 0
    before = (files / "all.zsm").read_bytes()
    for args in (["save", "params.json", "people.csv"], ["rm", stored]):
        outcome = zsm("--registry", "all.zsm", *args)
        assert outcome.code == 6
        assert "a bundle is read-only" in outcome.err
    assert (files / "all.zsm").read_bytes() == before


def test_init_says_what_it_wrote_and_what_comes_next(files, zsm) -> None:
    outcome = zsm("init", "r", "--layout", "fan-out")
    assert outcome.code == 0
    assert outcome.out.splitlines() == [
        "created registry 'r': layout fan-out, lock flock",
        "  wrote registry.json",
        "  wrote .gitattributes",
        "  wrote .zsm/.gitignore",
    ]
    assert outcome.err == (
        "next: 'zsm lookup TABLE --registry 'r'' says how training should start\n"
    )
    again = zsm("init", "r")
    assert again.code == 0
    assert again.out == "'r' is a registry already: layout fan-out, lock flock\n"
    document = zsm("init", "r", "--json").document
    assert document == {
        "registry": "r",
        "layout": "fan-out",
        "lock": "flock",
        "keep": 0,
        "written": [],
    }
    saved = zsm(
        "save", "params.json", "people.csv", "-q", "--registry", "r"
    ).out.strip()
    assert (files / "r" / saved[:2] / f"{saved}.json").is_file()


def test_init_keeps_the_layout(zsm) -> None:
    assert zsm("init", "r").code == 0
    outcome = zsm("init", "r", "--layout", "fan-out")
    assert outcome.code == 2
    assert "'r' is a registry with layout 'flat' and keeps it" in outcome.err


def test_init_over_a_file_is_wrong_usage(tmp_path, zsm) -> None:
    (tmp_path / "file").write_text("x")
    outcome = zsm("init", "file")
    assert outcome.code == 2
    assert len(outcome.err.splitlines()) == 1


def test_init_over_damaged_settings_changes_nothing(tmp_path, zsm) -> None:
    (tmp_path / "registry.json").write_text("{")
    outcome = zsm("init")
    assert outcome.code == 4
    assert "registry.json" in outcome.err
    assert (tmp_path / "registry.json").read_text() == "{"


@pytest.fixture(name="opened")
def _opened(monkeypatch) -> list[dict[str, Any]]:
    """The options of `SchemaRegistry.open`, each time that a command calls it."""
    calls: list[dict[str, Any]] = []
    original = SchemaRegistry.open

    def recorded(path: Path, **options: Any) -> SchemaRegistry:
        calls.append(options)
        return original(path, **options)

    monkeypatch.setattr(SchemaRegistry, "open", recorded)
    return calls


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    ("args", "cached"),
    [
        (["lookup", "people.csv"], True),
        (["lookup", "people.csv", "--no-cache"], False),
        (["--no-cache", "lookup", "people.csv"], False),
        (["--no-cache", "show", "people"], False),
        (["ls", "--no-cache"], False),
    ],
)
def test_the_cache_is_used_unless_somebody_says_no(zsm, opened, args, cached) -> None:
    assert zsm(*args).code == 0
    assert [options["cache"] for options in opened] == [cached]


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    "args", [["lookup", "people.csv"], ["ls"], ["show", "people"], ["verify"]]
)
def test_a_command_watches_nothing(zsm, opened, args) -> None:
    assert zsm(*args).code == 0
    assert [options["watch"] for options in opened] == [False]
