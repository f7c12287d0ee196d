"""What stands in docs/git.md is what a shell, git and `zsm` print."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.examples import BRP, trained
from tests.git.scene import OTHER_M, needs_git, retrained, settings
from tests.processes import DEADLINE_S, ROOT
from zsm_store import SchemaRegistry, WarmLoad

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = needs_git

PAGE = (ROOT / "docs" / "git.md").read_text(encoding="utf-8")

_STEP = re.compile(
    r"```\{code-block\} text\n:caption: (?P<file>\S+)\n\n(?P<content>.*?)```"
    r"|```console\n(?P<session>.*?)```|<!-- run: (?P<run>.*?) -->",
    re.DOTALL,
)
# What differs from run to run: digests cover the time of the fingerprint, and commits
# cover digests.
_CHANGING = re.compile(
    r"sha256:[0-9a-f]{64}|\b(?=[0-9a-f]*[0-9])[0-9a-f]{7,12}\b(?!-)"
    r"|\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?"
)
# A shell of its own for each command, in the directory that the last one went to.
_TYPED = 'cd "$(cat "$0")"; eval "$1"; code=$?; pwd > "$0"; exit $code'


class Terminal:
    """Types commands one after another."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._place = home / "place"
        self.directory = home / "srv"
        self.directory.mkdir()
        self._place.write_text(str(self.directory))
        environment = {k: v for k, v in os.environ.items() if k[:4] != "GIT_"}
        environment.pop("GITHUB_WORKSPACE", None)
        self._environment = {
            **environment,
            **settings(home),
            "ZSM_REGISTRY": "models",
            "ZSM_CACHE_DIR": str(home / "cache"),
            "COLUMNS": "80",
        }
        self.code = 0

    def type(self, line: str) -> str:
        """Run one command; returns what a terminal shows of it."""
        done = subprocess.run(
            ["bash", "-c", _TYPED, self._place, line],  # noqa: S607  # whichever there is
            cwd=self._home,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        self.code = done.returncode
        self.directory = Path(self._place.read_text().strip())
        return done.stdout.replace(str(self._home / "srv"), "/srv")


def _lines(session: str) -> Iterator[str]:
    """Return the commands of a session, those of several lines joined."""
    for typed in re.findall(r"^\$ (.*(?:\n> .*)*)", session, re.MULTILINE):
        yield typed.replace("\n> ", "\n")


def _printed(session: str, terminal: Terminal) -> Iterator[str]:
    for line in _lines(session):
        yield "$ " + line.replace("\n", "\n> ") + "\n"
        if line == "echo $?":
            yield f"{terminal.code}\n"
        else:
            yield terminal.type(line)


def sessions(home: Path) -> Iterator[tuple[str, str]]:
    """Yield each session of the page as it stands there, and as it is printed."""
    terminal = Terminal(home)
    for step in _STEP.finditer(PAGE):
        if step["file"]:
            (terminal.directory / step["file"]).write_text(step["content"])
        elif step["run"]:
            printed = terminal.type(step["run"])
            assert terminal.code == 0, printed
        else:
            yield step["session"], "".join(_printed(step["session"], terminal))


@pytest.mark.timeout(180)
def test_every_session_prints_what_stands_there(tmp_path_factory) -> None:
    shown, printed = zip(*sessions(tmp_path_factory.mktemp("git")), strict=True)
    assert [_stable(text) for text in printed] == [_stable(text) for text in shown]


def _stable(text: str) -> str:
    return _CHANGING.sub("*", text)


@pytest.mark.parametrize("watch", [True, False])
def test_an_open_registry_follows_the_link_that_is_exchanged(tmp_path, watch) -> None:
    old, new = trained(BRP), retrained(trained(BRP), m=OTHER_M)
    for name, artifact in (("old", old), ("new", new)):
        with SchemaRegistry.init(tmp_path / name) as registry:
            registry.save(artifact)
    live = tmp_path / "live"
    live.symlink_to("old")
    with SchemaRegistry.open(live, watch=watch) as registry:
        for target, wanted in (("new", new), ("old", old)):
            assert registry.get(old.schema_hash) != wanted
            (tmp_path / "next").symlink_to(target)
            (tmp_path / "next").replace(live)
            found = registry.lookup_startup_mode(old.fingerprint)
            assert isinstance(found, WarmLoad)
            assert found.artifact == wanted
            assert registry.get(old.schema_hash) == wanted
