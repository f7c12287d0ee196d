"""The command as a user meets it: arguments in; exit code, output and errors out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from click.testing import CliRunner

from tests.cli.sample_files import CARDS, PARAMS, PEOPLE, PEOPLE_WITH_STREET
from zsm_store.cli.root_command import root_command

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        assert self.out.endswith("\n")
        return json.loads(self.out)

    @property
    def last_error(self) -> str:
        return self.err.splitlines()[-1]


class Run(Protocol):
    """Runs the command; no outcome of it ever is a traceback."""

    def __call__(
        self, *args: str | Path, stdin: str | bytes | None = None
    ) -> Outcome: ...


@pytest.fixture(name="zsm")
def _zsm(tmp_path, tmp_path_factory, monkeypatch) -> Run:
    """Run `zsm` in an empty directory with an empty cache, in this process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ZSM_REGISTRY", raising=False)
    cache = tmp_path_factory.mktemp("cache") / "zsm-store"
    monkeypatch.setenv("ZSM_CACHE_DIR", str(cache))

    def run(*args: str | Path, stdin: str | bytes | None = None) -> Outcome:
        result = CliRunner().invoke(
            root_command, [str(arg) for arg in args], input=stdin
        )
        assert result.exception is None or isinstance(result.exception, SystemExit)
        assert "Traceback" not in result.stderr
        return Outcome(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture(name="files")
def _files(tmp_path, zsm) -> Path:  # noqa: ARG001  # chdir first
    """Tables and parameters in the current directory."""
    (tmp_path / "people.csv").write_text(PEOPLE)
    (tmp_path / "street.csv").write_text(PEOPLE_WITH_STREET)
    (tmp_path / "cards.csv").write_text(CARDS)
    (tmp_path / "params.json").write_text(json.dumps(PARAMS))
    return tmp_path


@pytest.fixture(name="stored")
def _stored(files, zsm) -> str:
    """A registry in the current directory with one artifact, tagged 'people'."""
    assert zsm("init").code == 0
    saved = zsm(
        "save",
        "params.json",
        "people.csv",
        *("--tag", "people", "--em-iterations", "25", "--trained-on", "1735689600"),
        "-q",
    )
    assert saved.code == 0
    assert (files / f"{saved.out.strip()}.json").is_file()
    return str(saved.out.strip())
