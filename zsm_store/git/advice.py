"""What a person may type about a conflict that is left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zsm_store.git.choice import Side

if TYPE_CHECKING:
    from zsm_store.git.choice import Version

_DIGITS = 12
"""Of a hash: unique in every registry there will be, and short enough to read."""


def advice(
    schema_hash: str,
    base: Version | None,
    ours: Version | None,
    theirs: Version | None,
) -> str:
    """Return commands that end a conflict, in one line."""
    ref = schema_hash[:_DIGITS]
    versions = {Side.OURS: ours, Side.THEIRS: theirs}
    sound = [side for side, it in versions.items() if it is not None and it.artifact]
    if not sound:
        return "'git checkout COMMIT -- FILE', with one that has it whole"
    side = sound[0]
    if len(sound) > 1:
        return f"'zsm git resolve --{side} {ref}', or --{side.other}"
    if versions[side.other] is None and base is None:
        return f"'zsm git resolve --{side} {ref}' keeps it, 'git rm' deletes it"
    if versions[side.other] is None:
        return f"'zsm git resolve --{side} {ref}' keeps it, --{side.other} deletes it"
    return f"'zsm git resolve --{side} {ref}'"
