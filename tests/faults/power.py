"""What a power cut would take, by the rules of the strictest file systems."""

from __future__ import annotations

import os


class Power:
    """Keeps account of what was changed and not synced since.

    Content is safe once its file was synced; a name is safe, or safely gone, once its
    directory was.
    """

    def __init__(self) -> None:
        self._content: set[str] = set()
        self._names: set[str] = set()

    def note_write(self, path: str) -> None:
        self._content.add(path)

    def note_name(self, path: str) -> None:
        self._names.add(path)

    def note_unlink(self, path: str) -> None:
        self._content.discard(path)
        self._names.add(path)

    def note_rename(self, source: str, target: str) -> None:
        self._content.discard(target)
        if source in self._content:
            self._content.remove(source)
            self._content.add(target)
        self._names.add(target)

    def note_sync(self, path: str) -> None:
        self._content.discard(path)
        self._names = {name for name in self._names if os.path.dirname(name) != path}  # noqa: PTH120  # a name, not a Path

    def at_risk(self) -> list[str]:
        """Return what a power cut now might take, but for what can be made again."""
        return sorted(
            path for path in self._content | self._names if "/.zsm" not in path
        )
