"""Make git ask `zsm` about artifacts; take that back; say whether it does."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from zsm_store.errors import StorageError
from zsm_store.git.attributes import attribute_lines, lines_of_block, with_block
from zsm_store.git.choice import Policy
from zsm_store.git.repository import Repository, run_git
from zsm_store.storage.atomic import make_directory, publish, staged

if TYPE_CHECKING:
    from collections.abc import Iterable

PROGRAM = "zsm"

# With zsm.policy as it is when git merges: nobody has to install anew.
_DRIVER = ' git merge-driver --policy "$(git config zsm.policy)" %O %A %B %P'
# Without the program, git would end the whole diff.
_TEXTCONV = ("f() { ", ' git textconv "$1" 2>/dev/null || cat "$1"; }; f')
_NAME = "one whole side of an artifact"
_RECURSIVE = "binary"
"""Else the driver would merge ancestors, too, whose conflicts git does not show."""


class Scope(StrEnum):
    """Whose git settings."""

    LOCAL = "local"
    """Those of one clone."""
    GLOBAL = "global"
    """Those of one user: the commands only, since each clone says for which files."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting of git that this package writes."""

    key: str
    value: str

    def is_ours(self, value: str) -> bool:
        """Whether a value is of this package, with whatever path of its program."""
        if self.key == "merge.zsm.driver":
            return value.endswith(_DRIVER)
        if self.key == "diff.zsm.textconv":
            return value.startswith(_TEXTCONV[0]) and value.endswith(_TEXTCONV[1])
        return value == self.value


@dataclass(frozen=True, slots=True)
class Changes:
    """What was done, or would be."""

    done: list[str]
    """One line each; none: it was all as it should be."""
    foreign: list[str]
    """Settings that somebody else made. Where there are any, install does nothing."""


@dataclass(frozen=True, slots=True)
class Check:
    """One condition under which git asks `zsm`."""

    name: str
    is_met: bool
    message: str


def settings_for(program: str = PROGRAM) -> list[Setting]:
    """Return the settings; `program` is as a shell reads it."""
    # A driver's command is a pattern, in which a percent sign is written twice.
    return [
        Setting("merge.zsm.name", _NAME),
        Setting("merge.zsm.driver", program.replace("%", "%%") + _DRIVER),
        Setting("merge.zsm.recursive", _RECURSIVE),
        Setting("diff.zsm.textconv", program.join(_TEXTCONV)),
    ]


def absolute_program() -> str:
    """Return the command of this very installation, as a shell reads it."""
    script = Path(sys.executable).parent / PROGRAM
    if script.is_file():
        return shlex.quote(str(script))
    return f"{shlex.quote(sys.executable)} -m zsm_store.cli"


def install(
    registry: Path,
    scope: Scope,
    *,
    program: str = PROGRAM,
    force: bool = False,
    dry_run: bool = False,
) -> Changes:
    """Make git ask `program` about a registry's artifacts.

    Parameters
    ----------
    registry
        The directory; it does not matter in the global scope.
    scope
        Which settings to write.
    force
        Replace settings that somebody else made.
    dry_run
        Only say what would be done.

    Raises
    ------
    GitError, StorageError
        git or the file system refuses something.
    """
    config = _Config.of(registry, scope)
    wanted, changes = [], Changes([], [])
    for setting in settings_for(program):
        found = config.values(setting.key)
        if found != [setting.value]:
            wanted.append(setting)
            if not force and not all(map(setting.is_ours, found)):
                changes.foreign.append(setting.key)
    if changes.foreign:
        return changes
    # The commands first: attributes that name a driver without one mean a text merge.
    for setting in wanted:
        changes.done.append(f"set {setting.key} in the {scope} settings")
        if not dry_run:
            config.set(setting)
    if config.repository is not None:
        lines = attribute_lines(config.repository.relative(registry))
        _change_block(config.repository, lines, (), changes, dry_run=dry_run)
    return changes


def uninstall(registry: Path, scope: Scope, *, dry_run: bool = False) -> Changes:
    """Take back what `install` did for a registry, and nothing else.

    The commands stay while another registry of the clone needs them.
    """
    config, changes = _Config.of(registry, scope), Changes([], [])
    if config.repository is not None:
        lines = attribute_lines(config.repository.relative(registry))
        left = _change_block(config.repository, (), lines, changes, dry_run=dry_run)
        if left:
            return changes
    for setting in settings_for():
        found = config.values(setting.key)
        if not found:
            continue
        if not all(map(setting.is_ours, found)):
            changes.foreign.append(setting.key)
            continue
        changes.done.append(f"unset {setting.key} in the {scope} settings")
        if not dry_run:
            config.unset(setting)
    return changes


def status(registry: Path) -> list[Check]:
    """Say whether git will ask `zsm` about a registry's artifacts.

    Whatever the scope: what counts is what git makes of all settings together.
    """
    repository = Repository.around(registry)
    folder = repository.relative(registry)
    sample = f"{'' if folder == '.' else folder + '/'}{'0' * 64}.json"
    listed = repository.run(
        "check-attr", "-z", "merge", "diff", "text", "filter", "--", sample
    ).split(b"\0")
    attributes = dict(zip(listed[1::3], listed[2::3], strict=True))
    config = _Config(repository, repository.top, ())
    found = {it.key: (config.values(it.key) or [""])[-1] for it in settings_for()}
    checks = [
        _attribute("merge attribute", attributes, b"merge", "zsm"),
        *(
            Check(it.key, it.is_ours(found[it.key]), found[it.key] or "not set")
            for it in settings_for()
            if it.key != "merge.zsm.name"
        ),
        _program(found["merge.zsm.driver"]),
        _attribute("diff attribute", attributes, b"diff", "zsm"),
        _attribute("text attribute", attributes, b"text", "unset"),
        _attribute("filter attribute", attributes, b"filter", "unset"),
    ]
    policy = (config.values("zsm.policy") or ["manual"])[-1]
    return [*checks, Check("policy", policy in set(Policy), policy)]


def _attribute(name: str, found: dict[bytes, bytes], key: bytes, wanted: str) -> Check:
    value = os.fsdecode(found[key])
    is_met = value == wanted
    return Check(name, is_met, value if is_met else f"{value}, not {wanted}")


def _program(driver: str) -> Check:
    """Look for the program that a driver's command starts."""
    try:
        words = shlex.split(driver.replace("%%", "%"))
    except ValueError:
        words = []
    name = words[0] if words else PROGRAM
    found = shutil.which(name)
    return Check("program", found is not None, found or f"no {name!r} on the PATH")


@dataclass(frozen=True, slots=True)
class _Config:
    """Settings of git."""

    repository: Repository | None
    """None: the user's."""
    place: Path
    scope: tuple[str, ...]

    @classmethod
    def of(cls, registry: Path, scope: Scope) -> _Config:
        if scope is Scope.GLOBAL:
            return cls(None, Path.cwd(), ("--global",))
        repository = Repository.around(registry)
        return cls(repository, repository.top, ("--local",))

    def values(self, key: str) -> list[str]:
        found = self._run("-z", "--get-all", key)
        return [os.fsdecode(value) for value in found.split(b"\0")[:-1]]

    def set(self, setting: Setting) -> None:
        self._run("--replace-all", setting.key, setting.value)

    def unset(self, setting: Setting) -> None:
        self._run("--unset-all", setting.key)

    def _run(self, *args: str) -> bytes:
        # 1: there is no such setting. 5: nothing to unset.
        line = ("config", *self.scope, *args)
        if self.repository is None:
            return run_git(self.place, *line, expect=(0, 1))
        return self.repository.run(*line, expect=(0, 1))


def _change_block(
    repository: Repository,
    added: Iterable[bytes],
    removed: Iterable[bytes],
    changes: Changes,
    *,
    dry_run: bool,
) -> list[bytes]:
    """Add lines to the block of the attributes or remove some; return what is there."""
    path = repository.git_path("info/attributes").resolve()
    try:
        content = path.read_bytes() if path.exists() else b""
    except OSError as error:
        raise StorageError.of("read", path, error) from error
    before = lines_of_block(content)
    after = [*before, *(line for line in added if line not in before)]
    after = [line for line in after if line not in set(removed)]
    if after == before:
        return after
    for line in (line for line in after if line not in before):
        changes.done.append(f"add {os.fsdecode(line)} to '{path}'")
    for line in (line for line in before if line not in after):
        changes.done.append(f"remove {os.fsdecode(line)} from '{path}'")
    if not dry_run:
        _replace(path, with_block(content, after))
    return after


def _replace(path: Path, content: bytes) -> None:
    if not content:
        path.unlink(missing_ok=True)
        return
    make_directory(path.parent)
    with staged((content,), f"{path.name}.zsm", path.parent) as staging:
        publish(staging, path)
