"""The rules that give a column its kind, and the file they are read from."""

from __future__ import annotations

import importlib.resources
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from zsm_store.errors import TableError
from zsm_store.model.schema import FieldKind
from zsm_store.tables.reader import unopened

if TYPE_CHECKING:
    from collections.abc import Callable

_NAME_LISTS = ("contains", "equals", "starts", "ends")
_PERCENTS = ("matching_at_least", "distinct_at_least", "distinct_at_most")
_LENGTHS = ("mean_length_at_least", "mean_length_at_most")

RuleT = TypeVar("RuleT")


@dataclass(frozen=True, slots=True, kw_only=True)
class NameRule:
    """A kind for columns whose lower-cased name meets any of the texts."""

    kind: FieldKind
    contains: tuple[str, ...] = ()
    equals: tuple[str, ...] = ()
    starts: tuple[str, ...] = ()
    ends: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueRule:
    """A kind for columns whose values meet every condition that is set."""

    kind: FieldKind
    matches: re.Pattern[str] | None = None
    """Of a whole value."""
    what: str = "the pattern"
    matching_at_least: int | None = None
    """Percent of the values that match."""
    distinct_at_least: int | None = None
    """Percent: distinct values / values."""
    distinct_at_most: int | None = None
    mean_length_at_least: int | None = None
    """Bytes of UTF-8, which is how the peer measures."""
    mean_length_at_most: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KindRules:
    """All rules: first the names in order, then the values in order, then the rest."""

    names: tuple[NameRule, ...]
    values: tuple[ValueRule, ...]
    otherwise: FieldKind


def load_kind_rules(path: Path | str | None = None) -> KindRules:
    """Read a rules file; the rules of the package, which are the peer's, if None.

    Raises
    ------
    TableError
        The file cannot be read, is no TOML, or holds a rule that cannot work.
    """
    if path is None:
        packaged = importlib.resources.files("zsm_store.tables") / "kind_rules.toml"
        return _rules(packaged.read_bytes(), packaged.name)
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise TableError(unopened(error, path), source=path) from error
    return _rules(content, str(path))


def _rules(content: bytes, source: str) -> KindRules:
    try:
        document = tomllib.loads(content.decode())
    except ValueError as error:  # no UTF-8, or no TOML
        raise TableError(f"not TOML: {error}", source=source) from None
    try:
        _refuse_unknown(document, ("name", "values", "otherwise"))
        return KindRules(
            names=_each(document, "name", _name_rule),
            values=_each(document, "values", _value_rule),
            otherwise=_kind(document, "otherwise"),
        )
    except ValueError as error:
        raise TableError(str(error), source=source) from None


def _each(
    document: dict[str, Any], key: str, read: Callable[[dict[str, Any]], RuleT]
) -> tuple[RuleT, ...]:
    rules = document.get(key, [])
    if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
        message = f"{key!r} must be a list of rules: write each under [[{key}]]"
        raise ValueError(message)
    found = []
    for number, rule in enumerate(rules, 1):
        try:
            found.append(read(rule))
        except ValueError as error:
            message = f"[[{key}]] rule {number}: {error}"
            raise ValueError(message) from None
    return tuple(found)


def _name_rule(rule: dict[str, Any]) -> NameRule:
    _refuse_unknown(rule, ("kind", *_NAME_LISTS))
    lists = {key: _texts(rule, key) for key in _NAME_LISTS if key in rule}
    if not any(lists.values()):
        message = f"no condition: give one of {', '.join(_NAME_LISTS)}"
        raise ValueError(message)
    return NameRule(kind=_kind(rule, "kind"), **lists)


def _value_rule(rule: dict[str, Any]) -> ValueRule:
    _refuse_unknown(rule, ("kind", "matches", "what", *_PERCENTS, *_LENGTHS))
    if ("matches" in rule) != ("matching_at_least" in rule):
        message = "'matches' and 'matching_at_least' go together: give both or neither"
        raise ValueError(message)
    numbers = {key: _number(rule, key, 100) for key in _PERCENTS if key in rule}
    numbers |= {key: _number(rule, key, None) for key in _LENGTHS if key in rule}
    if not numbers:
        message = "no condition, so it would always hold: use 'otherwise' for that"
        raise ValueError(message)
    return ValueRule(
        kind=_kind(rule, "kind"),
        matches=_pattern(rule["matches"]) if "matches" in rule else None,
        what=_text(rule.get("what", "the pattern"), "what"),
        matching_at_least=numbers.get("matching_at_least"),
        distinct_at_least=numbers.get("distinct_at_least"),
        distinct_at_most=numbers.get("distinct_at_most"),
        mean_length_at_least=numbers.get("mean_length_at_least"),
        mean_length_at_most=numbers.get("mean_length_at_most"),
    )


def _refuse_unknown(table: dict[str, Any], known: tuple[str, ...]) -> None:
    for key in table:
        if key not in known:
            message = f"unknown key {key!r}: the keys are {', '.join(known)}"
            raise ValueError(message)


def _kind(table: dict[str, Any], key: str) -> FieldKind:
    if key not in table:
        message = f"{key!r} is missing: give a field kind"
        raise ValueError(message)
    return FieldKind(table[key])  # its InvalidArtifactError is a ValueError


def _texts(rule: dict[str, Any], key: str) -> tuple[str, ...]:
    if not isinstance(rule[key], list):
        message = f"{key!r} must be a list of texts"
        raise ValueError(message)  # noqa: TRY004  # a bad file, not a bad call
    texts = tuple(_text(item, key) for item in rule[key])
    for text in texts:
        if text != text.lower():
            message = f"{key!r} has {text!r}: write lower case, as names are compared"
            raise ValueError(message)
    return texts


def _text(value: object, key: str) -> str:
    if not isinstance(value, str) or not value:
        message = f"{key!r} must hold text that is not empty, found {value!r}"
        raise ValueError(message)
    return value


def _number(rule: dict[str, Any], key: str, most: int | None) -> int:
    value = rule[key]
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or value < 0 or (most is not None and value > most):
        wanted = "0 or more" if most is None else f"0 to {most}"
        message = f"{key!r} must be a whole number, {wanted}, found {value!r}"
        raise ValueError(message)
    return int(value)


def _pattern(value: object) -> re.Pattern[str]:
    text = _text(value, "matches")
    try:
        return re.compile(text)
    except re.error as error:
        message = f"'matches' is no regular expression: {text!r}: {error}"
        raise ValueError(message) from None
