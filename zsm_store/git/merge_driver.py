"""The merge driver: git starts it once for each artifact that both sides changed.

It is a function of its arguments: the other files of the merge are not there yet. So
it starts fast, and imports no command line.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from zsm_store.git.advice import advice
from zsm_store.git.choice import Policy, Side, Version, choose
from zsm_store.model.fingerprint import is_schema_hash

if TYPE_CHECKING:
    from collections.abc import Sequence

USAGE = "usage: zsm git merge-driver [--policy POLICY] BASE OURS THEIRS NAME"
_RESOLVED, _CONFLICT, _USAGE = 0, 1, 2
_FILES = 4


def main(arguments: Sequence[str]) -> int:
    """Merge, and return the exit code: 0, or 1 where a conflict stays.

    Parameters
    ----------
    arguments
        ``--policy`` and a policy, empty for manual; then git's ``%O %A %B %P``: files
        with the three versions, and the name of the artifact. The second one is where
        git looks for the result; it stays as it is, ours, where there is none.
    """
    rest, policy = list(arguments), ""
    if rest[:1] == ["--policy"]:
        policy, rest = rest[1] if len(rest) > 1 else "", rest[2:]
    if len(rest) != _FILES:
        _tell(USAGE)
        return _USAGE
    *files, name = rest
    if os.environ.get("ZSM_GIT_DRIVER") == "off":
        return _CONFLICT
    schema_hash, ending = os.path.splitext(os.path.basename(name))  # noqa: PTH119, PTH122  # pathlib takes 3 ms
    if ending != ".json" or not is_schema_hash(schema_hash):
        return _CONFLICT  # no artifact, but it lies beside them
    try:
        return _merge(files, name, schema_hash, policy)
    except OSError as error:
        _tell(f"cannot merge {name!r}: {error.strerror}")
        return _CONFLICT


def _merge(files: Sequence[str], name: str, schema_hash: str, policy: str) -> int:
    base, ours, theirs = (_version(file, schema_hash) for file in files)
    try:
        wanted = Policy(policy or Policy.MANUAL)
    except ValueError:
        _tell(f"zsm.policy is {policy!r}, not one of {', '.join(Policy)}")
        return _CONFLICT
    choice = choose(base, ours, theirs, wanted)
    if choice.side is None:
        _tell(f"conflict in {name!r}: {choice.reason}")
        _tell(f"then {advice(schema_hash, base, ours, theirs)}")
        return _CONFLICT
    if choice.side is Side.THEIRS:
        _replace(files[1], theirs.data)
    return _RESOLVED


def _version(file: str, schema_hash: str) -> Version:
    """Read a version; where there is none, git gives an empty file, as good as none."""
    with open(file, "rb") as opened:  # noqa: PTH123  # pathlib takes 3 ms
        return Version.of(opened.read(), schema_hash)


def _replace(file: str, data: bytes) -> None:
    # Not in place: of a process that is killed, git takes what it finds for ours.
    staging = f"{file}.zsm"
    try:
        with open(staging, "xb") as opened:  # noqa: PTH123  # pathlib takes 3 ms
            opened.write(data)
        os.replace(staging, file)  # noqa: PTH105  # pathlib takes 3 ms
    finally:
        if os.path.lexists(staging):
            os.unlink(staging)  # noqa: PTH108  # pathlib takes 3 ms


def _tell(message: str) -> None:
    text = message.encode("ascii", "backslashreplace").decode()
    sys.stderr.write(f"zsm: {text}\n")
