from __future__ import annotations

import click
import pytest

import zsm_store
from zsm_store.cli.root_command import SECTIONS, root_command

COMMANDS = [name for listed in SECTIONS.values() for name in listed]


def _command(name: str) -> click.Command:
    found = root_command.get_command(click.Context(root_command), name)
    assert found is not None
    return found


def test_zsm_alone_says_in_three_lines_what_it_is_and_what_to_type(zsm) -> None:
    outcome = zsm()
    assert outcome.code == 0
    assert len(outcome.out.splitlines()) == 3
    assert max(map(len, outcome.out.splitlines())) <= 80
    assert "zsm demo" in outcome.out
    assert "zsm lookup" in outcome.out


def test_help_lists_every_command_with_a_line(zsm) -> None:
    outcome = zsm("--help")
    assert outcome.code == 0
    listed = {line.split()[0] for line in outcome.out.splitlines() if line.strip()}
    assert listed.issuperset(COMMANDS)
    assert max(map(len, outcome.out.splitlines())) <= 80


def test_version_is_the_packages(zsm) -> None:
    assert zsm("--version").out == f"zsm {zsm_store.__version__}\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_help_with_examples(zsm, name) -> None:
    outcome = zsm(name, "--help")
    assert outcome.code == 0
    assert "Examples:" in outcome.out
    assert f"zsm {name}" in outcome.out.split("Examples:")[1]
    assert max(map(len, outcome.out.splitlines())) <= 80
    assert zsm(name, "-h").out == outcome.out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_says_what_it_does(name) -> None:
    for param in _command(name).params:
        if isinstance(param, click.Option):
            assert param.help, param.name


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "completion"])
def test_every_command_that_prints_data_takes_json_and_quiet(name) -> None:
    options = {option for param in _command(name).params for option in param.opts}
    assert {"--json", "--quiet", "--verbose"} <= options


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["frobnicate"], "no such command 'frobnicate'; see 'zsm --help'"),
        (["lokup"], "no such command 'lokup'. Did you mean 'lookup'? see 'zsm --help'"),
        (["--frob"], "no such option '--frob'; see 'zsm --help'"),
        (["show"], "missing argument 'REF'; see 'zsm show --help'"),
        (["show", "-x"], "no such option '-x'; see 'zsm show --help'"),
        (
            ["ls", "--json", "-q"],
            "--json and --quiet exclude each other; see 'zsm ls --help'",
        ),
        (
            ["-q", "ls", "--json"],
            "--json and --quiet exclude each other; see 'zsm ls --help'",
        ),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(zsm, args, message) -> None:
    outcome = zsm(*args)
    assert outcome.code == 2
    assert outcome.out == ""
    assert outcome.err == f"zsm: error: {message}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(zsm, shell) -> None:
    outcome = zsm("completion", shell)
    assert outcome.code == 0
    assert "_ZSM_COMPLETE" in outcome.out


def test_completion_offers_tags_and_hashes(stored, zsm, monkeypatch) -> None:
    monkeypatch.setenv("_ZSM_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "zsm show peo")
    monkeypatch.setenv("COMP_CWORD", "2")
    assert zsm().out == "plain,people\n"
    monkeypatch.setenv("COMP_WORDS", f"zsm show {stored[:3]}")
    assert zsm().out == f"plain,{stored}\n"
    monkeypatch.setenv("COMP_WORDS", "zsm look")
    monkeypatch.setenv("COMP_CWORD", "1")
    assert zsm().out == "plain,lookup\n"


def test_completion_outside_of_a_registry_says_nothing(zsm, monkeypatch) -> None:
    monkeypatch.setenv("_ZSM_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "zsm show p")
    monkeypatch.setenv("COMP_CWORD", "2")
    outcome = zsm()
    assert outcome.out.strip() == ""
    assert outcome.err == ""
