"""A lock that is a file, for network drives: whoever creates it holds it.

On some of those the locks of the operating system do not reach the other hosts. To
create a file that must not exist does, on all of them. What is lost with that is the
kernel's help when a holder dies, so the file says who holds it, and a rule says when
others may take it over:

* The holder ran on this host and is dead: after `DEAD_S`.
* Otherwise: a living holder writes into the file every few seconds. Who sees the same
  content for `SILENCE_S`, by his own clock, takes it for that of a dead one. A
  holder that was only suspended for that long finds out before it changes anything.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import orjson

from zsm_store.errors import StorageError
from zsm_store.storage.patience import SHARED_S
from zsm_store.storage.process_identity import ProcessIdentity
from zsm_store.storage.regular_file import open_regular, read_open

if TYPE_CHECKING:
    from pathlib import Path

    from zsm_store.storage.private import PrivateDirectory
    from zsm_store.storage.waiting import Waiting

logger = logging.getLogger(__name__)

MARKER_NAME = "lock"
DEAD_S = 0.5
"""How long a dead holder's file is looked at: a drive may show what is gone by now."""
SILENCE_S = 20.0
"""How long a holder may be silent that cannot be asked."""

_BEAT_S = 4.0
_LONGEST_GAP_S = 1.0
MARKER_BYTES = 4096
_GONE = frozenset({errno.ENOENT, errno.ESTALE, errno.ENOTDIR})
_TAKEN = frozenset({errno.EEXIST, errno.EPERM})
"""What is said where the file exists. EPERM: sshfs, of one just created elsewhere."""
_LEVELS = 8
_RETRY_S = (0.002, 0.01, 0.05)


class MarkerLock:
    """A file in the private folder of a registry, see the module."""

    poll_s = (0.005, 0.1)

    def __init__(self, private: PrivateDirectory) -> None:
        self._private = private
        self._path = private.path / MARKER_NAME
        self._token = os.urandom(16).hex()
        self._pid: int | None = None
        self._beats: threading.Thread | None = None
        self._released = threading.Event()

    @property
    def path(self) -> str:
        """The marker, for messages."""
        return str(self._path)

    def try_acquire(self, waiting: Waiting) -> bool:
        """Take the lock if it is free, or a dead holder's.

        Raises
        ------
        OSError
            The file system refuses the file.
        """
        try:
            _create(self._path, self._content(0))
        except (FileExistsError, PermissionError) as error:
            if error.errno not in _TAKEN:
                raise
            content = _read(self._path)
            if content is not None:
                self._judge(content, waiting)
            elif error.errno == errno.EPERM:
                waiting.look(b"", _LONGEST_GAP_S)
                if waiting.unchanged_s > SHARED_S:
                    raise
            return False
        except FileNotFoundError:
            self._private.make()
            return False
        self._pid = os.getpid()
        self._beats = threading.Thread(target=self._beat, name="zsm-lock", daemon=True)
        self._beats.start()
        return True

    def release(self) -> None:
        """Let go of it. Does nothing in the child of a fork."""
        pid, self._pid = self._pid, None
        if pid != os.getpid():
            return
        self._released.set()
        try:
            if self._beats is not None:
                self._beats.join()
        finally:
            self._remove()

    def is_lost(self) -> bool:
        """Whether somebody took it over, or removed it.

        Raises
        ------
        StorageError
            It cannot be read.
        """
        try:
            return self._pid != os.getpid() or not self._is_ours()
        except OSError as error:
            raise StorageError.of("read", self._path, error) from error

    def holder(self) -> str | None:
        """Name the process that holds it, as it says itself."""
        content = _read(self._path)
        owner = None if content is None else marker_owner(content)
        return None if owner is None else str(owner)

    def _remove(self) -> None:
        """Remove the marker: a living process is not taken for dead for `SILENCE_S`."""
        for wait_s in (*_RETRY_S, None):
            try:
                if self._is_ours():
                    self._path.unlink()
            except OSError:
                if wait_s is not None:
                    time.sleep(wait_s)
                    continue
            except BaseException:  # Ctrl-C; nobody presses it twice at once
                with suppress(OSError):
                    if self._is_ours():
                        self._path.unlink()
                raise
            return

    def _is_ours(self) -> bool:
        # A drive may hide a file, or show half of a beat, for a moment.
        for wait_s in (*_RETRY_S, None):
            content = _read(self._path)
            if content is not None and _token(content) == self._token.encode():
                return True
            if wait_s is not None:
                time.sleep(wait_s)
        return False

    def _content(self, beat: int) -> bytes:
        owner = ProcessIdentity.current()
        fields = {**owner._asdict(), "token": self._token, "beat": beat}
        return orjson.dumps(fields) + b"\n"

    def _beat(self) -> None:
        beat = 0
        while not self._released.wait(_BEAT_S):
            beat += 1
            with suppress(OSError):  # the next one may get through
                self._write_beat(self._content(beat))

    def _write_beat(self, content: bytes) -> None:
        # Neither rename nor truncate: others would see no file, or no content.
        fd = os.open(self._path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            # It may be somebody else's by now; what is open cannot become that.
            if _token(os.read(fd, MARKER_BYTES)) == self._token.encode():
                os.pwrite(fd, content, 0)
        finally:
            os.close(fd)

    def _judge(self, content: bytes, waiting: Waiting) -> None:
        """Take the marker away if its holder is dead."""
        waiting.look(content, _LONGEST_GAP_S)
        owner = marker_owner(content)
        is_dead = owner is not None and owner.is_surely_dead()
        # A level per taker that has died, or fallen silent, in the middle of it.
        for level in range(_LEVELS):
            needed = DEAD_S if is_dead else SILENCE_S * (level + 1)
            if waiting.unchanged_s < needed:
                return
            taker = self._take(content, level)
            if taker is None:
                logger.warning("took over '%s' of %s", self._path, owner or "nobody")
                return
            is_dead = taker.is_surely_dead()

    def _take(self, content: bytes, level: int) -> ProcessIdentity | None:
        """Remove the marker, unless another taker was first, who is returned.

        Every marker is unique, and so is who may remove it: otherwise a second taker,
        late, might remove the marker of the next holder.
        """
        name = hashlib.sha256(_token(content)).hexdigest()[:32]
        claim = self._private.staging_dir / f"{MARKER_NAME}.{name}.{level}"
        try:
            _create(claim, self._content(0))
        except (FileExistsError, PermissionError) as error:
            if error.errno not in _TAKEN:
                raise
            found = _read(claim)
            return (None if found is None else marker_owner(found)) or _UNKNOWN
        if _token(_read(self._path) or b"") == _token(content):
            with suppress(FileNotFoundError):
                self._path.unlink()
        return None


_UNKNOWN = ProcessIdentity("", "", 0, 0)


def _create(path: Path, content: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    # Not mkstemp's mode: those who share the registry have to read who holds it.
    fd = os.open(path, flags, 0o666)
    try:
        try:
            os.write(fd, content)
        finally:
            os.close(fd)
    except BaseException:  # Ctrl-C must not lock others out, either
        with suppress(OSError):
            path.unlink()
        raise


def _read(path: Path) -> bytes | None:
    """Return what a marker says; None where there is none."""
    try:
        try:
            fd, status = open_regular(path)
        except PermissionError:
            return _marked(b"", os.lstat(path))
        try:
            content = read_open(fd, status.st_size, MARKER_BYTES)
        finally:
            os.close(fd)
    except OSError as error:
        if error.errno in _GONE:
            return None
        raise
    return content if _fields(content) else _marked(content, status)


def _marked(content: bytes, status: os.stat_result) -> bytes:
    """Tell apart what says nothing, such as two empty files."""
    return content + repr((status.st_ino, status.st_mtime_ns)).encode()


def _fields(content: bytes) -> dict[str, object]:
    try:
        fields = orjson.loads(content)
    except orjson.JSONDecodeError:
        return {}
    return fields if isinstance(fields, dict) else {}


def marker_owner(content: bytes) -> ProcessIdentity | None:
    """Return who a marker says holds it; None where it says nothing of the kind."""
    fields = _fields(content)
    match [fields.get(name) for name in ProcessIdentity._fields]:
        case [str() as host, str() as kernel, int() as pid, int() as started]:
            shown = "".join(c if c.isprintable() else "?" for c in host)
            return ProcessIdentity(shown, kernel, pid, started) if pid > 0 else None
        case _:
            return None


def _token(content: bytes) -> bytes:
    """Return what tells one hold from all others, whatever was written since."""
    token = _fields(content).get("token")
    return token.encode() if isinstance(token, str) else content
