"""Bytes of a table -> lines of text, streamed."""

from __future__ import annotations

import codecs
import io
import re
from collections import deque
from typing import TYPE_CHECKING, BinaryIO, Self

from zsm_store.errors import TableError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MAX_LINE = 1 << 24
"""Longest line in characters. Without a bound, a file without line breaks would have to
fit into memory."""

_PREAMBLE = 1 << 16
# UTF-32 first: its little-endian mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_FOREIGN = (
    (b"ZSM\x01", "a .zsm bundle of models: give a table of records"),
    (b"PK\x03\x04", "a zip archive or a spreadsheet: export a table as CSV first"),
    (b"\x1f\x8b", "compressed with gzip: unpack it first"),
    (b"\xfd7zXZ\x00", "compressed with xz: unpack it first"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd: unpack it first"),
    (b"PAR1\x15", "a Parquet file: export it as CSV first"),
    (b"SQLite format 3\x00", "an SQLite database: export a table as CSV first"),
)
# Text holds no NUL or a stray one; of UTF-16 without a mark, every other byte is NUL.
_NULS_AT_LEAST = 16
_NULS_SHARE = 10

_KEEP_UNDECODABLE = "zsm-keep-undecodable"
_UNDECODABLE = re.compile(r"[\udc00-\udcff]")


def _keep_undecodable(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    bad = error.object[error.start : error.end]
    return "".join(chr(0xDC00 + byte) for byte in bad), error.end


# Undecodable bytes pass the decoder as lone surrogates, which no decoded text holds,
# and raise when their line is reached. A decoder that raises by itself does so some
# kilobytes early: whether a sample can be read would depend on how far was read ahead.
codecs.register_error(_KEEP_UNDECODABLE, _keep_undecodable)


class TextLines:
    """Lines of a table with their line ends, in one pass.

    A line ends with LF, CRLF or a lone CR, as for the peer's CSV reader.

    Raises
    ------
    TableError
        At construction: an unknown encoding, a byte order mark that contradicts it, or
        a file that is no text. While iterating: undecodable bytes, a line longer than
        `MAX_LINE`, or an error of the file system.
    """

    encoding: str
    """The codec in use."""

    def __init__(self, stream: BinaryIO, source: str, encoding: str | None) -> None:
        self._source = source
        replay = _Replay(stream, source)
        _refuse_foreign(replay.preamble, source)
        self.encoding, self._mark = _encoding(replay.preamble, encoding, source)
        self._text = io.TextIOWrapper(
            io.BufferedReader(replay),
            encoding=self.encoding,
            errors=_KEEP_UNDECODABLE,
            newline="",  # line breaks inside quotes are part of a value: keep them
        )
        self._number = 0
        self._peeked: deque[str] = deque()
        self._deferred: TableError | None = None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        if self._peeked:
            return self._peeked.popleft()
        if self._deferred is not None:
            raise self._deferred
        return self._next_line()

    def peek(self, lines: int, characters: int) -> list[str]:
        """Return the lines ahead without consuming them.

        Ends after `lines` lines, with the line that reaches `characters`, or before a
        line that cannot be read; iteration raises that error when it gets there.
        """
        size = sum(map(len, self._peeked))
        while len(self._peeked) < lines and size < characters:
            try:
                line = self._next_line()
            except StopIteration:
                break
            except TableError as error:
                self._deferred = error
                break
            self._peeked.append(line)
            size += len(line)
        return list(self._peeked)

    def _next_line(self) -> str:
        self._number += 1
        try:
            line = self._text.readline(MAX_LINE + 1)
        except UnicodeError as error:  # of codecs that know no error handlers
            raise TableError(
                f"not {self.encoding}: {error}: give another encoding",
                source=self._source,
                line=self._number,
            ) from None
        if not line:
            raise StopIteration
        if self._number == 1:
            line = line.removeprefix(self._mark)
        if len(line) > MAX_LINE:
            raise TableError(
                f"longer than {MAX_LINE} characters: check that this is a table",
                source=self._source,
                line=self._number,
            )
        # isascii() reads a flag of the string, and most lines are ASCII.
        if not line.isascii() and (bad := _UNDECODABLE.search(line)):
            raise self._undecodable(line[: bad.start()], bad[0])
        return line

    def _undecodable(self, before: str, bad: str) -> TableError:
        offset = len(before.encode(self.encoding)) - len("".encode(self.encoding))
        name = codecs.lookup(self.encoding).name.removesuffix("-sig")
        other = "utf-8" if name.startswith("cp") else "cp1252"
        return TableError(
            f"byte {offset} of the line is 0x{ord(bad) - 0xDC00:02x}, which is not "
            f"{name}: give the encoding, for example '--encoding {other}'",
            source=self._source,
            line=self._number,
        )


class _Replay(io.RawIOBase):
    """A stream whose first bytes were looked at."""

    def __init__(self, stream: BinaryIO, source: str) -> None:
        self._stream = stream
        self._source = source
        self.preamble = b""
        # A pipe gives what it has; what the file is must not depend on that.
        while len(self.preamble) < _PREAMBLE:
            more = self._read(_PREAMBLE - len(self.preamble))
            if not more:
                break
            self.preamble += more
        self._unread = memoryview(self.preamble)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        target = memoryview(buffer).cast("B")
        data: bytes | memoryview
        if self._unread:
            data = self._unread[: len(target)]
            self._unread = self._unread[len(target) :]
        else:
            data = self._read(len(target))
        target[: len(data)] = data
        return len(data)

    def _read(self, size: int) -> bytes:
        try:
            return self._stream.read(size)
        except OSError as error:
            raise TableError(
                f"{(error.strerror or str(error)).lower()}: "
                "check the disk or the network and try again",
                source=self._source,
            ) from error


def _refuse_foreign(preamble: bytes, source: str) -> None:
    for start, what in _FOREIGN:
        if preamble.startswith(start):
            raise TableError(f"this is {what}", source=source)


def _encoding(preamble: bytes, given: str | None, source: str) -> tuple[str, str]:
    """Return the codec, and what it leaves of the byte order mark."""
    mark, marked = next(
        (pair for pair in _MARKS if preamble.startswith(pair[0])), (b"", "utf-8")
    )
    encoding = given or marked
    try:
        # Unlike codecs.lookup(), refuses codecs that turn bytes into bytes.
        io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        wide = codecs.lookup(encoding).name.startswith(("utf-16", "utf-32"))
        left = mark.decode(encoding, "replace")
    except (LookupError, ValueError):
        raise TableError(
            f"unknown encoding {encoding!r}: 'utf-8', 'cp1252' or 'utf-16' would do",
            source=source,
        ) from None
    if left.strip("\ufeff"):
        raise TableError(
            f"the byte order mark says {marked.removesuffix('-sig')}, "
            f"the given encoding is {given!r}: leave out the encoding",
            source=source,
        )
    nuls = preamble.count(0)
    if not wide and nuls >= _NULS_AT_LEAST and nuls * _NULS_SHARE > len(preamble):
        raise TableError(
            "this is no text: give CSV or JSON Lines, or, for UTF-16 without a byte "
            "order mark, '--encoding utf-16-le'",
            source=source,
        )
    return encoding, left
