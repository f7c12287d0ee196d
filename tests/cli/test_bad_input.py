from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from zsm_store.registry.schema_registry import SchemaRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator

NOBODY = 65534
ROOT = Path(__file__).parents[2]

needs_posix = pytest.mark.skipif(
    sys.platform == "win32", reason="needs users and permissions of POSIX"
)


def _one_line(outcome) -> None:
    assert outcome.out == ""
    assert len(outcome.err.splitlines()) == 1
    assert outcome.err.startswith("zsm: error: ")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot read 'bad.csv': the file is empty"),
        (b"\n\n", "the file is empty"),
        (b"a,b\n1,2,3\n", "line 2: found 3 values where the header has 2 columns"),
        (b"a,b\n1,2\n1\n", "line 3: found 1 value where the header has 2 columns"),
        (b"a,a\n1,2\n", "columns 1 and 2 are both named 'a'"),
        (b"a,b\x1b[2J\n1,2\n", r"'b\x1b[2J', holds a control character"),
        (b"a,b\n\xff,2\n", "0xff, which is not utf-8"),
        (b'a,b\n"1,2\n', "not CSV"),
        (b"PK\x03\x04rest", "a zip archive or a spreadsheet"),
        (b"a,b,c\n\n1,2\n", "line 3: found 2 values where the header has 3 columns"),
    ],
)
@pytest.mark.parametrize("verb", ["fingerprint", "lookup", "nearest", "save"])
@pytest.mark.usefixtures("stored")
def test_a_table_that_is_none(files, zsm, verb, content, message) -> None:
    (files / "bad.csv").write_bytes(content)
    outcome = zsm(*([verb, "params.json"] if verb == "save" else [verb]), "bad.csv")
    assert outcome.code == 4
    _one_line(outcome)
    assert message in outcome.err
    assert len(zsm("ls", "-q").out.split()) == 1


def test_a_table_of_a_header_has_no_records(files, zsm) -> None:
    (files / "header.csv").write_text("first_name,city\n")
    document = zsm("fingerprint", "header.csv", "--json").document
    assert document["record_count"] == 0
    assert zsm("fingerprint", "header.csv").code == 0


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["fingerprint", "missing.csv"], 3),
        (["fingerprint", "."], 2),
        (["fingerprint", "people.csv/x"], 2),
        (["fingerprint", "nul\0.csv"], 4),
        (["fingerprint", "people.csv", "--schema", "missing.json"], 3),
        (["fingerprint", "people.csv", "--schema", "."], 2),
        (["fingerprint", "people.csv", "--schema", "people.csv"], 4),
        (["fingerprint", "people.csv", "--kind-rules", "missing.toml"], 3),
        (["fingerprint", "people.csv", "--kind-rules", "people.csv"], 4),
        (["fingerprint", "people.csv", "--kind", "city=Town"], 2),
        (["fingerprint", "people.csv", "--kind", "city"], 2),
        (["fingerprint", "people.csv", "--kind", "=Name"], 2),
        (["fingerprint", "people.csv", "--kind", "a=Id", "--kind", "a=Name"], 2),
        (["fingerprint", "people.csv", "--kind", "town=Name"], 4),
        (["fingerprint", "people.csv", "--sample", "0"], 2),
        (["fingerprint", "people.csv", "--sample", "some"], 2),
        (["fingerprint", "people.csv", "--delimiter", "ab"], 4),
        (["fingerprint", "people.csv", "--encoding", "klingon"], 2),
        (["fingerprint", "people.csv", "--encoding", "base64"], 2),
        (["fingerprint", "people.csv", "--format", "xlsx"], 2),
        (["fingerprint", "people.csv", "--map", "city"], 2),
        (["fingerprint", "people.csv", "--context", "[1]"], 3),
        (["fingerprint", "people.csv", "--context", '{"a": 1, "a": 2}'], 2),
        (["fingerprint", "people.csv", "--context", "people.csv"], 2),
        (["fingerprint", "people.csv", "--context", "."], 2),
        (["nearest", "people.csv", "-k", "0"], 2),
        (["save", "missing.json", "people.csv"], 3),
        (["save", ".", "people.csv"], 2),
        (["save", "people.csv", "people.csv"], 4),
        (["ls", "--min-records", "-1"], 2),
        (["ls", "--sort", "beauty"], 2),
        (["ls", "--registry", "people.csv"], 4),
        (["save", "params.json", "people.csv", "--registry", "people.csv"], 4),
        (["demo", "--records", "1"], 2),
        (["demo", "people.csv"], 2),
        (["completion", "tcsh"], 2),
    ],
)
def test_wrong_arguments_are_one_line(zsm, args, code) -> None:
    outcome = zsm(*args)
    assert outcome.code == code
    _one_line(outcome)


@pytest.mark.usefixtures("files")
def test_an_unknown_kind_names_the_kinds(zsm) -> None:
    outcome = zsm("fingerprint", "people.csv", "--kind", "city=Town")
    assert "unknown kind 'Town': the kinds are Name, Date, Address" in outcome.err


class TestEscapeSequences:
    EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202etxt.exe\u2066\nzsm: error: fake\r"

    @pytest.fixture(name="evil")
    def _evil(self, files, zsm) -> str:
        zsm("init")
        (files / "evil.csv").write_text(f'first_name,city\nAnna,"{self.EVIL}"\n')
        (files / "p.json").write_text(
            json.dumps(
                {
                    "m": [[0, 1], [0, 1]],
                    "u": [[1, 0], [1, 0]],
                    "log_prior_odds": 0,
                    "upper_threshold": 1,
                    "lower_threshold": 0,
                    "extra": {"note": self.EVIL},
                }
            )
        )
        saved = zsm("save", "p.json", "evil.csv", "--tag", self.EVIL, "-q")
        assert saved.code == 0
        return str(saved.out.strip())

    @staticmethod
    def _harmless(text: str) -> None:
        bad = [c for c in text if c != "\n" and not c.isprintable()]
        assert bad == []
        assert "\nzsm: error: fake" not in text

    @pytest.mark.parametrize("json_too", [False, True])
    @pytest.mark.parametrize(
        "args",
        [
            ["fingerprint", "evil.csv"],
            ["lookup", "evil.csv"],
            ["lookup", "people.csv"],
            ["nearest", "evil.csv"],
            ["ls"],
            ["show", EVIL],
            ["inspect", "all.zsm"],
            ["verify"],
        ],
    )
    def test_never_reach_the_terminal(self, evil, zsm, args, json_too) -> None:  # noqa: ARG002  # a registry
        assert zsm("pack", "all.zsm").code == 0
        outcome = zsm(*args, *(["--json"] if json_too else []))
        assert outcome.code == 0
        self._harmless(outcome.out)
        self._harmless(outcome.err)
        if json_too:
            json.loads(outcome.out)

    def test_are_shown_as_escapes(self, evil, zsm) -> None:  # noqa: ARG002  # a registry
        shown = zsm("ls").out
        assert r"\x1b]0;owned\x07\x1b[2J\x9b31m\u202etxt.exe\u2066\nzsm" in shown

    def test_are_the_same_value_in_json(self, evil, zsm) -> None:
        assert zsm("ls", "--json").document["artifacts"][0]["tag"] == self.EVIL
        document = zsm("show", evil, "--json")
        assert document.document["extra"] == {"note": self.EVIL}
        assert zsm("save", "-", stdin=document.out).code == 0

    @pytest.mark.parametrize(
        "args",
        [
            ["show", "\x1b[31mx\u202e"],
            ["fingerprint", "\x1b[31mx\u202e.csv"],
            ["inspect", "\x1b[31mx\u202e.zsm"],
            ["\x1b[31mx\u202e"],
            ["ls", "--\x1b[31mx\u202e"],
            ["ls", "--sort", "\x1b[31mx\u202e"],
            ["lookup", "people.csv", "--registry", "\x1b[31mx\u202e"],
            ["show", "\udcff"],
            ["inspect", "\udcff.zsm"],
        ],
    )
    @pytest.mark.usefixtures("evil")
    def test_in_arguments_come_back_as_escapes(self, zsm, args) -> None:
        outcome = zsm(*args)
        self._harmless(outcome.out)
        self._harmless(outcome.err)
        assert r"\u202e" in outcome.err or r"\udcff" in outcome.err


def _as_nobody(directory: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a user who is not root, whoever runs the tests."""
    # Imported before the change of user, all of it, because a command imports what it
    # needs when it needs it: Python and the checkout may be readable for their owner
    # only.
    code = (
        "import os, pkgutil, filelock, numpy, zsm_store; ''.encode('utf-8-sig')\n"
        "for module in pkgutil.walk_packages(zsm_store.__path__, 'zsm_store.'):\n"
        "    __import__(module.name)\n"
        f"os.geteuid() or (os.setgid({NOBODY}), os.setuid({NOBODY}))\n"
        "zsm_store.cli.main()"
    )
    return subprocess.run(
        [sys.executable, "-c", code, "--registry", str(directory), *args],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )


@pytest.fixture(name="open_to_all")
def _open_to_all(stored, files) -> Iterator[Path]:
    """A copy of the registry in a place where another user may go, too."""
    with tempfile.TemporaryDirectory(prefix="zsm-test-") as made:
        directory = Path(made) / "registry"
        directory.mkdir(mode=0o755)
        directory.parent.chmod(0o755)
        for name in (f"{stored}.json", "registry.json"):
            shutil.copy(files / name, directory / name)
            (directory / name).chmod(0o644)
        for name, source in (("schema", f"{stored}.json"), ("params", "params.json")):
            shutil.copy(files / source, directory.parent / name)
            (directory.parent / name).chmod(0o644)
        yield directory
        directory.chmod(0o755)


@needs_posix
def test_a_read_only_registry_serves_and_refuses_changes(open_to_all, stored) -> None:
    before = sorted(open_to_all.iterdir())
    open_to_all.chmod(0o555)
    schema = f"--schema={open_to_all.parent / 'schema'}"
    params = str(open_to_all.parent / "params")
    assert _as_nobody(open_to_all, "ls", "-q").stdout == f"{stored}\n"
    assert _as_nobody(open_to_all, "verify").returncode == 0
    assert _as_nobody(open_to_all, "lookup", schema, "--exit-code").returncode == 0
    for args in (["save", params, schema], ["rm", stored]):
        outcome = _as_nobody(open_to_all, *args)
        assert outcome.returncode == 6
        assert outcome.stdout == ""
        assert len(outcome.stderr.splitlines()) == 1
        assert "Permission denied" in outcome.stderr
    packed = _as_nobody(open_to_all, "pack", str(open_to_all / "all.zsm"))
    assert packed.returncode == 6
    assert sorted(open_to_all.iterdir()) == before


@needs_posix
def test_an_unreadable_registry_is_an_error_not_empty(open_to_all, stored) -> None:
    schema = f"--schema={open_to_all.parent / 'schema'}"
    open_to_all.chmod(0)
    for args in (["ls"], ["lookup", schema], ["verify"], ["show", stored]):
        outcome = _as_nobody(open_to_all, *args)
        assert outcome.returncode == 6
        assert outcome.stdout == ""
        assert "Permission denied" in outcome.stderr
        assert len(outcome.stderr.splitlines()) == 1


@needs_posix
def test_one_unreadable_artifact_is_reported_by_verify(open_to_all, stored) -> None:
    (open_to_all / f"{stored}.json").chmod(0o000)
    outcome = _as_nobody(open_to_all, "verify")
    assert outcome.returncode == 4
    assert "ZSM004 unreadable" in outcome.stdout
    assert _as_nobody(open_to_all, "show", stored).returncode == 6


def test_a_full_disk_leaves_the_old_artifact(files, stored, zsm, monkeypatch) -> None:
    path = files / f"{stored}.json"
    before = path.read_bytes()

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("zsm_store.storage.atomic.os.write", full)
        outcome = zsm("save", "params.json", "people.csv", "--tag", "new")
        packed = zsm("pack", "all.zsm")
    for failed in (outcome, packed):
        assert failed.code == 6
        _one_line(failed)
        assert "No space left on device" in failed.err
    assert path.read_bytes() == before
    assert list((files / ".zsm" / "tmp").iterdir()) == []
    assert not [it for it in files.iterdir() if "all.zsm" in it.name]


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounting needs root"
)
def test_a_full_file_system_leaves_the_old_artifact(files, zsm) -> None:
    mount = files / "small"
    mount.mkdir()
    options = ["-t", "tmpfs", "-o", "size=64k", "tmpfs", str(mount)]
    if subprocess.run(["mount", *options], check=False, capture_output=True).returncode:  # noqa: S607  # wherever it is
        pytest.skip("mounting is not allowed here")
    try:
        assert zsm("init", mount).code == 0
        save = ("save", "params.json", "people.csv", "--registry", mount)
        saved = zsm(*save, "-q").out.strip()
        before = (mount / f"{saved}.json").read_bytes()
        with pytest.raises(OSError, match="No space"):  # noqa: PT012  # until full
            for number in range(100):
                (mount / f"filler{number}").write_bytes(bytes(4096))
        outcome = zsm(*save, "--tag", "x" * 5000)
        assert outcome.code == 6
        assert "No space left on device" in outcome.err
        assert (mount / f"{saved}.json").read_bytes() == before
        assert list((mount / ".zsm" / "tmp").iterdir()) == []
        with SchemaRegistry.open(mount) as registry:
            assert registry.get(saved).tag is None
    finally:
        subprocess.run(["umount", str(mount)], check=True)  # noqa: S607  # wherever it is
