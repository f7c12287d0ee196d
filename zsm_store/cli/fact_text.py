"""Facts of an artifact as text, the same in every comparison and quick to import."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from zsm_store.cli.printable import printable
from zsm_store.model.schema import NullPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from zsm_store.model.artifact import ModelArtifact
    from zsm_store.model.fingerprint import FieldStats
    from zsm_store.model.schema import FieldMapping

NOTHING = "-"
"""What is said of a value that is not there."""


def number(value: float) -> str:
    """Return 6 significant digits: what a float32 can promise."""
    return f"{value:.6g}"


def signed(value: float) -> str:
    """Return a number like `number`, with its sign: a weight, or a change."""
    return f"{value:+.6g}"


def share_of_odds(log_odds: float) -> float:
    """Return the probability of natural log odds of any size."""
    odds = math.exp(-abs(log_odds))  # of the rarer side: it cannot overflow
    return (odds if log_odds < 0 else 1.0) / (1 + odds)


def texts(values: tuple[str, ...]) -> str:
    """Return texts in quotes, so that blanks and commas in them are seen."""
    return ", ".join(map(_quoted, values)) or NOTHING


def fact_text(name: str, value: Any) -> str:
    """Return the value of a fact, as `compare` names it."""
    if value is None:
        return NOTHING
    say = _SAID.get(name)
    return printable(value if say is None else say(value))


def artifact_facts(artifact: ModelArtifact, digest: str | None = None) -> Iterator[str]:
    """Yield an artifact as lines, one fact each.

    The digest tells what 6 digits do not.
    """
    fingerprint, params = artifact.fingerprint, artifact.params
    facts: dict[str, Any] = {
        "schema_hash": artifact.schema_hash,
        "digest": digest,
        "tag": artifact.tag,
        "trained_on": artifact.trained_on,
        "em_iterations": artifact.em_iterations,
        "record_count": fingerprint.record_count,
        "created_at": fingerprint.created_at,
        "log_prior_odds": params.log_prior_odds,
        "upper_threshold": params.upper_threshold,
        "lower_threshold": params.lower_threshold,
        "mappings": fingerprint.mappings or None,
    }
    for name, value in facts.items():
        if value is not None:
            yield f"{name} {fact_text(name, value)}"
    for name, given in (("context", fingerprint.context), ("extra", artifact.extra)):
        for key, text in object_texts(given).items():
            yield f"{name} {_quoted(key)} {text}"
    stats = fingerprint.field_stats
    is_known = len(params.m) == len(stats)
    for field in stats:
        for fact in field_facts(field):
            yield f"field {_quoted(field.name)} {fact}"
    weights = params.match_weights()
    rows = zip(params.m, params.u, weights, strict=True)
    for place, row in enumerate(rows):
        name = _quoted(stats[place].name) if is_known else str(place)
        for level, (m, u, weight) in enumerate(zip(*row, strict=True)):
            says = f"m={number(m)} u={number(u)} w={signed(weight)}"
            yield f"{'level' if is_known else 'row'} {name} {level} {says}"


def field_facts(stats: FieldStats) -> Iterator[str]:
    """Yield what a sample said about a field."""
    yield f"kind {stats.kind.value}"
    yield f"null_rate {number(stats.null_rate)}"
    yield f"cardinality {stats.cardinality:,}"
    yield f"top_k {texts(stats.top_k)}"


def object_texts(given: Mapping[str, Any] | None) -> dict[str, str]:
    """Return the values of a JSON object as text, by their keys, sorted."""
    if given is None:
        return {}
    # Once: each look at a key would decode the whole object.
    return {key: _json(value) for key, value in sorted(dict(given.items()).items())}


def _quoted(text: str) -> str:
    return printable(json.dumps(text, ensure_ascii=False))


def _json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return printable(text)


def _moment(seconds: int) -> str:
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (OverflowError, ValueError, OSError):  # where no calendar goes
        return f"@{seconds}"


def _prior(log_odds: float) -> str:
    return f"{number(log_odds)} ({number(share_of_odds(log_odds))} of the pairs match)"


def _mappings(mappings: tuple[FieldMapping, ...]) -> str:
    return ", ".join(map(_mapping, mappings)) or NOTHING


def _mapping(mapping: FieldMapping) -> str:
    pair = f"{_quoted(mapping.a_field)} = {_quoted(mapping.b_field)}"
    is_usual = mapping.null_policy is NullPolicy.SKIP
    return pair if is_usual else f"{pair} ({mapping.null_policy.value})"


def _count(count: int) -> str:
    return f"{count:,}"


def _object(given: Mapping[str, Any]) -> str:
    return _json(dict(given.items()))


_SAID: dict[str, Callable[[Any], str]] = {
    "tag": _quoted,
    "trained_on": _moment,
    "created_at": _moment,
    "em_iterations": _count,
    "record_count": _count,
    "log_prior_odds": _prior,
    "upper_threshold": number,
    "lower_threshold": number,
    "mappings": _mappings,
    "context": _object,
    "extra": _object,
    "field_order": texts,
}
