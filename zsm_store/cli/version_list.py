"""Versions of one artifact as rows, wherever they come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zsm_store.cli.artifact_list import (
    artifact_json_row,
    short_hashes,
    utc,
)
from zsm_store.cli.table import Column, table_lines
from zsm_store.codec.artifact_json import DIGEST_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from zsm_store.cli.terminal import Line
    from zsm_store.git.history import CommittedVersion
    from zsm_store.model.artifact import ModelArtifact
    from zsm_store.registry.version import Version

_COLUMNS = (
    Column("digest"),
    Column("replaced (UTC)"),
    Column("records", right=True),
    Column("EM", right=True),
    Column("tag", least=8),
    Column("trained (UTC)"),
)
_COMMIT_COLUMNS = (
    Column("digest"),
    Column("commit"),
    Column("date (UTC)"),
    Column("author", least=6),
    Column("records", right=True),
    Column("EM", right=True),
    Column("tag", least=8),
    Column("subject", least=8),
)


def version_lines(versions: Sequence[Version]) -> Iterator[Line]:
    """Lay out versions as a table, a line each."""
    digits = short_hashes(
        version.digest.removeprefix(DIGEST_PREFIX)
        for version in versions
        if version.digest is not None
    )
    return table_lines(_COLUMNS, [_row(version, digits) for version in versions])


def version_json_row(version: Version) -> dict[str, Any]:
    """Return the facts of a version as JSON values."""
    return {
        "digest": version.digest,
        "replaced_at": _seconds(version),
        **_training(version.artifact),
        "problem": version.problem or None,
    }


def commit_lines(commits: Sequence[CommittedVersion]) -> Iterator[Line]:
    """Lay out what commits made of an artifact as a table, a line each."""
    digits = short_hashes(
        it.digest.removeprefix(DIGEST_PREFIX) for it in commits if it.digest is not None
    )
    short = short_hashes(it.commit for it in commits)
    rows = [_commit_row(it, digits, short[it.commit]) for it in commits]
    return table_lines(_COMMIT_COLUMNS, rows)


def commit_json_row(version: CommittedVersion) -> dict[str, Any]:
    """Return the facts of a committed version as JSON values."""
    return {
        "commit": version.commit,
        "authored_at": version.authored_at,
        "author": version.author,
        "subject": version.subject,
        "digest": version.digest,
        **_training(version.artifact),
        "problem": version.problem or None,
    }


def _training(artifact: ModelArtifact | None) -> dict[str, Any]:
    row = {} if artifact is None else artifact_json_row(artifact)
    keys = ("tag", "record_count", "trained_on", "em_iterations")
    return {key: row.get(key) for key in keys}


def _commit_row(
    version: CommittedVersion, digits: dict[str, str], commit: str
) -> list[str]:
    date, artifact = utc(version.authored_at, "%Y-%m-%d"), version.artifact
    if artifact is None or version.digest is None:
        what, facts = "deleted" if version.is_deletion else "damaged", ["-", "-", "-"]
    else:
        what = digits[version.digest.removeprefix(DIGEST_PREFIX)]
        facts = [
            f"{artifact.fingerprint.record_count:,}",
            f"{artifact.em_iterations:,}",
            artifact.tag if artifact.tag is not None else "-",
        ]
    return [what, commit, date, version.author, *facts, version.subject]


def _row(version: Version, digits: dict[str, str]) -> list[str]:
    seconds, artifact = _seconds(version), version.artifact
    replaced = "served" if seconds is None else utc(seconds, "%Y-%m-%d %H:%M:%S")
    if artifact is None or version.digest is None:
        return ["damaged", replaced, "-", "-", "-", "-"]
    return [
        digits[version.digest.removeprefix(DIGEST_PREFIX)],
        replaced,
        f"{artifact.fingerprint.record_count:,}",
        f"{artifact.em_iterations:,}",
        artifact.tag if artifact.tag is not None else "-",
        utc(artifact.trained_on),
    ]


def _seconds(version: Version) -> int | None:
    """Return the Unix seconds of when it was replaced; None if it is served."""
    moment = version.replaced_at
    return None if moment is None else int(moment.timestamp())
