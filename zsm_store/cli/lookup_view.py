"""An answer of the registry for people and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zsm_store.cli.artifact_list import SHORT_DIGITS, artifact_json_row, utc
from zsm_store.cli.json_output import finite
from zsm_store.cli.printable import counted, printable, wrapped
from zsm_store.cli.terminal import Line, Styled, page_width, warn
from zsm_store.errors import InvalidArtifactError
from zsm_store.model.float32 import float32, shortest_float64
from zsm_store.model.startup import ColdStart, WarmLoad

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zsm_store.model.alignment import AlignedParams
    from zsm_store.model.artifact import ModelArtifact
    from zsm_store.model.startup import Explanation, FieldDrift, StartupMode

_WORDS = {
    "warm_load": ("warm load", "green"),
    "warm_start": ("warm start", "yellow"),
    "cold_start": ("cold start", "cyan"),
}
_STRONGEST = 3
_LABEL = 14
_NAMES = 8


def lookup_lines(mode: StartupMode) -> Iterator[Line]:
    """Mode and why, then what the two fingerprints share and where they differ."""
    words, color = _WORDS[mode.name]
    first, *rest = wrapped(f"{words}: {mode.reason}", page_width())
    yield [Styled(words, color, bold=True), first.removeprefix(words)]
    yield from rest
    artifact, explanation = _artifact_of(mode), mode.explanation
    if artifact is None or explanation is None:
        return
    yield ""
    yield from _rows(
        "nearest" if isinstance(mode, ColdStart) else "start from", _who(artifact)
    )
    if not isinstance(mode, WarmLoad):
        yield from _rows(
            "distance",
            f"{explanation.distance:.4f} = {explanation.structure:.4f} structure "
            f"+ {explanation.statistics:.4f} statistics",
        )
    yield from _difference_lines(explanation)
    if mode.runner_up is not None:
        second = mode.runner_up
        where = f"{second.schema_hash[:SHORT_DIGITS]} at distance {second.distance:.4f}"
        yield from _rows("runner-up", where)


def next_step(mode: StartupMode) -> str:
    """Say what to type next."""
    if isinstance(mode, ColdStart):
        return "next: train, then 'zsm save PARAMS.json TABLE'"
    show = f"'zsm show {mode.artifact.schema_hash[:SHORT_DIGITS]}'"
    return f"next: {show}, or 'zsm lookup --json' for aligned parameters"


def lookup_json(mode: StartupMode) -> dict[str, Any]:
    """Return the answer as JSON values, with parameters in the order of the table."""
    artifact, explanation, second = _artifact_of(mode), mode.explanation, mode.runner_up
    return {
        "schema_hash": mode.wanted.schema_hash,
        "mode": mode.name,
        "reason": mode.reason,
        "distance": None if mode.distance is None else shortest_float64(mode.distance),
        "artifact": None if artifact is None else artifact_json_row(artifact),
        "explanation": None if explanation is None else _explanation_json(explanation),
        "runner_up": None
        if second is None
        else {
            "schema_hash": second.schema_hash,
            "distance": shortest_float64(second.distance),
        },
        **_params_json(mode),
    }


def _artifact_of(mode: StartupMode) -> ModelArtifact | None:
    if not isinstance(mode, ColdStart):
        return mode.artifact
    return None if mode.nearest is None else mode.nearest.artifact


def _rows(label: str, text: str) -> Iterator[Line]:
    """Yield a labeled text, wrapped to the page."""
    label = f"  {label:<{_LABEL}}"
    for line in wrapped(printable(text), page_width() - len(label)):
        yield label + line
        label = " " * len(label)


def _who(artifact: ModelArtifact) -> str:
    short = artifact.schema_hash[:SHORT_DIGITS]
    named = short if artifact.tag is None else f"{artifact.tag} ({short})"
    records = counted(artifact.fingerprint.record_count, "record")
    return f"{named}, {records}, trained {utc(artifact.trained_on, '%Y-%m-%d')}"


def _difference_lines(explanation: Explanation) -> Iterator[Line]:
    yield from _rows("kept", _names(explanation.kept))
    if explanation.added:
        yield from _rows("added", _names(explanation.added))
    if explanation.removed:
        yield from _rows("removed", _names(explanation.removed))
    for change in explanation.kind_changed:
        kinds = f"{change.stored.value} -> {change.wanted.value}"
        yield from _rows("kind changed", f"{change.name}: {kinds}")
    strongest = sorted(explanation.drift, key=_strength, reverse=True)[:_STRONGEST]
    for number, drift in enumerate(strongest):
        yield from _rows("" if number else "drift", _drift_text(drift))


def _names(names: tuple[str, ...]) -> str:
    if not names:
        return "nothing"
    more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
    return f"{len(names)}: {', '.join(names[:_NAMES])}{more}"


def _drift_text(drift: FieldDrift) -> str:
    return (
        f"{drift.name}: missing {drift.null_rate * 100:+.1f} points, distinct "
        f"{drift.stored_cardinality:,} -> {drift.wanted_cardinality:,}"
    )


def _strength(drift: FieldDrift) -> float:
    """Share of the field's similarity that is lost, as the distance counts it."""
    most = max(drift.stored_cardinality, drift.wanted_cardinality, 1)
    distinct = abs(drift.stored_cardinality - drift.wanted_cardinality) / most
    return abs(drift.null_rate) + distinct


def _explanation_json(explanation: Explanation) -> dict[str, Any]:
    return {
        "schema_hash": explanation.schema_hash,
        "distance": shortest_float64(explanation.distance),
        "structure": shortest_float64(explanation.structure),
        "statistics": shortest_float64(explanation.statistics),
        "kept": list(explanation.kept),
        "added": list(explanation.added),
        "removed": list(explanation.removed),
        "kind_changed": [
            {"name": it.name, "stored": it.stored.value, "wanted": it.wanted.value}
            for it in explanation.kind_changed
        ],
        "drift": [
            {
                "name": it.name,
                "null_rate": finite(float32(it.null_rate)),
                "stored_cardinality": it.stored_cardinality,
                "wanted_cardinality": it.wanted_cardinality,
            }
            for it in explanation.drift
        ],
    }


def _params_json(mode: StartupMode) -> dict[str, Any]:
    """Parameters to start from, in the form that `zsm save` reads, and their origin."""
    aligned = _aligned(mode)
    if aligned is None:
        return {"params": None, "alignment": None}
    params = aligned.params
    return {
        "params": {
            "fields": [field.name for field in mode.wanted.fields],
            "m": [[shortest_float64(value) for value in row] for row in params.m],
            "u": [[shortest_float64(value) for value in row] for row in params.u],
            "log_prior_odds": shortest_float64(params.log_prior_odds),
            "upper_threshold": shortest_float64(params.upper_threshold),
            "lower_threshold": shortest_float64(params.lower_threshold),
        },
        "alignment": {
            "kept": list(aligned.kept),
            "filled": list(aligned.filled),
            "dropped": list(aligned.dropped),
        },
    }


def _aligned(mode: StartupMode) -> AlignedParams | None:
    if isinstance(mode, ColdStart):
        return None
    try:
        return mode.aligned()
    except InvalidArtifactError as error:
        # The peer stores what it is given; the answer itself is still right.
        warn(f"artifact {mode.artifact.schema_hash}: {error}")
        return None
