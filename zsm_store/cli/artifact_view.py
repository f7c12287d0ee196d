"""One artifact for people: what it is, and its match weights as bars."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from zsm_store.cli.artifact_list import utc
from zsm_store.cli.fact_text import share_of_odds
from zsm_store.cli.fingerprint_view import address_lines
from zsm_store.cli.printable import counted, display_width, fitted, printable
from zsm_store.cli.terminal import (
    Line,
    Styled,
    can_print,
    page_width,
    table_width,
)
from zsm_store.cli.weight_bars import WeightScale

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zsm_store.model.artifact import ModelArtifact
    from zsm_store.model.fingerprint import FieldStats

_EXAMPLES = 3
_NUMBERS = "  {level:>5}  {m:>9}  {u:>9}  {weight:>7}  "


def artifact_lines(artifact: ModelArtifact, digest: str) -> Iterator[Line]:
    """Header, then for each field a row per comparison level."""
    yield from _header(artifact, digest)
    params, stats = artifact.params, artifact.fingerprint.field_stats
    is_known = len(params.m) == len(stats)
    if not is_known:
        yield ""
        yield f"{len(params.m)} rows of m for {len(stats)} fields: whose is not known"
    weights = params.match_weights()
    heading = _NUMBERS.format(level="level", m="m", u="u", weight="weight")
    scale = WeightScale.of(
        weights, page_width() - len(heading), blocks=can_print("█▌▐│")
    )
    yield ""
    yield Styled(heading + scale.title(), bold=True)
    for number, (m_row, u_row, row) in enumerate(
        zip(params.m, params.u, weights, strict=True)
    ):
        yield _field_line(stats[number]) if is_known else f"row {number}"
        for level, (m, u, weight) in enumerate(zip(m_row, u_row, row, strict=True)):
            numbers = _NUMBERS.format(
                level=level,
                m=_probability(m),
                u=_probability(u),
                weight=f"{weight:+.2f}",
            )
            yield [numbers, *scale.bar(weight)]


def _header(artifact: ModelArtifact, digest: str) -> Iterator[Line]:
    fingerprint, params = artifact.fingerprint, artifact.params
    yield ["schema hash ", Styled(artifact.schema_hash, bold=True)]
    yield f"digest      {digest}"
    if artifact.tag is not None:
        yield f"tag         {artifact.tag}"
    iterations = counted(artifact.em_iterations, "EM iteration")
    yield f"trained     {utc(artifact.trained_on)} UTC, {iterations}"
    sample = counted(fingerprint.record_count, "record")
    yield f"sample      {sample}, {utc(fingerprint.created_at)} UTC"
    share = share_of_odds(params.log_prior_odds)
    odds = f"{params.log_prior_odds:.4g}"
    yield f"prior       log odds {odds}: {share:.3g} of the pairs match"
    yield (
        f"thresholds  match from {params.upper_threshold:.4g}, "
        f"non-match below {params.lower_threshold:.4g}"
    )
    yield from address_lines(fingerprint)
    if artifact.extra is not None:
        extra = json.dumps(dict(artifact.extra), ensure_ascii=False, sort_keys=True)
        yield f"extra       {extra}"


def _field_line(stats: FieldStats) -> Line:
    facts = f"{stats.null_rate * 100:.1f} % missing, {stats.cardinality:,} distinct"
    examples = ", ".join(stats.top_k[:_EXAMPLES])
    about = f" ({stats.kind.value}), {facts}{': ' if examples else ''}{examples}"
    limit = table_width()
    if limit is not None:
        about = fitted(printable(about), limit - display_width(printable(stats.name)))
    return [Styled(stats.name, bold=True), about]


def _probability(value: float) -> str:
    """Return fixed point where four decimals say something, else an exponent."""
    return f"{value:.4f}" if value == 0 or value >= 0.001 else f"{value:.2e}"  # noqa: PLR2004  # three digits are left
