"""`zsm git textconv`: what `git diff` shows of artifacts."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from hypothesis import given

from tests.examples import BRP, SIM, trained
from tests.git.scene import needs_git, retrained
from tests.processes import command, environment, run
from tests.strategies import artifacts
from zsm_store.cli.fact_text import artifact_facts
from zsm_store.cli.printable import printable
from zsm_store.cli.textconv_command import textconv_command
from zsm_store.codec.artifact_json import digest, encode
from zsm_store.model.params import ModelParams
from zsm_store.registry.schema_registry import SchemaRegistry

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = (
    "import sys; from zsm_store.cli.textconv import run; sys.exit(run(sys.argv[1]))"
)

ARTIFACT = trained(SIM, tag="sim\n\x1b[31m", extra={"b": 1.5, "a": ["x"]})
LINES = f"""\
schema_hash {ARTIFACT.schema_hash}
digest {digest(ARTIFACT)}
tag "sim\\n\\u001b[31m"
trained_on 2025-01-01 00:00:00 UTC
em_iterations 25
record_count 0
created_at 2025-01-01 00:00:00 UTC
log_prior_odds -2 (0.119203 of the pairs match)
upper_threshold 0.9
lower_threshold 0.1
extra "a" ["x"]
extra "b" 1.5
field "imsi" kind Id
field "imsi" null_rate 0
field "imsi" cardinality 0
field "imsi" top_k -
field "msisdn" kind Phone
field "msisdn" null_rate 0
field "msisdn" cardinality 0
field "msisdn" top_k -
field "activatiedatum" kind Date
field "activatiedatum" null_rate 0
field "activatiedatum" cardinality 0
field "activatiedatum" top_k -
level "imsi" 0 m=0.1 u=0.8 w=-3
level "imsi" 1 m=0.2 u=0.1 w=+1
level "imsi" 2 m=0.7 u=0.1 w=+2.80735
level "msisdn" 0 m=0.1 u=0.8 w=-3
level "msisdn" 1 m=0.2 u=0.1 w=+1
level "msisdn" 2 m=0.7 u=0.1 w=+2.80735
level "activatiedatum" 0 m=0.1 u=0.8 w=-3
level "activatiedatum" 1 m=0.2 u=0.1 w=+1
level "activatiedatum" 2 m=0.7 u=0.1 w=+2.80735
"""


def printed(path: Path) -> bytes:
    """Return what the command prints; its exit code always is 0."""
    result = CliRunner().invoke(textconv_command, [str(path)])
    assert result.exit_code == 0, result.exception
    assert result.stderr == ""
    return result.stdout_bytes


def test_artifact_is_a_line_per_fact(tmp_path) -> None:
    path = tmp_path / "any name"
    path.write_bytes(encode(ARTIFACT))
    assert printed(path).decode() == LINES


@given(artifacts())
def test_every_fact_is_one_line_that_does_nothing_to_a_terminal(artifact) -> None:
    for line in artifact_facts(artifact):
        assert line == printable(line)
        assert line.encode()


def test_rows_that_belong_to_no_field_are_numbered(tmp_path) -> None:
    params = ModelParams(
        m=((0.0, 1.0),),
        u=((0.5, 0.5),),
        log_prior_odds=800,
        upper_threshold=1,
        lower_threshold=0,
    )
    path = tmp_path / "a.json"
    path.write_bytes(encode(replace(ARTIFACT, params=params, trained_on=2**63)))
    lines = printed(path).decode().splitlines()
    assert lines[-2:] == ["row 0 0 m=0 u=0.5 w=-inf", "row 0 1 m=1 u=0.5 w=+1"]
    assert "log_prior_odds 800 (1 of the pairs match)" in lines
    assert f"trained_on @{2**63}" in lines


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<<<<<<< ours\n",
        b"\xff\x00\x1b no text",
        b"{}",
        b'{"format": "zsm-registry/1", "layout": "flat", "lock": "flock"}\n',
        encode(ARTIFACT).replace(b": 25", b": 26"),
        b"[" * 5000,
        b"ZSM",
        b"ZSM\x01\xff\xff\xff\xff\xff\xff\xff\xff",
    ],
)
def test_what_is_no_artifact_is_printed_as_it_is(tmp_path, content) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    note, _, rest = printed(path).partition(b"\n")
    assert note.startswith(b"# not an artifact: ")
    assert rest == content


def test_what_cannot_be_read_is_said(tmp_path) -> None:
    for path in (tmp_path / "none", tmp_path):
        assert printed(path).startswith(b"# not an artifact: cannot be read: ")


def test_bundle_is_its_artifacts(tmp_path) -> None:
    with SchemaRegistry.in_memory() as registry:
        registry.save(ARTIFACT)
        registry.save(trained(BRP))
        registry.pack(tmp_path / "all.zsm")
    parts = printed(tmp_path / "all.zsm").decode().split("\n\n")
    assert len(parts) == 2
    without_digest = [it for it in LINES.splitlines() if not it.startswith("digest")]
    assert "\n".join(without_digest) in {part.strip() for part in parts}


def test_it_starts_without_what_it_does_not_need(tmp_path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(encode(ARTIFACT))
    code = """
import json, sys
from zsm_store.cli.textconv import run
assert run(sys.argv[1]) == 0
print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""
    ended = run(code, path)
    assert ended.stdout == LINES
    loaded = set(json.loads(ended.stderr))
    heavy = {"click", "numpy", "watchdog", "filelock", "subprocess", "asyncio", "ssl"}
    assert not loaded & heavy
    assert not any(name.startswith("zsm_store.registry") for name in loaded)


def test_the_command_prints_the_same(tmp_path) -> None:
    path = tmp_path / "-h.json"
    path.write_bytes(encode(ARTIFACT))
    ended = run("import zsm_store.cli; zsm_store.cli.main()", "git", "textconv", path)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, LINES, "")


def test_output_that_nobody_reads_is_no_error(tmp_path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"x" * 1_000_000)
    with subprocess.Popen(
        command(PROGRAM, path),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as reader:
        assert reader.stdout is not None
        reader.stdout.close()
        assert reader.stderr is not None
        assert reader.stderr.read() == b""
    assert reader.returncode == 0


@needs_git
def test_git_shows_facts_in_place_of_json(scene) -> None:
    line = shlex.join([sys.executable, "-c", PROGRAM])
    scene.git("config", "diff.zsm.textconv", line)
    scene.commit("again", retrained(trained(BRP), em_iterations=31))
    for args in (("diff", "HEAD~1"), ("show", "--format="), ("log", "-p", "-1")):
        lines = scene.git(*args, "--", "models").splitlines()
        changed = [it for it in lines if it.startswith(("-em_", "+em_"))]
        assert changed == ["-em_iterations 25", "+em_iterations 31"]
    scene.path(trained(BRP)).write_text("<<<<<<< ours\n")
    lines = scene.git("diff").splitlines()
    assert "+<<<<<<< ours" in lines
    assert any(it.startswith("+# not an artifact: ") for it in lines)
