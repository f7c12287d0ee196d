"""The kind of each column, and the rule that decided it."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from zsm_store.errors import TableError
from zsm_store.model.sampling import value_text
from zsm_store.model.schema import FieldKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from zsm_store.tables.kind_rules import KindRules, NameRule, ValueRule

VALUES = 50
"""How many values of a column, the first that are not missing, its kind rests on."""

# A to Z only, as the peer: str.lower() would also turn a KELVIN SIGN into a k.
_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")
_SHOWN_COLUMNS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class KindDecision:
    """The kind of one column and what it rests on."""

    name: str
    kind: FieldKind
    rule: str
    """For people, such as ``name contains 'geboortedatum'``."""


def infer_kinds(
    columns: Sequence[str],
    head: Sequence[Mapping[str, Any]],
    rules: KindRules,
    given: Mapping[str, FieldKind],
) -> tuple[KindDecision, ...]:
    """Decide the kind of each column.

    Parameters
    ----------
    columns
        Names, in the order of the table.
    head
        The first records. The values of a column count if its name says nothing.
    rules
        See `load_kind_rules`.
    given
        Kinds by column name that no rule may change.

    Raises
    ------
    TableError
        A kind is given for a column that does not exist.
    """
    check_columns_exist(given, columns)
    return tuple(
        KindDecision(name=name, kind=kind, rule=rule)
        for name in columns
        for kind, rule in [_decide(name, head, rules, given)]
    )


def check_columns_exist(names: Iterable[str], columns: Sequence[str]) -> None:
    """Refuse a name that is not among the columns; the error lists those that are."""
    known = frozenset(columns)
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, columns, n=1)
            hint = f"did you mean {close[0]!r}, of " if close else "the columns are "
            listed = ", ".join(map(repr, columns[:_SHOWN_COLUMNS]))
            more = len(columns) - _SHOWN_COLUMNS
            rest = f" and {more} more" if more > 0 else ""
            raise TableError(f"no column {name!r}: {hint}{listed}{rest}")


def _decide(
    name: str,
    head: Sequence[Mapping[str, Any]],
    rules: KindRules,
    given: Mapping[str, FieldKind],
) -> tuple[FieldKind, str]:
    if name in given:
        return FieldKind(given[name]), "given by --kind"
    lowered = name.translate(_LOWER)
    for name_rule in rules.names:
        if (reason := _name_reason(lowered, name_rule)) is not None:
            return name_rule.kind, reason
    texts = (value_text(record.get(name)) for record in head)
    values = list(islice((text for text in texts if text is not None), VALUES))
    if not values:
        return rules.otherwise, "no values"
    facts = _Facts(
        count=len(values),
        distinct=len(set(values)),
        length=sum(len(text.encode()) for text in values),
    )
    for value_rule in rules.values:
        if (reason := _value_reason(values, facts, value_rule)) is not None:
            return value_rule.kind, reason
    return rules.otherwise, f"no rule fits the {facts.noun}"


def _name_reason(name: str, rule: NameRule) -> str | None:
    for text in rule.contains:
        if text in name:
            return f"name contains {text!r}"
    for text in rule.equals:
        if text == name:
            return f"name is {text!r}"
    for text in rule.starts:
        if name.startswith(text):
            return f"name starts with {text!r}"
    for text in rule.ends:
        if name.endswith(text):
            return f"name ends with {text!r}"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    """What value rules ask of a column. `count` is at least 1."""

    count: int
    distinct: int
    length: int
    """Bytes of all values together."""

    @property
    def noun(self) -> str:
        return f"{self.count} values" if self.count > 1 else "1 value"


def _value_reason(values: list[str], facts: _Facts, rule: ValueRule) -> str | None:
    matching = None
    if rule.matches is not None:
        matching = sum(rule.matches.fullmatch(text) is not None for text in values)
        if not _within(matching * 100, facts.count, rule.matching_at_least, None):
            return None
    distinct = rule.distinct_at_least, rule.distinct_at_most
    length = rule.mean_length_at_least, rule.mean_length_at_most
    if not _within(facts.distinct * 100, facts.count, *distinct):
        return None
    if not _within(facts.length, facts.count, *length):
        return None
    said = []
    if matching is not None:
        said.append(f"{_ratio(matching * 100, facts.count)} % match {rule.what}")
    if distinct != (None, None):
        said.append(f"{_ratio(facts.distinct * 100, facts.count)} % are distinct")
    if length != (None, None):
        said.append(f"mean length {_ratio(facts.length, facts.count)} bytes")
    said[0] = said[0].replace(" % ", f" % of {facts.noun} ", 1)
    return ", ".join(said)


def _within(total: int, count: int, least: int | None, most: int | None) -> bool:
    """Whether total / count lies between the bounds, decided on integers.

    0.8 is no float: compared as a quotient, a share of exactly 80 % could miss 80 %.
    For up to 50 values the peer's float32 quotients decide the same.
    """
    return (least is None or total >= least * count) and (
        most is None or total <= most * count
    )


def _ratio(total: int, count: int) -> str:
    return f"{total / count:.1f}".removesuffix(".0")
