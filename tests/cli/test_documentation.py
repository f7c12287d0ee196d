"""docs/cli.md is complete, and every example in the docs is what the command prints."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest

from zsm_store.cli.exit_codes import ExitCode
from zsm_store.cli.root_command import SECTIONS, root_command

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
COMMANDS = [name for listed in SECTIONS.values() for name in listed]

_FILE = re.compile(r"```\{code-block\} text\n:caption: (\S+)\n\n(.*?)```", re.DOTALL)
_STEP = re.compile(
    r"```console\n(?P<session>.*?)```|<!-- run: (?P<run>.*?) -->"
    r"|```python\n(?P<python>.*?)```"
    r"|<!-- edit: (?P<old>[^\n]+) -> (?P<new>[^\n]+) -->",
    re.DOTALL,
)
# What differs from run to run: digests cover the time of the fingerprint.
_CHANGING = re.compile(
    r"sha256:[0-9a-f]{64}|\d{4}-\d\d-\d\d( \d\d:\d\d)?|/\S*/(files|zsm-store)"
)


def _command(name: str) -> click.Command:
    found = root_command.get_command(click.Context(root_command), name)
    assert found is not None
    return found


def test_every_command_has_a_section() -> None:
    assert re.findall(r"^### zsm (\S+)$", TEXT, re.MULTILINE) == COMMANDS


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_described(name) -> None:
    for param in _command(name).params:
        if isinstance(param, click.Option):
            assert f"`{max(param.opts, key=len)}" in TEXT, param.opts


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_listed_in_the_help_as_it_describes_itself(name) -> None:
    summaries = {
        key: it.summary for row in SECTIONS.values() for key, it in row.items()
    }
    assert summaries[name]
    assert _command(name).name == name


def test_every_exit_code_is_in_the_table() -> None:
    section = TEXT.split("## Exit codes")[1].split("\n## ")[0]
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", section, re.MULTILINE)}
    assert listed == set(ExitCode)


def test_every_code_that_verify_can_print_is_in_the_table() -> None:
    sources = (ROOT / "zsm_store").rglob("*.py")
    emitted = {
        code
        for source in sources
        for code in re.findall(r"\bZSM\d{3}\b", source.read_text(encoding="utf-8"))
    }
    listed = re.findall(r"^\| (ZSM\d{3}) \|", TEXT, re.MULTILINE)
    assert listed == sorted(emitted)


def _keys(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
        for item in value.values():
            yield from _keys(item)
    elif isinstance(value, list):
        for item in value:
            yield from _keys(item)


def test_every_key_of_every_json_document_is_described(files, zsm) -> None:
    section = TEXT.split("## JSON documents")[1].split("\n## ")[0]
    described = set(re.findall(r"`(\w+)`", section))
    zsm("init", "other")
    for args in (
        ["init"],
        ["fingerprint", "people.csv"],
        ["save", "params.json", "people.csv"],
        ["lookup", "street.csv"],
        ["nearest", "street.csv"],
        ["ls"],
        ["pack", "all.zsm"],
        ["inspect", "all.zsm"],
        ["unpack", "all.zsm"],
        ["verify"],
        ["verify", "registry.json"],
        ["verify", "--fix"],
        ["verify", "--fix", "--dry-run"],
        ["doctor"],
        ["cache"],
        ["cache", "--drop"],
        ["log", zsm("fingerprint", "people.csv", "-q").out.strip()],
        ["rm", zsm("fingerprint", "people.csv", "-q").out.strip()],
    ):
        document = zsm(*args, "--json").document
        assert set(_keys(document)) <= described, args
    (files / f"{'0' * 64}.json").write_text("")
    assert set(_keys(zsm("verify", "--json").document)) <= described


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", ["cli.md", "tutorial.md"])
def test_every_example_prints_what_stands_there(
    name, tmp_path, zsm, monkeypatch
) -> None:
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    shown, printed = [], []
    directory = tmp_path / "files"
    directory.mkdir()
    monkeypatch.chdir(directory)
    for file, content in _FILE.findall(text):
        (directory / file).write_text(content)
    for step in _STEP.finditer(text):
        if step["python"]:
            exec(step["python"], {})  # noqa: S102  # what the tutorial shows
        elif step["run"]:
            zsm(*shlex.split(step["run"])[1:])
        elif step["old"]:
            (path,) = directory.glob("?" * 64 + ".json")
            path.write_text(path.read_text().replace(step["old"], step["new"]))
        else:
            shown.append(step["session"])
            printed.append("".join(_session(step["session"], zsm)))
    assert [_stable(text) for text in printed] == [_stable(text) for text in shown]


def _session(text: str, zsm) -> Iterator[str]:
    """Type the commands of a session again: `zsm`, with ``>`` and ``| head``."""
    code = 0
    for line in text.splitlines():
        if not line.startswith("$ "):
            continue
        yield f"{line}\n"
        if line == "$ echo $?":
            yield f"{int(code)}\n"
            continue
        typed, _, target = line.removeprefix("$ ").partition(" > ")
        typed, _, head = typed.partition(" | head -")
        outcome = zsm(*shlex.split(typed)[1:])
        code = outcome.code
        lines = (outcome.out + outcome.err).splitlines(keepends=True)
        if target:
            Path(target).write_text(outcome.out)
        else:
            yield from lines[: int(head)] if head else lines


def _stable(text: str) -> str:
    return _CHANGING.sub("*", text)
