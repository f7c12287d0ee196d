from __future__ import annotations

import array
import fcntl
import json
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

import pytest

COMMAND = [sys.executable, "-m", "zsm_store.cli"]
HEAVY = ("numpy", "watchdog", "filelock", "zsm_store.demo")


@pytest.fixture(name="environment")
def _environment(monkeypatch) -> None:
    """The package is found from any directory, installed or not."""
    root = str(Path(__file__).parents[2])
    path = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", f"{root}:{path}" if path else root)


pytestmark = [
    pytest.mark.usefixtures("environment", "stored"),
    pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX"),
]


def _run(*args: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *args], capture_output=True, text=True, check=False, **options
    )


def test_data_and_everything_else_go_separate_ways(stored) -> None:
    outcome = _run("lookup", "people.csv", "--json", "-v")
    assert outcome.returncode == 0
    assert json.loads(outcome.stdout)["artifact"]["schema_hash"] == stored
    assert "zsm: info: warm_load" in outcome.stderr
    assert "\x1b" not in outcome.stdout + outcome.stderr


@pytest.mark.parametrize(
    "args",
    [["--help"], ["ls"], ["show", "people"], ["lookup", "people.csv"], ["verify"]],
)
def test_reading_imports_nothing_heavy(args) -> None:
    code = (
        "import sys, zsm_store.cli\n"
        f"heavy = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "assert not heavy, heavy\n"
        "try:\n    zsm_store.cli.main()\n"
        "finally:\n"
        f"    heavy = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "    print(heavy, file=sys.stderr)\n"
    )
    outcome = subprocess.run(
        [sys.executable, "-c", code, *args],
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome.returncode == 0
    assert outcome.stderr.splitlines()[-1] == "[]"


def test_into_one_file_hints_come_behind_the_data() -> None:
    both = subprocess.run(
        [*COMMAND, "lookup", "people.csv"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"},
        text=True,
        check=True,
    )
    first, *_, last = both.stdout.splitlines()
    assert first.startswith("warm load: ")
    assert last.startswith("next: ")


def test_a_reader_that_went_away_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    outcome = subprocess.run(
        [*COMMAND, "ls"], stdout=writing, stderr=subprocess.PIPE, check=False
    )
    os.close(writing)
    assert outcome.returncode == 141
    assert outcome.stderr == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_output_that_cannot_be_written_is_one_line() -> None:
    with Path("/dev/full").open("wb") as full:
        outcome = subprocess.run(
            [*COMMAND, "ls"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert outcome.returncode == 1
    assert outcome.stderr == (
        "zsm: error: cannot write the output: No space left on device\n"
    )


@pytest.mark.parametrize(
    ("command", "code", "error"),
    [
        ("ls >&-", 1, "zsm: error: cannot write the output: Bad file descriptor\n"),
        ("ls -q 2>&-", 0, ""),
        ("show nobody 2>&-", 3, ""),
        (
            "fingerprint - <&-",
            4,
            "zsm: error: cannot read 'standard input': the file is empty\n",
        ),
        (
            "save - people.csv <&-",
            4,
            "zsm: error: cannot read artifact 'standard input': the file is empty\n",
        ),
    ],
)
def test_streams_may_be_closed(command, code, error) -> None:
    outcome = subprocess.run(
        ["/bin/sh", "-c", f'"$0" -m zsm_store.cli {command}', sys.executable],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (outcome.returncode, outcome.stderr) == (code, error)


def test_an_interrupt_ends_quietly() -> None:
    with subprocess.Popen(
        [*COMMAND, "fingerprint", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        process.stdin.write(b"a,b\n1,2\n")
        process.stdin.flush()
        _wait_until_read(process.stdin.fileno())
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.wait(20) == 130
        assert process.stdout.read() == b""
        assert process.stderr.read().strip() == b""


def _wait_until_read(pipe: int) -> None:
    deadline = time.monotonic() + 20
    waiting = array.array("i", [1])
    while waiting[0]:
        fcntl.ioctl(pipe, termios.FIONREAD, waiting)
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _on_a_terminal(*args: str, **environment: str) -> str:
    """Run the command on a terminal of 80 columns and return what it shows."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    environment = {"TERM": "xterm", **environment}
    with subprocess.Popen(
        [*COMMAND, *args],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={k: v for k, v in os.environ.items() if k != "NO_COLOR"} | environment,
    ) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # how Linux says that the other side has closed
                break
            if not piece:
                break
            shown += piece
        process.wait(20)
    os.close(ours)
    return shown.decode().replace("\r\n", "\n")


def test_a_terminal_gets_color_and_nothing_is_wider_than_it() -> None:
    Path("long.csv").write_text("first_name,city\n" + f"{'A' * 100},{'B' * 100}\n")
    shown = _on_a_terminal("fingerprint", "long.csv")
    assert "\x1b[1m" in shown
    plain = _on_a_terminal("fingerprint", "long.csv", NO_COLOR="1")
    assert "\x1b" not in plain
    assert max(map(len, plain.splitlines())) <= 80
    assert ".." in plain
    assert "\x1b" not in _on_a_terminal("ls", TERM="dumb")
    bars = _on_a_terminal("show", "people", NO_COLOR="")
    assert "\x1b[32m" in bars
    assert "\x1b[31m" in bars


def test_an_encoding_without_block_characters_gets_others(monkeypatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    outcome = _run("show", "people")
    assert outcome.returncode == 0
    assert outcome.stdout.isascii()
    assert "####|" in outcome.stdout
    Path("z.csv").write_text("naam,stad\nZoë,Ütrecht\n", encoding="utf-8")
    shown = _run("fingerprint", "z.csv")
    assert r"Zo\xeb" in shown.stdout
    document = json.loads(
        _run("fingerprint", "z.csv", "--json", encoding="utf-8").stdout
    )
    assert document["fields"][0]["top_k"] == ["Zoë"]
