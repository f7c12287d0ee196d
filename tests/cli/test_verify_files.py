"""`zsm verify` of files that are named, as hooks and CI name them."""

from __future__ import annotations

import errno
import json
import os
import threading
from typing import TYPE_CHECKING

import pytest

from tests.examples import BRP, BRP_WITH_PHONE, SIM, trained
from tests.processes import run, run_together
from zsm_store import Problem, SchemaRegistry, Severity
from zsm_store.cli.problem_lines import github_line
from zsm_store.codec import artifact_json
from zsm_store.registry import named_file

if TYPE_CHECKING:
    from pathlib import Path

KEY = trained(BRP).schema_hash
GOOD = artifact_json.encode(trained(BRP))
BLENDED = GOOD.replace(b": 25,", b": 26,", 1)
MARKED = GOOD.replace(
    b'  "tag": null,\n', b'<<<<<<< HEAD\n  "tag": null,\n=======\n>>>>>>> theirs\n', 1
)
TWICE = GOOD.replace(b'"tag": null,', b'"tag": null,\n  "tag": "a",', 1)


@pytest.fixture(name="models")
def _models(tmp_path, zsm) -> Path:  # noqa: ARG001  # chdir first
    """A registry of three artifacts, in the current directory."""
    with SchemaRegistry.init(tmp_path / "models") as registry:
        for schema in (BRP, BRP_WITH_PHONE, SIM):
            registry.save(trained(schema))
    return tmp_path / "models"


def _artifacts(models: Path) -> list[str]:
    return [f"models/{path.name}" for path in sorted(models.glob("?" * 64 + ".json"))]


def test_good_files_are_passed_in_silence(models, zsm) -> None:
    outcome = zsm("verify", *_artifacts(models), "models/registry.json")
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")


def _line_of(data: bytes, text: bytes) -> int:
    return data[: data.index(text)].count(b"\n") + 1


@pytest.mark.parametrize(
    ("data", "marked", "code"),
    [
        (BLENDED, b'"digest"', "ZSM020"),
        (MARKED, b"<<<<<<<", "ZSM010"),
        (TWICE, b'"tag": "a"', "ZSM013"),
        (artifact_json.encode(trained(SIM)), b'"schema_hash"', "ZSM021"),
        (b"", b"", "ZSM011"),
    ],
)
def test_a_bad_file_is_named_beside_good_ones(data, marked, code, models, zsm) -> None:
    name = f"models/{KEY}.json"
    (models.parent / name).write_bytes(data)
    outcome = zsm("verify", *_artifacts(models))
    assert outcome.code == 4
    (line,) = outcome.out.splitlines()
    assert line.startswith(f"{name}:{_line_of(data, marked)}:"), "as it was named"
    assert f": {code} " in line
    assert outcome.err == "3 paths: 1 error\n"
    assert zsm("verify", name, "-q").err == ""


def test_each_file_is_checked_once(models, zsm) -> None:
    path = models / f"{KEY}.json"
    path.write_bytes(BLENDED)
    outcome = zsm("verify", *[f"models/{KEY}.json"] * 3)
    assert outcome.out.count("\n") == 1
    assert outcome.err.endswith(f"'models/{KEY}.json': 1 error\n")


def test_names_and_kinds_of_files_are_checked(models, zsm) -> None:
    upper = models / f"{KEY.upper()}.json"
    upper.write_bytes(GOOD)
    (models / "zz.json").write_bytes(GOOD)
    link = models / f"{'0' * 64}.json"
    link.symlink_to(f"{KEY}.json")
    pipe = models / f"{'1' * 64}.json"
    os.mkfifo(pipe)
    astray = models / "cd" / f"{KEY}.json"
    astray.parent.mkdir()
    astray.write_bytes(GOOD)
    shouted = models / KEY[:2].upper() / f"{KEY}.json"
    shouted.parent.mkdir(exist_ok=True)
    shouted.write_bytes(GOOD)
    found = {
        "upper": zsm("verify", upper),
        "zz": zsm("verify", "models/zz.json"),
        "link": zsm("verify", link),
        "pipe": zsm("verify", pipe),
        "astray": zsm("verify", astray),
        "shouted": zsm("verify", shouted),
    }
    assert {name: outcome.code for name, outcome in found.items()} == dict.fromkeys(
        found, 4
    )
    assert {
        name: outcome.out.split(":1:1: ")[1].split(",")[0]
        for name, outcome in found.items()
    } == {
        "upper": "ZSM001 not named by 64 lower-case hex digits",
        "zz": "ZSM001 not named by 64 lower-case hex digits",
        "link": "ZSM002 a symbolic link",
        "pipe": "ZSM002 not a regular file",
        "astray": "ZSM001 lies in 'cd'",
        "shouted": f"ZSM001 lies in '{KEY[:2].upper()}'",
    }


def test_a_registry_may_be_called_like_a_folder_of_the_fan_out(tmp_path, zsm) -> None:
    with SchemaRegistry.init(tmp_path / "cd") as registry:
        registry.save(trained(BRP))
    assert zsm("verify", f"cd/{KEY}.json").code == 0


def test_both_copies_of_one_artifact_name_the_other(models, zsm) -> None:
    folder = models / KEY[:2]
    folder.mkdir()
    (folder / f"{KEY}.json").write_bytes(GOOD)
    flat = zsm("verify", f"models/{KEY}.json")
    fanned = zsm("verify", f"models/{KEY[:2]}/{KEY}.json")
    assert (flat.code, fanned.code) == (4, 4)
    assert f"ZSM003 the same artifact lies at models/{KEY[:2]}/{KEY}.json," in flat.out
    assert f"ZSM003 the same artifact lies at models/{KEY}.json," in fanned.out


def test_a_link_to_an_artifact_is_no_copy_of_it(models, zsm) -> None:
    (models / KEY[:2]).mkdir()
    (models / KEY[:2] / f"{KEY}.json").symlink_to(f"../{KEY}.json")
    assert zsm("verify", f"models/{KEY}.json").code == 0
    assert "ZSM002" in zsm("verify", f"models/{KEY[:2]}/{KEY}.json").out


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [
        (errno.EACCES, 4, f"models/{KEY}.json:1:1: ZSM004 unreadable: "),
        (errno.EIO, 4, f"models/{KEY}.json:1:1: ZSM004 unreadable: "),
        (errno.EMFILE, 6, f"zsm: error: cannot open 'models/{KEY}.json': "),
        (errno.ENOENT, 3, f"zsm: error: cannot open 'models/{KEY}.json': "),
    ],
)
@pytest.mark.usefixtures("models")
def test_what_cannot_be_read_is_never_passed(
    number, code, said, zsm, monkeypatch
) -> None:
    def refuse(*_: object) -> bytes:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(named_file, "read_regular", refuse)
    outcome = zsm("verify", f"models/{KEY}.json")
    assert outcome.code == code
    assert (outcome.out + outcome.err).startswith(said)


def test_damaged_settings_are_found_when_they_are_named(models, zsm) -> None:
    (models / "registry.json").write_text("<<<<<<< HEAD\n")
    outcome = zsm("verify", "models/registry.json")
    assert outcome.code == 4
    assert outcome.out.startswith("models/registry.json:1:1: ZSM050 ")


def test_warnings_do_not_fail(models, zsm) -> None:
    path = models / f"{KEY}.json"
    path.write_bytes(GOOD.replace(b"\n", b"\r\n"))
    outcome = zsm("verify", path)
    assert outcome.code == 0
    assert "ZSM040 warning: " in outcome.out
    assert outcome.err.endswith(": 1 warning\n")


def test_registries_bundles_and_files_may_be_mixed(models, zsm) -> None:
    assert zsm("pack", "all.zsm", "--registry", "models").code == 0
    (models / f"{KEY}.json").write_bytes(BLENDED)
    outcome = zsm("verify", "all.zsm", "models", f"models/{KEY}.json")
    assert outcome.code == 4
    assert outcome.out.count("ZSM020") == 2
    assert outcome.err == "3 paths: 2 errors\n"
    assert zsm("verify", "--registry", "models", "all.zsm").code == 0
    assert zsm("verify", "--registry", "all.zsm", f"models/{KEY}.json").code == 4


def test_a_file_that_is_not_there_is_not_found(models, zsm) -> None:
    outcome = zsm("verify", *_artifacts(models), f"models/{'0' * 64}.json")
    assert outcome.code == 3
    assert "0.json'" in outcome.err


def test_fix_is_not_for_files(models, zsm) -> None:
    path = models / f"{KEY}.json"
    path.write_bytes(BLENDED)
    assert "is a file: --fix is for" in zsm("verify", "--fix", path).err
    assert "one registry at a time" in zsm("verify", "--fix", "models", path).err
    assert path.exists()


def test_json_says_what_was_checked(models, zsm) -> None:
    (models / f"{KEY}.json").write_bytes(BLENDED)
    names = _artifacts(models)
    document = zsm("verify", *names, "--json").document
    assert document == zsm("verify", *names, "--format", "json").document
    assert document["registry"] is None
    assert document["paths"] == names
    assert document["errors"] == 1
    assert document["problems"][0]["path"] == f"models/{KEY}.json"
    assert "paths" not in zsm("verify", "models", "--format", "json").document


@pytest.mark.parametrize(
    "args",
    [
        ("--json", "--format", "text"),
        ("--json", "--format", "github"),
        ("--quiet", "--format", "json"),
        ("--format", "xml"),
        ("--staged", "--fix"),
    ],
)
def test_options_that_exclude_each_other(args, models, zsm) -> None:
    assert zsm("verify", str(models), *args).code == 2


def test_github_is_told_the_place_from_the_top_of_the_checkout(
    models, zsm, monkeypatch
) -> None:
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)
    path = models / f"{KEY}.json"
    path.write_bytes(BLENDED)
    outcome = zsm("verify", path, "--format", "github")
    assert outcome.code == 4
    start = f"::error file=models/{KEY}.json,line=3,col=1::ZSM020 digest is sha256:"
    assert outcome.out.startswith(start)
    monkeypatch.setenv("GITHUB_WORKSPACE", str(models))
    inside = zsm("verify", "models", "--format", "github")
    assert inside.out.startswith(f"::error file={KEY}.json,line=3,")
    monkeypatch.setenv("GITHUB_WORKSPACE", "/elsewhere")
    outside = zsm("verify", path, "--format", "github")
    assert outside.out.startswith(f"::error file={path},line=3,")


def test_nothing_in_a_name_or_a_message_can_pass_as_a_command() -> None:
    problem = Problem(
        path="a,line=9::b%\n.json",
        line=3,
        column=5,
        code="ZSM030",
        message="100 %, a: b\r\n::error::c",
        severity=Severity.NOTE,
    )
    assert github_line(problem) == (
        "::notice file=a%2Cline=9%3A%3Ab%25%0A.json,line=3,col=5"
        "::ZSM030 100 %25, a: b%0D%0A::error::c"
    )


@pytest.mark.parametrize(
    ("severity", "name"),
    [("error", "error"), ("warning", "warning"), ("note", "notice")],
)
def test_each_severity_has_a_command_of_github(severity, name) -> None:
    problem = Problem(path="a", code="ZSM1", message="b", severity=Severity(severity))
    assert github_line(problem).startswith(f"::{name} file=a,")


def test_half_a_file_of_a_checkout_is_not_reported(models, zsm) -> None:
    path = models / f"{KEY}.json"
    path.write_bytes(GOOD[:-20])
    # Nobody waits for less than a checkout takes to write the rest.
    finish = threading.Timer(0.003, path.write_bytes, [GOOD])
    finish.start()
    outcome = zsm("verify", path)
    finish.join()
    assert outcome.code == 0


def test_a_file_that_a_checkout_has_removed_is_waited_for(
    models, zsm, monkeypatch
) -> None:
    path = models / f"{KEY}.json"
    read, looks = named_file.read_regular, []

    def removed_at_first(place: Path, limit: int) -> bytes:
        looks.append(place)
        if len(looks) == 1:
            raise FileNotFoundError(2, "removed")
        return read(place, limit)

    monkeypatch.setattr(named_file, "read_regular", removed_at_first)
    assert zsm("verify", path).code == 0
    assert len(looks) == 2


def test_files_are_checked_while_a_writer_holds_the_lock_and_nothing_is_written(
    models, zsm
) -> None:
    before = {path: path.stat().st_mtime_ns for path in models.rglob("*")}
    with SchemaRegistry.open(models) as registry, registry._store.locked():
        assert zsm("verify", *_artifacts(models)).code == 0
    assert {path: path.stat().st_mtime_ns for path in models.rglob("*")} == before


@pytest.mark.multiprocess
def test_processes_share_the_files_of_a_registry_out(models) -> None:
    names = [str(models.parent / name) for name in _artifacts(models)]
    code = (
        'sys.argv = ["zsm", "verify", *sys.argv[1:-1]]\n'
        "from zsm_store.cli import main\n"
        "main()"
    )
    start = models.parent / "start"
    assert run_together(code, [tuple(names)] * 3, start) == [(0, "", "")] * 3


@pytest.mark.usefixtures("zsm")
def test_files_need_nothing_heavy(models) -> None:
    code = (
        "import atexit, json, sys\n"
        "atexit.register(lambda: print(json.dumps(sorted(sys.modules))))\n"
        "from zsm_store.cli import main\n"
        "main()"
    )
    found = set(json.loads(run(code, "verify", models / f"{KEY}.json").stdout))
    assert not found & {"numpy", "watchdog", "filelock", "subprocess"}
    assert not found & {"zsm_store.index", "zsm_store.git", "zsm_store.tables"}
