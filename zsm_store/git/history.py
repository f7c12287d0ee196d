"""The versions of one artifact that git remembers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from zsm_store.codec.artifact_json import decode_with_digest
from zsm_store.errors import FormatError
from zsm_store.storage.listing import FAN_DIGITS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from zsm_store.git.repository import Repository
    from zsm_store.model.artifact import ModelArtifact

_LOG = (
    "log",
    # Without it git leaves out what lost a merge.
    "--full-history",
    # A parent is never before its child, whatever the clocks said.
    "--date-order",
    # Of merges, only what is like neither side: somebody trained anew.
    "-c",
    "--raw",
    "--no-abbrev",
    "--no-renames",
    # Whatever the user has set for `git log`.
    "--no-show-signature",
    "--encoding=UTF-8",
    "-z",
    "--format=%x01%H%x00%at%x00%aN%x00%s",
)
_HEADER = 4
_NONE = "0"
"""What the id of a blob consists of where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommittedVersion:
    """What a commit made of an artifact."""

    commit: str
    authored_at: int
    """Unix time in seconds."""
    author: str
    subject: str
    """First line of the message."""
    digest: str | None
    """None where it cannot be read, and where the commit deleted it."""
    artifact: ModelArtifact | None
    problem: str = ""
    """Why it cannot be read."""

    @property
    def is_deletion(self) -> bool:
        """Whether the commit deleted it."""
        return self.artifact is None and not self.problem


class _Commit(NamedTuple):
    commit: str
    authored_at: int
    author: str
    subject: str
    name: str
    """Of the file that it wrote or deleted."""
    blob: str | None
    """None if it deleted it."""


def committed_versions(
    repository: Repository, directory: Path | str, schema_hash: str
) -> list[CommittedVersion]:
    """Return what the commits up to HEAD made of an artifact, the last one first.

    Those that lost a merge are among them. Moves from one layout to the other are not.

    Parameters
    ----------
    repository
        The one that the registry is in.
    directory
        The registry's.
    schema_hash
        Of the artifact; it may be deleted by now.

    Raises
    ------
    GitError
        The history cannot be read.
    """
    if not repository.run("rev-parse", "--verify", "--quiet", "HEAD", expect=(0, 1)):
        return []  # nothing is committed yet
    folder = repository.relative(directory)
    start = "" if folder == "." else f"{folder}/"
    file = f"{schema_hash}.json"
    names = f"{start}{file}", f"{start}{schema_hash[:FAN_DIGITS]}/{file}"
    commits = list(_commits(repository.run(*_LOG, "--", *names)))
    contents = repository.blobs(it.blob for it in commits if it.blob is not None)
    return [_version(it, contents, schema_hash) for it in commits]


def _commits(output: bytes) -> Iterator[_Commit]:
    """Read what git prints: a header, then each file with its ids, both to a NUL."""
    tokens = [token.decode(errors="replace") for token in output.split(b"\0")]
    place = 0
    header: list[str] = []
    changes: list[tuple[str, str]] = []
    while place < len(tokens):
        token = tokens[place].removeprefix("\n")
        if token.startswith("\x01"):
            yield from _changed(header, changes)
            header = [token[1:], *tokens[place + 1 : place + _HEADER]]
            changes = []
            place += _HEADER
        elif token.startswith(":"):
            changes.append((token, tokens[place + 1]))
            place += 2
        else:
            place += 1
    yield from _changed(header, changes)


def _changed(header: list[str], changes: list[tuple[str, str]]) -> Iterator[_Commit]:
    """Yield what a commit wrote; nothing if it only moved or touched a file."""
    before, after, deleted = set(), {}, []
    for facts, name in changes:
        # One colon for each parent, then the modes and the ids of them and of the new.
        parents = len(facts) - len(facts.lstrip(":"))
        ids = facts.split(" ")[parents + 1 : 2 * parents + 2]
        before.update(ids[:-1])
        if ids[-1].strip(_NONE):
            after[name] = ids[-1]
        else:
            deleted.append(name)
    if not header:
        return
    commit, authored_at, author, subject = header
    facts_of = commit, int(authored_at), author, subject
    for name, blob in after.items():
        if blob not in before:
            yield _Commit(*facts_of, name, blob)
    if not after:
        for name in deleted:
            yield _Commit(*facts_of, name, None)


def _version(
    commit: _Commit, contents: dict[str, bytes], schema_hash: str
) -> CommittedVersion:
    artifact, digest, problem = None, None, ""
    if commit.blob is not None:
        try:
            artifact, digest = decode_with_digest(contents[commit.blob], schema_hash)
        except FormatError as error:
            error.source = f"{commit.name} in commit {commit.commit}"
            problem = str(error)
    return CommittedVersion(
        commit=commit.commit,
        authored_at=commit.authored_at,
        author=commit.author,
        subject=commit.subject,
        digest=digest,
        artifact=artifact,
        problem=problem,
    )
