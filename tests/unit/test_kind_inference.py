from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zsm_store.errors import TableError
from zsm_store.model.schema import FieldKind
from zsm_store.tables.inference import KindDecision, infer_kinds
from zsm_store.tables.kind_rules import KindRules, load_kind_rules

if TYPE_CHECKING:
    from pathlib import Path

RULES = load_kind_rules()
# Says nothing by itself, so that the values decide.
PLAIN = "x"


def by_name(name: str) -> KindDecision:
    return infer_kinds([name], [], RULES, {})[0]


def by_values(values: list[Any], rules: KindRules = RULES) -> KindDecision:
    return infer_kinds([PLAIN], [{PLAIN: value} for value in values], rules, {})[0]


# names

EVERY_NAME_RULE = {
    FieldKind.NAME: {
        "contains": "first fname given voornamen last lname surname family",
        "is": "name achternaam naam",
        "ends with": "_name",
    },
    FieldKind.DATE: {
        "contains": "dob birth born geboortedatum date _dt activatiedatum",
        "ends with": "_at",
    },
    FieldKind.PHONE: {
        "contains": "phone telefoon mobile cell",
        "is": "msisdn tel",
        "starts with": "tel_",
        "ends with": "_tel",
    },
    FieldKind.ADDRESS: {
        "contains": (
            "addr street straat city woonplaats huisnummer zip postcode postal"
        ),
    },
    FieldKind.ID: {
        "contains": "ssn passport license document_nummer _id",
        "is": "bsn imsi iccid",
        "ends with": "id _nr nummer",
    },
    FieldKind.NUMERIC: {"contains": "age count score amount lengte"},
    FieldKind.LICENSE_PLATE: {"contains": "kenteken plate"},
    FieldKind.GPS_COORDINATE: {"is": "lat lon latitude longitude"},
    FieldKind.TIMESTAMP: {"contains": "tijdstip timestamp"},
}
AROUND = {
    "contains": ("{}", "{}q", "q{}", "Q{}Q"),
    "is": ("{}",),
    "starts with": ("{}", "{}q"),
    "ends with": ("{}", "q{}"),
}
CASES = [
    (kind, shape.format(text.upper() if shape == "Q{}Q" else text))
    for kind, lists in EVERY_NAME_RULE.items()
    for verb, texts in lists.items()
    for text in texts.split()
    for shape in AROUND[verb]
]


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_each_name_rule_hits(kind: FieldKind, name: str) -> None:
    decision = by_name(name)
    assert (decision.name, decision.kind) == (name, kind)
    # Where several texts of a rule hit, any of them may be told.
    told = decision.rule.split("'")[1]
    assert told in name.lower()
    assert decision.rule.removeprefix("name ").removesuffix(f" {told!r}") in AROUND
    assert told in " ".join(EVERY_NAME_RULE[kind].values()).split()


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("geboortedatum", "name contains 'geboortedatum'"),
        ("naam", "name is 'naam'"),
        ("VOORNAMEN", "name contains 'voornamen'"),
        ("tel_werk", "name starts with 'tel_'"),
        ("pet_name", "name ends with '_name'"),
    ],
)
def test_the_decision_tells_its_rule(name: str, rule: str) -> None:
    assert by_name(name).rule == rule


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        # A text of an earlier rule wins over a better one of a later rule.
        ("license_plate", FieldKind.ID),
        ("datetime", FieldKind.DATE),
        ("huisnummer", FieldKind.ADDRESS),
        ("mobile_id", FieldKind.PHONE),
        ("telefoonnummer", FieldKind.PHONE),
        ("last_update_at", FieldKind.NAME),
        ("birth_city", FieldKind.DATE),
        ("family_size", FieldKind.NAME),
        ("passport_nr", FieldKind.ID),
        ("account_id", FieldKind.ID),
        ("phone_count", FieldKind.PHONE),
        ("straatnaam", FieldKind.ADDRESS),
        ("kenteken_id", FieldKind.ID),
        ("template", FieldKind.LICENSE_PLATE),
        ("language", FieldKind.NUMERIC),
        ("timestamp_dt", FieldKind.DATE),
        ("paid", FieldKind.ID),
    ],
)
def test_the_first_rule_that_hits_wins(name: str, kind: FieldKind) -> None:
    assert by_name(name).kind is kind


@pytest.mark.parametrize(
    "name",
    [
        *("names", "naampje", "tels", "hotel", "_names", "_atx", "bsn2", "imsi_"),
        *("lats", "xlon", "nummers", "_nrs", "geslacht", "nationaliteit", "", " tel"),
        # Only A to Z fold, as in the peer.
        "ag\u212a",
        "m\u0130sisdn",
    ],
)
def test_a_name_near_a_rule_does_not_hit(name: str) -> None:
    assert by_name(name) == KindDecision(
        name=name, kind=FieldKind.FREE_TEXT, rule="no values"
    )


def test_the_kelvin_sign_is_no_k() -> None:
    assert by_name("\u212aenteken").kind is FieldKind.FREE_TEXT
    assert by_name("Kenteken").kind is FieldKind.LICENSE_PLATE


# values


def test_a_name_wins_over_the_values() -> None:
    head = [{"naam": "2024-01-01"}] * 50
    assert infer_kinds(["naam"], head, RULES, {})[0].kind is FieldKind.NAME


@pytest.mark.parametrize(
    ("kind", "rule", "values"),
    [
        (FieldKind.DATE, "100 % of 1 value match a date", ["1980-06-15"]),
        (FieldKind.DATE, "100 % of 2 values match a date", ["1980/06/15"] * 2),
        (
            FieldKind.DATE,
            "80 % of 50 values match a date",
            ["1980-06-15"] * 40 + ["?"] * 10,
        ),
        (
            FieldKind.PHONE,
            "100 % of 3 values match a phone number",
            ["06-12345678", "+31 (0)6\u2009123", "1234567"],
        ),
        (
            FieldKind.PHONE,
            "80 % of 5 values match a phone number",
            ["1234567"] * 4 + ["x"],
        ),
        (FieldKind.NUMERIC, "100 % of 2 values match a number", ["1", "2.50"]),
        (
            FieldKind.NUMERIC,
            "90 % of 10 values match a number",
            [str(n) for n in range(9)] + ["x"],
        ),
        (
            FieldKind.ID,
            "80 % of 5 values match an identifier, 100 % are distinct",
            ["AB-1", "AB-2", "AB-3", "AB-4", "?"],
        ),
        (
            FieldKind.NAME,
            "75 % of 4 values are distinct, mean length 4 bytes",
            ["Jan", "Jan", "Maria", "Piet\u0301"[:4] + "r"],
        ),
        (
            FieldKind.CATEGORICAL,
            "20 % of 10 values are distinct",
            ["M", "V"] * 5,
        ),
        (FieldKind.FREE_TEXT, "no rule fits the 2 values", ["M", "M"]),
        (FieldKind.FREE_TEXT, "no values", [None, None, ""]),
        (FieldKind.FREE_TEXT, "no values", []),
    ],
)
def test_each_value_rule_hits_and_tells_the_share(
    kind: FieldKind, rule: str, values: list[Any]
) -> None:
    decision = by_values(values)
    assert (decision.kind, decision.rule) == (kind, rule)


@pytest.mark.parametrize(
    ("below", "kind"),
    [
        # One value fewer than the rule asks, so that a later rule decides.
        (["1980-06-15"] * 39 + ["?"] * 11, FieldKind.CATEGORICAL),
        (["1234567"] * 39 + ["?"] * 11, FieldKind.CATEGORICAL),
        (["1"] * 44 + ["?"] * 6, FieldKind.CATEGORICAL),
        (["AB-1", "AB-2", "AB-3", "?", "!"], FieldKind.NAME),  # 60 % match
        (
            ["AB-1", "AB-2", "AB-3", "AB-4", "AB-5", "AB-6", "AB-7", "AB-7"],
            FieldKind.NAME,
        ),
        (["a" * 31], FieldKind.FREE_TEXT),
        (["a" * 30], FieldKind.NAME),
        (["Jan", "Jan", "Piet"], FieldKind.FREE_TEXT),  # 66.7 % are distinct
        (["M", "V"] * 4 + ["X"] * 2, FieldKind.FREE_TEXT),  # 30 % are distinct
    ],
)
def test_the_bounds_are_exact(below: list[str], kind: FieldKind) -> None:
    assert by_values(below).kind is kind


def distinct(shape: str, count: int, total: int) -> list[str]:
    """Return `total` values, of which `count` are different."""
    return [shape.format(min(number, count - 1)) for number in range(total)]


@pytest.mark.parametrize(
    ("rule", "total", "met", "not_met"),
    [
        # The largest share below the bound that so few values can have, above what a
        # bound of one percent less would ask.
        ("match a date", 24, 20, 19),
        ("match a phone number", 24, 20, 19),
        ("match a number", 19, 18, 17),
        ("match an identifier", 24, 20, 19),
    ],
)
def test_the_shares_that_match_are_bounded_to_the_percent(
    rule: str, total: int, met: int, not_met: int
) -> None:
    shape = {
        "match a date": "2024-01-{:02}",
        "match a phone number": "061234{:02}",
        "match a number": "{}",
        "match an identifier": "AB-{:02}",
    }[rule]

    def told(matching: int) -> str:
        others = distinct("other {}", total - matching, total - matching)
        return by_values([*distinct(shape, matching, matching), *others]).rule

    assert rule in told(met)
    assert rule not in told(not_met)


@pytest.mark.parametrize(
    ("shape", "total", "met", "not_met", "kind"),
    [
        ("AB-{:02}", 19, 18, 17, FieldKind.ID),
        ("AB-{:02}", 10, 9, 8, FieldKind.ID),
        ("a {}", 13, 10, 9, FieldKind.NAME),
        ("a {}", 10, 7, 6, FieldKind.NAME),
        ("a {}", 24, 4, 5, FieldKind.CATEGORICAL),
        ("a {}", 10, 2, 3, FieldKind.CATEGORICAL),
    ],
)
def test_the_shares_of_distinct_values_are_bounded_to_the_percent(
    shape: str, total: int, met: int, not_met: int, kind: FieldKind
) -> None:
    assert by_values(distinct(shape, met, total)).kind is kind
    assert by_values(distinct(shape, not_met, total)).kind is not kind


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("1980-06-15x", FieldKind.NAME),  # the whole value has to match
        ("x1980-06-15", FieldKind.NAME),
        ("12\n", FieldKind.NAME),  # `$` would match before a line break
        ("1980/06-15", FieldKind.DATE),
        ("123456", FieldKind.NUMERIC),  # 6 characters are no phone number
        ("1234567", FieldKind.PHONE),
        ("1" * 15, FieldKind.PHONE),
        ("1" * 16, FieldKind.NUMERIC),
        ("1.", FieldKind.NAME),
        (".5", FieldKind.NAME),
        ("-1", FieldKind.NAME),
        ("1,5", FieldKind.NAME),
        ("ABC", FieldKind.NAME),
        ("ABCD", FieldKind.ID),
        ("A" * 20, FieldKind.ID),
        ("A" * 21, FieldKind.NAME),
        ("abcd", FieldKind.NAME),
        ("\u0661\u0662\u0663", FieldKind.NUMERIC),  # other digits, as in the peer
        ("é" * 15, FieldKind.NAME),  # 30 bytes
        ("é" * 16, FieldKind.FREE_TEXT),  # 32 bytes: the peer's length
    ],
)
def test_what_a_value_looks_like(value: str, kind: FieldKind) -> None:
    assert by_values([value]).kind is kind


def test_only_the_first_fifty_values_that_are_not_missing_count() -> None:
    dates = [None, "1980-06-15", ""] * 50
    assert by_values([*dates, *["x"] * 500]).rule == "100 % of 50 values match a date"
    assert (
        by_values([*dates[:-3], *["x"] * 500]).rule == "98 % of 50 values match a date"
    )


def test_typed_values_are_looked_at_as_text() -> None:
    assert by_values([1, 2.5, 3]).kind is FieldKind.NUMERIC
    assert by_values([True, False] * 5).kind is FieldKind.CATEGORICAL


@given(
    st.lists(st.sampled_from(["2024-01-01", "2024-01-02", "M", "a b c"]), min_size=1),
    st.lists(st.text(max_size=5), max_size=5),
)
def test_the_bounds_are_those_of_exact_fractions(
    values: list[str], rest: list[str]
) -> None:
    values = [value for value in (*values, *rest) if value][:50]
    count = len(values)
    dates = sum(value.startswith("2024-01-0") for value in values)
    decision = by_values(values)
    assert (decision.kind is FieldKind.DATE) == (
        Fraction(dates, count) >= Fraction(4, 5)
    )
    if decision.kind is FieldKind.CATEGORICAL:
        assert Fraction(len(set(values)), count) <= Fraction(1, 5)


# given kinds


def test_a_given_kind_wins_and_says_so() -> None:
    decisions = infer_kinds(["naam", "b"], [], RULES, {"naam": FieldKind.ALIAS})
    assert decisions[0] == KindDecision(
        name="naam", kind=FieldKind.ALIAS, rule="given by --kind"
    )
    assert decisions[1].rule == "no values"


def test_a_kind_for_a_column_that_does_not_exist_names_those_that_do() -> None:
    with pytest.raises(TableError) as caught:
        infer_kinds(["voornamen", "b"], [], RULES, {"voornaam": FieldKind.NAME})
    assert str(caught.value) == (
        "no column 'voornaam': did you mean 'voornamen', of 'voornamen', 'b'"
    )
    many = [f"c{number:02}" for number in range(25)]
    with pytest.raises(TableError, match=r"'c19' and 5 more$"):
        infer_kinds(many, [], RULES, {"Zürich": FieldKind.NAME})


# rules files


def rules_of(tmp_path: Path, text: str) -> KindRules:
    path = tmp_path / "rules.toml"
    path.write_text(text, encoding="utf-8")
    return load_kind_rules(path)


def test_a_rules_file_replaces_all_rules(tmp_path: Path) -> None:
    rules = rules_of(
        tmp_path,
        """
        otherwise = "Alias"
        [[name]]
        kind = "Id"
        equals = ["mijnkolom", "größe"]
        [[values]]
        kind = "Phone"
        matches = '\\+31\\d{9}'
        matching_at_least = 50
        [[values]]
        kind = "Address"
        mean_length_at_least = 10
        mean_length_at_most = 12
        """,
    )
    assert infer_kinds(["MijnKolom"], [], rules, {})[0].kind is FieldKind.ID
    assert infer_kinds(["größe"], [], rules, {})[0].kind is FieldKind.ID
    assert infer_kinds(["naam"], [], rules, {})[0].kind is FieldKind.ALIAS
    assert by_values(["+31612345678", "x"], rules) == KindDecision(
        name=PLAIN,
        kind=FieldKind.PHONE,
        rule="50 % of 2 values match the pattern",
    )
    assert by_values(["a" * 9, "a" * 11], rules) == KindDecision(
        name=PLAIN, kind=FieldKind.ADDRESS, rule="mean length 10 bytes"
    )
    assert by_values(["a" * 9, "a" * 10], rules).kind is FieldKind.ALIAS
    assert by_values(["a" * 12, "a" * 13], rules).kind is FieldKind.ALIAS


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("this is ][", ["not TOML", "line 1"]),
        ("", ["'otherwise' is missing"]),
        ('otherwise = "Freetext"', ["unknown field kind 'Freetext'", "FreeText"]),
        ("otherwise = 5", ["unknown field kind 5"]),
        ('otherwise = "Id"\nnames = []', ["unknown key 'names'", "name, values"]),
        ('otherwise = "Id"\nname = 5', ["[[name]]"]),
        ('otherwise = "Id"\nvalues = ["x"]', ["[[values]]"]),
        ("[[name]]\nequals = ['a']", ["[[name]] rule 1", "'kind' is missing"]),
        ("[[name]]\nkind = 'Id'", ["[[name]] rule 1", "no condition"]),
        ("[[name]]\nkind = 'Id'\nequals = []", ["no condition"]),
        ("[[name]]\nkind = 'Id'\nexact = ['a']", ["unknown key 'exact'", "equals"]),
        ("[[name]]\nkind = 'Id'\nequals = 'a'", ["'equals' must be a list"]),
        ("[[name]]\nkind = 'Id'\ncontains = ['']", ["not empty"]),
        ("[[name]]\nkind = 'Id'\ncontains = [5]", ["'contains'", "found 5"]),
        ("[[name]]\nkind = 'Id'\ncontains = ['BSN']", ["'BSN'", "lower case"]),
        ("[[values]]\nkind = 'Id'", ["[[values]] rule 1", "no condition"]),
        ("[[values]]\nkind = 'Id'\nmatches = 'a'", ["matching_at_least"]),
        ("[[values]]\nkind = 'Id'\nmatching_at_least = 5", ["'matches'"]),
        (
            "[[values]]\nkind = 'Id'\nmatches = '[a'\nmatching_at_least = 5",
            ["no regular expression", "'[a'"],
        ),
        (
            "[[values]]\nkind = 'Id'\ndistinct_at_least = 0.8",
            ["whole number, 0 to 100"],
        ),
        ("[[values]]\nkind = 'Id'\ndistinct_at_least = 101", ["0 to 100", "101"]),
        ("[[values]]\nkind = 'Id'\ndistinct_at_most = true", ["whole number"]),
        ("[[values]]\nkind = 'Id'\nmean_length_at_most = -1", ["0 or more"]),
        ("[[values]]\nkind = 'Id'\nwhat = 5\ndistinct_at_most = 1", ["'what'"]),
        (
            "[[values]]\nkind = 'Id'\ndistinct_at_most = 1\n[[values]]\nunique = 1",
            ["[[values]] rule 2", "unknown key 'unique'"],
        ),
    ],
)
def test_a_rules_file_that_cannot_work_is_refused(
    tmp_path: Path, text: str, facts: list[str]
) -> None:
    if text.startswith("[["):
        text = f'otherwise = "FreeText"\n{text}'
    with pytest.raises(TableError) as caught:
        rules_of(tmp_path, text)
    message = str(caught.value)
    assert caught.value.source == str(tmp_path / "rules.toml")
    assert "\n" not in message
    assert all(fact in message for fact in facts), message


def test_a_rules_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="no such file"):
        load_kind_rules(tmp_path / "none.toml")
    with pytest.raises(TableError, match="this is a directory"):
        load_kind_rules(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b"# \xe9")
    with pytest.raises(TableError, match="not TOML"):
        load_kind_rules(tmp_path / "latin.toml")
