"""Check one file that somebody names, without the registry around it."""

from __future__ import annotations

import re
import stat
import time
from typing import TYPE_CHECKING

from zsm_store.codec.strict_json import MAX_BYTES
from zsm_store.errors import SettingsFormatError, StorageError
from zsm_store.registry.file_checks import content_problems
from zsm_store.registry.problem import Problem, Severity
from zsm_store.registry.settings import RegistrySettings
from zsm_store.registry.site import SETTINGS_NAME
from zsm_store.registry.store import EXHAUSTED
from zsm_store.storage.listing import FAN_DIGITS
from zsm_store.storage.patience import LOCAL_S, Patience
from zsm_store.storage.regular_file import read_regular

if TYPE_CHECKING:
    from pathlib import Path, PurePath

_RETRY_S = (0.002, 0.01)
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
_FOLDER = re.compile(r"[0-9a-f]{2}", re.ASCII | re.IGNORECASE)


def is_json_file(path: Path) -> bool:
    """Whether a path names what `file_problems` checks; the rest are registries."""
    return path.suffix.lower() == ".json" and not path.is_dir()


def file_problems(path: Path) -> list[Problem]:
    """Check one artifact file, or a `registry.json`, as it lies there.

    Takes no lock, writes nothing and looks at no other artifact, so that any number of
    processes can share the files of a registry out.

    Raises
    ------
    StorageError
        There is no such file.
    """
    name = str(path)
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):
            return [unserved_problem(name, is_link=stat.S_ISLNK(status.st_mode))]
        place = path.absolute()
        if place.name == SETTINGS_NAME:
            return settings_problems(read_regular(path, MAX_BYTES), name)
        is_root = (path.parent / SETTINGS_NAME).exists()
        misplaced = place_problem(place, name, is_root=is_root)
        if misplaced is not None:
            return [misplaced]
        found = _content_problems(path, name)
    except OSError as error:
        if isinstance(error, FileNotFoundError) or error.errno in EXHAUSTED:
            raise StorageError.of("open", path, error) from error
        message = f"unreadable: {error.strerror}"
        return [Problem(path=name, code="ZSM004", message=message)]
    other = path.parent / path.name[:FAN_DIGITS] / path.name
    if place.parent.name == path.name[:FAN_DIGITS]:
        other = path.parent.parent / path.name
    if other.is_file() and not other.is_symlink():
        found.append(twin_problem(name, str(other)))
    return found


def place_problem(place: PurePath, path: str, *, is_root: bool) -> Problem | None:
    """Check the name of an artifact file, and that of the folder that it is in.

    Parameters
    ----------
    place
        Where the file is.
    path
        The same, for the report.
    is_root
        Whether the folder is known to be that of a registry, whatever its name is.
    """
    folder = place.parent.name
    if not (_HASH.fullmatch(place.stem) and place.suffix == ".json"):
        message = "not named by 64 lower-case hex digits, so it is not served"
    elif (
        not is_root and _FOLDER.fullmatch(folder) and not place.name.startswith(folder)
    ):
        message = f"lies in {folder!r}, which is not its first two digits"
    else:
        return None
    return Problem(path=path, code="ZSM001", message=message)


def unserved_problem(path: str, *, is_link: bool) -> Problem:
    """Report what is named like an artifact and is no regular file."""
    kind = "a symbolic link" if is_link else "not a regular file"
    return Problem(path=path, code="ZSM002", message=f"{kind}, so it is not served")


def twin_problem(path: str, other: str) -> Problem:
    """Report an artifact that lies in both layouts."""
    message = f"the same artifact lies at {other}, too"
    return Problem(path=path, code="ZSM003", message=message)


def settings_problems(data: bytes, path: str) -> list[Problem]:
    """Check the bytes of a `registry.json`."""
    try:
        RegistrySettings.decode(data)
    except SettingsFormatError as error:
        return [Problem(path=path, code="ZSM050", message=error.reason)]
    return []


def _content_problems(path: Path, name: str) -> list[Problem]:
    data = _read(path)
    for wait_s in (*_RETRY_S, None):
        found = list(content_problems(data, path.stem, name))
        if wait_s is None or all(one.severity is not Severity.ERROR for one in found):
            break
        # Whoever writes in place, like git, shows half a file for a moment.
        time.sleep(wait_s)
        data = _read(path)
    return found


def _read(path: Path) -> bytes:
    patience = Patience(LOCAL_S)
    while True:
        try:
            return read_regular(path, MAX_BYTES)
        except FileNotFoundError:  # git removes a file before it writes the next one
            if not patience.wait():
                raise
