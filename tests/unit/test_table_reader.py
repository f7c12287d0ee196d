from __future__ import annotations

import codecs
import csv
import errno
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import field_names
from zsm_store.errors import TableError
from zsm_store.tables import text_lines
from zsm_store.tables.reader import Table, TableFormat, open_table

if TYPE_CHECKING:
    from collections.abc import Callable

# Everything that Rust trims, and what Python's str.strip() would trim besides.
RUST_WHITE_SPACE = "".join(
    chr(code)
    for code in (
        *range(0x09, 0x0E),
        *(0x20, 0x85, 0xA0, 0x1680),
        *range(0x2000, 0x200B),
        *(0x2028, 0x2029, 0x202F, 0x205F, 0x3000),
    )
)
PYTHON_ONLY = "\x1c\x1d\x1e\x1f"


def rows_of(path: Path | str, **options: Any) -> list[dict[str, Any]]:
    with open_table(path, **options) as table:
        return [dict(record) for record in table]


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(content: str | bytes, name: str = "t.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def refused(path: Path | str, **options: Any) -> TableError:
    with pytest.raises(TableError) as caught:
        rows_of(path, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert not message.endswith(".")
    return caught.value


# formats


@pytest.mark.parametrize(
    ("name", "content", "format_", "delimiter"),
    [
        ("t.csv", "a,b\n1,2\n", TableFormat.CSV, ","),
        ("t.CSV", "a;b\n1;2\n", TableFormat.CSV, ";"),
        ("t.txt", "a|b\n1|2\n", TableFormat.CSV, "|"),
        ("t.tsv", "a\tb\n1\t2\n", TableFormat.TSV, "\t"),
        ("T.TAB", "a\tb\n1\t2\n", TableFormat.TSV, "\t"),
        ("t.jsonl", '{"a":"1","b":"2"}\n', TableFormat.JSON_LINES, None),
        ("t.ndjson", '{"a":"1","b":"2"}\n', TableFormat.JSON_LINES, None),
        ("t.json-lines", '{"a":"1","b":"2"}\n', TableFormat.JSON_LINES, None),
        # The ending says nothing: by content.
        ("t", 'a\tb\n1\t"2"\n', TableFormat.CSV, "\t"),
        ("t.json", ' \n{"a":"1","b":"2"}\n', TableFormat.JSON_LINES, None),
        ("t.dat", '\ufeff{"a":"1","b":"2"}', TableFormat.JSON_LINES, None),
    ],
)
def test_format_comes_from_the_ending_or_else_from_the_content(
    write: Callable[..., Path],
    name: str,
    content: str,
    format_: TableFormat,
    delimiter: str | None,
) -> None:
    with open_table(write(content, name)) as table:
        assert (table.format, table.delimiter) == (format_, delimiter)
        assert table.columns == ("a", "b")
        assert list(table) == [{"a": "1", "b": "2"}]


def test_a_given_format_wins_over_the_ending(write: Callable[..., Path]) -> None:
    path = write('{"a": 1}\n', "t.csv")
    assert rows_of(path, format=TableFormat.JSON_LINES) == [{"a": 1}]
    assert rows_of(write("a,b\n1,2", "t.tsv"), format=TableFormat.CSV) == [
        {"a": "1", "b": "2"}
    ]


def test_standard_input_is_read_as_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    content = codecs.BOM_UTF16_LE + "naam\nÆgir\n".encode("utf-16-le")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content), "ascii"))
    with open_table("-") as table:
        assert table.source == "standard input"
        assert list(table) == [{"naam": "Ægir"}]


@pytest.mark.parametrize(
    ("content", "delimiter"),
    [
        ("naam;bedrag\nJan;1,50\nMarie;2,50\nPiet;3,50\n", ";"),
        ('naam;adres\n"Jan";"Dam 1, Amsterdam"\n"An";"x"\n', ";"),
        ('id,tekst\n1,"a;b;c"\n2,"d;e;f"\n', ","),
        ("a|b|c\n1,5|2|3\n", "|"),
        ("id;a,b;c\n1;2,3;4\n", ";"),  # equally consistent: more columns win
        ("a,b;c\n1,2;3\n", ","),  # no more columns either: the first of , ; tab |
        ('a\tb\n"1\n\n2"\t3\n', "\t"),
        ("a,b\n1;2,3\n4;5,6\n", ","),
        ("only\n1\n2\n", ","),
        ("a;b,c\n1;2\n3;4\n5;6\n", ";"),  # most consistent, not first in line
        ('a;b,c\n"1";2\n"3";4\n', ";"),  # quotation marks speak against the comma
    ],
)
def test_the_most_consistent_delimiter_is_taken(
    write: Callable[..., Path], content: str, delimiter: str
) -> None:
    with open_table(write(content)) as table:
        assert table.delimiter == delimiter


def test_a_sniffed_quote_may_run_past_what_was_looked_at(
    write: Callable[..., Path],
) -> None:
    long = "line\n" * 300
    path = write(f'a;b,c;d\n1;2;3\n4;"{long}";6\n')
    assert [len(row) for row in rows_of(path)] == [3, 3]


@pytest.mark.parametrize("spelled", ["tab", r"\t", "\t"])
def test_a_tab_may_be_spelled_out(write: Callable[..., Path], spelled: str) -> None:
    assert rows_of(write("a\tb\n1\t2"), delimiter=spelled) == [{"a": "1", "b": "2"}]


@pytest.mark.parametrize("delimiter", ["", "::", '"', "\n", "\r", "\0"])
def test_a_delimiter_is_one_character(
    write: Callable[..., Path], delimiter: str
) -> None:
    error = refused(write("a,b\n1,2\n"), delimiter=delimiter)
    assert "cannot be the delimiter: give one character" in str(error)


def test_json_lines_have_no_delimiter(write: Callable[..., Path]) -> None:
    error = refused(write('{"a":1}', "t.jsonl"), delimiter=";")
    assert "JSON Lines have no delimiter" in str(error)


def test_a_json_array_is_refused_with_the_way_out(write: Callable[..., Path]) -> None:
    error = refused(write('[\n {"a": 1}\n]', "t.json"))
    assert "JSON array" in str(error)
    assert rows_of(write("[id],[b]\n1,2", "t"))[0] == {"[id]": "1", "[b]": "2"}


# values


@pytest.mark.parametrize("space", RUST_WHITE_SPACE)
def test_what_rust_trims_is_trimmed(write: Callable[..., Path], space: str) -> None:
    text = f"{space}x{space}y{space}"
    assert rows_of(write(f'a,b\n"{text}","{space}"\n')) == [
        {"a": f"x{space}y", "b": None}
    ]
    line = json.dumps({"a": text, "b": space})
    assert rows_of(write(line, "t.jsonl")) == [{"a": f"x{space}y", "b": None}]


@pytest.mark.parametrize("character", PYTHON_ONLY)
def test_what_only_python_trims_stays(
    write: Callable[..., Path], character: str
) -> None:
    value = f"{character}x{character}"
    assert rows_of(write(f"a,b\n{value},{character}\n")) == [
        {"a": value, "b": character}
    ]


def test_nul_in_a_value_is_a_character(write: Callable[..., Path]) -> None:
    assert rows_of(write('a,b\nx\0y,"\0"\n')) == [{"a": "x\0y", "b": "\0"}]


def test_column_names_are_untouched(write: Callable[..., Path]) -> None:
    with open_table(write(' Naam , "x",,É\u0301\n1,2,3,4\n')) as table:
        assert table.columns == (" Naam ", ' "x"', "", "É\u0301")


def test_blank_lines_are_no_records(write: Callable[..., Path]) -> None:
    path = write("\n\r\na,b\n\n1,2\n   \n\r\n3,4\n\n\n")
    assert rows_of(path) == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]
    assert rows_of(write('a\n\n""\n \n1\n')) == [{"a": None}, {"a": None}, {"a": "1"}]
    assert rows_of(write('\n{"a":1}\n \n{"a":2}', "t.jsonl")) == [{"a": 1}, {"a": 2}]


def test_a_header_alone_is_a_table_without_records(
    write: Callable[..., Path],
) -> None:
    with open_table(write("a,b")) as table:
        assert table.columns == ("a", "b")
        assert list(table) == []


def test_json_values_keep_their_types(write: Callable[..., Path]) -> None:
    line = (
        '{"i":12,"f":1.50,"t":true,"n":null,"s":" x ","e":"",'
        '"big":123456789012345678901,'
        '"l":[1, {"é": 2.0}],"o":{"b": [ ], "a": "\\u00e9"}}'
    )
    row = rows_of(write(line, "t.jsonl"))[0]
    assert row == {
        "i": 12,
        "f": 1.5,
        "t": True,
        "n": None,
        "s": "x",
        "e": None,
        "big": 123456789012345678901,
        "l": '[1,{"é":2.0}]',
        "o": '{"b":[],"a":"é"}',
    }
    assert type(row["t"]) is bool
    assert type(row["i"]) is int


def test_columns_of_json_lines_are_the_keys_in_the_order_first_seen(
    write: Callable[..., Path],
) -> None:
    path = write('{"b":1}\n{"a":2,"b":3}\n{"c":4}\n{}\n', "t.jsonl")
    with open_table(path) as table:
        assert table.columns == ("b", "a", "c")
        assert list(table) == [
            {"b": 1, "a": None, "c": None},
            {"b": 3, "a": 2, "c": None},
            {"b": None, "a": None, "c": 4},
            {"b": None, "a": None, "c": None},
        ]


def test_a_key_after_the_head_is_refused_with_its_line(
    write: Callable[..., Path],
) -> None:
    path = write('{"a":1}\n\n{"a":2}\n{"a":3,"late":4}\n', "t.jsonl")
    error = refused(path, head=2)
    assert error.line == 4
    assert "'late'" in str(error)
    assert "schema file" in str(error)
    assert len(rows_of(path, head=3)) == 3


def test_known_fields_are_the_columns_and_other_keys_are_ignored(
    write: Callable[..., Path],
) -> None:
    path = write('{"a":1,"x":[]}\n{"late":4}\n', "t.jsonl")
    assert rows_of(path, fields=["b", "a"], head=1) == [
        {"b": None, "a": 1},
        {"b": None, "a": None},
    ]


# bad input


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.jsonl", "t"])
@pytest.mark.parametrize("content", [b"", b"\n\r\n\r", codecs.BOM_UTF8])
def test_an_empty_file_is_refused(
    write: Callable[..., Path], name: str, content: bytes
) -> None:
    assert "the file is empty" in str(refused(write(content, name)))


def test_objects_without_any_key_make_no_table(write: Callable[..., Path]) -> None:
    assert "no column" in str(refused(write("{}\n{}\n", "t.jsonl")))


@pytest.mark.parametrize(
    ("content", "line", "facts"),
    [
        ("a,b\n1,2\n3\n", 3, ("1 value ", "2 columns")),
        ("a,b\n1,2,3\n", 2, ("3 values", "2 columns")),
        ('a,b\n"1\n1",2\n3,4,5\n', 4, ("3 values", "2 columns")),
        ("a,b\n,\n,,\n", 3, ("3 values", "2 columns")),
        ("a\n1,2\n", 2, ("2 values", "1 column:")),
    ],
)
def test_a_ragged_record_is_named_by_its_first_line(
    write: Callable[..., Path], content: str, line: int, facts: tuple[str, ...]
) -> None:
    error = refused(write(content), delimiter=",")
    assert error.line == line
    assert all(fact in str(error) for fact in facts)


def test_a_column_name_twice_is_refused(write: Callable[..., Path]) -> None:
    error = refused(write("\na,naam,b,naam\n1,2,3,4\n"))
    assert error.line == 2
    assert "columns 2 and 4 are both named 'naam'" in str(error)
    # The peer hashes names as they stand, so these differ.
    assert len(rows_of(write("naam,Naam, naam\n1,2,3"))[0]) == 3


@pytest.mark.parametrize(
    "character", ["\x00", "\x07", "\x1b", "\n", "\x7f", "\x85", "\x9b"]
)
def test_a_control_character_in_a_column_name_is_refused(
    write: Callable[..., Path], character: str
) -> None:
    error = refused(write(f'a,"b{character}c"\n1,2\n'))
    assert f"column 2, {f'b{character}c'!r}, holds a control character" in str(error)
    assert character not in str(error)
    error = refused(write(json.dumps({"a": 1, f"b{character}c": 2}), "t.jsonl"))
    assert "holds a control character" in str(error)
    assert error.line == 1
    assert character not in str(error)


@pytest.mark.parametrize(
    ("content", "line", "hint"),
    [
        ('a,b\n1,2\n"3,4\n5,6\n', 3, "quotation marks"),
        ('a,b\n1,2\n"3"x,4\n', 3, "quotation marks"),
        (f"a,b\n1,2\n3,{'x' * 200_000}\n", 3, "field limit"),
        ('a,b\n"1' + "\n" * 140_000 + '",2\n', 2, "field limit"),
    ],
    ids=["open quote", "after quote", "long field", "quote over many lines"],
)
def test_bad_quoting_and_long_fields_are_refused_with_the_line(
    write: Callable[..., Path], content: str, line: int, hint: str
) -> None:
    error = refused(write(content))
    assert error.line == line
    assert hint in str(error)


def test_a_line_without_end_is_refused(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_lines, "MAX_LINE", 1000)
    assert len(rows_of(write(f"a\n{'x' * 999}\n"))) == 1
    error = refused(write(f"a\n{'x' * 1001}\n"))
    assert error.line == 2
    assert "longer than 1000 characters" in str(error)


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl"])
@pytest.mark.parametrize("before", [0, 5, 70_000])
def test_undecodable_bytes_are_named_by_line_and_byte(
    write: Callable[..., Path], name: str, before: int
) -> None:
    line = b'{"a": "x"}\n' if name == "t.jsonl" else b"ab\n"
    bad = b'{"a":"\xc3\xa9\xe9"}\n' if name == "t.jsonl" else b"12345\xc3\xa9\xe9f\n"
    error = refused(write(line * (before + 1) + bad + line, name))
    assert error.line == before + 2
    # One é in two bytes before it: bytes count, not characters.
    offset = bad.index(b"\xe9\x22") if name == "t.jsonl" else 7
    assert f"byte {offset} of the line is 0xe9, which is not utf-8" in str(error)
    assert "--encoding cp1252" in str(error)


def test_undecodable_bytes_below_the_records_that_are_read_do_no_harm(
    write: Callable[..., Path],
) -> None:
    path = write(b"a,b\n1,2\n3,\xe9\n5,6\n")
    with open_table(path) as table:
        assert next(table.records) == {"a": "1", "b": "2"}
        with pytest.raises(TableError, match="line 3"):
            next(table.records)


def test_a_code_page_is_used_only_when_given(write: Callable[..., Path]) -> None:
    path = write("naam;v\nAndré;€ 5\n".encode("cp1252"))
    assert rows_of(path, encoding="cp1252") == [{"naam": "André", "v": "€ 5"}]
    error = refused(write(b"a\n\x81\n"), encoding="cp1252")
    assert "byte 0 of the line is 0x81, which is not cp1252" in str(error)
    assert "--encoding utf-8" in str(error)


@pytest.mark.parametrize(
    "encoding",
    ["utf-8-sig", "utf-16", "utf-32", "utf-16-le", "utf-16-be", "utf-32-le"],
)
def test_a_byte_order_mark_tells_the_encoding(
    write: Callable[..., Path], encoding: str
) -> None:
    text = "naam,v\nÆ\u2028é😀,1\r\n" if "32" in encoding else "naam,v\nÆ\u2028é😀,1\n"
    marked = text if encoding in {"utf-8-sig", "utf-16", "utf-32"} else "\ufeff" + text
    path = write(marked.encode(encoding))
    expected = [{"naam": "Æ\u2028é😀", "v": "1"}]
    assert rows_of(path) == expected
    assert rows_of(path, encoding=encoding) == expected
    with open_table(path) as table:
        assert table.encoding.startswith(encoding[:6])


def test_a_mark_is_left_out_of_the_first_column_name_once(
    write: Callable[..., Path],
) -> None:
    path = write(codecs.BOM_UTF8 + "\ufeffa,b\n1,2\n".encode())
    for encoding in (None, "utf-8", "utf-8-sig"):
        with open_table(path, encoding=encoding) as table:
            assert table.columns == ("\ufeffa", "b")


def test_a_mark_that_contradicts_the_encoding_is_refused(
    write: Callable[..., Path],
) -> None:
    path = write("naam\nx\n".encode("utf-8-sig"))
    error = refused(path, encoding="cp1252")
    assert "byte order mark says utf-8" in str(error)


@pytest.mark.parametrize("content", [b"\xff\xfea\x00\n\x00\x00\xd8", b"\xff\xfea\x00b"])
def test_cut_utf_16_is_undecodable(write: Callable[..., Path], content: bytes) -> None:
    assert "not utf-16" in str(refused(write(content)))


@pytest.mark.parametrize(
    "encoding", ["nonsense", "hex", "rot13", "base64", "undefined", "a\0b", "utf 99"]
)
def test_an_unknown_encoding_is_refused(
    write: Callable[..., Path], encoding: str
) -> None:
    assert "encoding" in str(refused(write("a\nx\n"), encoding=encoding))


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"ZSM\x01" + bytes(8), ".zsm bundle"),
        (b"PK\x03\x04\x14\x00\x06\x00", "spreadsheet"),
        (b"\x1f\x8b\x08\x00", "gzip"),
        (b"SQLite format 3\x00\x10\x00", "SQLite"),
        (b"PAR1\x15\x04", "Parquet"),
        (b"\x7fELF" + bytes(100), "no text"),
        ("naam,v\nJan,1\n".encode("utf-16-le") * 5, "--encoding utf-16-le"),
    ],
)
@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t"])
def test_a_file_that_is_no_table_is_named_for_what_it_is(
    write: Callable[..., Path], content: bytes, what: str, name: str
) -> None:
    assert what in str(refused(write(content, name)))


def test_utf_16_without_a_mark_reads_when_given(write: Callable[..., Path]) -> None:
    path = write(("naam,v\n" + "Jan,1\n" * 50).encode("utf-16-le"))
    assert len(rows_of(path, encoding="utf-16-le")) == 50


def test_a_path_that_cannot_be_opened_says_why(tmp_path: Path) -> None:
    assert "this is a directory" in str(refused(tmp_path))
    assert "no such file" in str(refused(tmp_path / "none.csv"))
    assert "no such file" in str(refused(str(tmp_path / "none" / "none.csv")))
    assert "not a file name" in str(refused("a\0b"))
    file = tmp_path / "file"
    file.touch()
    assert "not a directory" in str(refused(file / "t.csv"))


def test_a_file_without_permission_says_so(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("a\n1\n")
    path.chmod(0)

    def refuse(*_: object) -> None:  # root, who runs many a test, may read it anyway
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert "no permission to read it" in str(refused(path))


class FailingDisk(io.BytesIO):
    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell():
            raise OSError(errno.EIO, "Input/output error")
        return super().read(size)


def test_a_disk_that_fails_while_reading_is_a_table_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stdin = io.TextIOWrapper(FailingDisk(b"a\n1\n"))
    monkeypatch.setattr("sys.stdin", stdin)
    error = refused("-")
    assert "cannot read 'standard input': input/output error" in str(error)


@pytest.mark.parametrize(
    ("line", "facts"),
    [
        ('{"a": 1', ("not JSON",)),
        ("[1, 2]", ("found an array", "one object per line")),
        ("3", ("found a number",)),
        ("null", ("found null",)),
        ("true", ("found a truth value",)),
        ('"x"', ("found a text",)),
        ('{"a": 1, "a": 2}', ("key 'a' stands twice",)),
        ('{"a": {"b": 1, "b": 1}}', ("key 'b' stands twice",)),
        ('{"a": NaN}', ("NaN is not JSON", "null")),
        ('{"a": -Infinity}', ("-Infinity is not JSON",)),
        ('{"a": 1e999}', ("too large",)),
        ('{"a": "\\ud800"}', ("surrogate",)),
        ('{"a": ["\\udc00"]}', ("surrogate",)),
        ('{"a": "x\ty"}', ("not JSON",)),
        ('{"a": 1} {"a": 2}', ("not JSON", "extra data")),
        ('{"a": ' + "[" * 100_000, ("nested too deeply",)),
        ('{"a": ' + "[" * 300 + "]" * 300 + "}", ("'a' has no JSON text",)),
        ('{"a": [123456789012345678901]}', ("'a' has no JSON text",)),
        ('{"a": ' + "1" * 5000 + "}", ("limit",)),
        ("a,b", ("not JSON",)),
    ],
)
def test_a_line_that_is_no_plain_json_object_is_refused(
    write: Callable[..., Path], line: str, facts: tuple[str, ...]
) -> None:
    error = refused(write('{"a": 0}\n\n' + line + "\n", "t.jsonl"))
    assert error.line == 3
    assert all(fact in str(error) for fact in facts)


# laws

CELLS = st.one_of(
    st.sampled_from(["", " ", "x", " x ", "\x1cx", "é", '"', '""', ",", ";", "x\0"]),
    st.text(st.characters(codec="utf-8"), max_size=6),
    st.text(alphabet=',;\t|"\r\n \x85\u2028a', max_size=6),
)
HEADERS = st.lists(field_names(), min_size=1, max_size=4, unique=True)


def rust_trimmed(text: str) -> str | None:
    while text and text[0] in RUST_WHITE_SPACE:
        text = text[1:]
    while text and text[-1] in RUST_WHITE_SPACE:
        text = text[:-1]
    return text or None


@st.composite
def csv_tables(draw: st.DrawFn) -> tuple[list[str], list[list[str]], dict[str, Any]]:
    header = draw(HEADERS)
    row = st.lists(CELLS, min_size=len(header), max_size=len(header))
    end = draw(st.sampled_from(["\r\n", "\n", "\r"]))
    # The writer leaves a line break unquoted that is not its own.
    quotings = [csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]
    quotings += [csv.QUOTE_MINIMAL] if end == "\r\n" else []
    options = {
        "delimiter": draw(st.sampled_from(list(",;\t|^é"))),
        "lineterminator": end,
        "quoting": draw(st.sampled_from(quotings)),
    }
    return header, draw(st.lists(row, max_size=5)), options


def written(header: list[str], rows: list[list[str]], options: dict[str, Any]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, **options).writerows([header, *rows])
    # With the mark, because a first name may begin with the character it is made of.
    return text.getvalue().encode("utf-8-sig")


@given(csv_tables())
def test_what_the_csv_module_writes_reads_back_trimmed(
    tmp_path_factory: pytest.TempPathFactory, table: Any
) -> None:
    header, rows, options = table
    path = tmp_path_factory.getbasetemp() / "law.csv"
    path.write_bytes(written(header, rows, options))
    assert rows_of(path, delimiter=options["delimiter"]) == [
        dict(zip(header, map(rust_trimmed, row), strict=True)) for row in rows
    ]


JSON_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    CELLS,
)


@given(HEADERS, st.data(), st.booleans(), st.sampled_from(["\n", "\r\n"]))
def test_json_lines_read_back_with_their_types(
    tmp_path_factory: pytest.TempPathFactory,
    names: list[str],
    data: st.DataObject,
    ascii_only: bool,
    end: str,
) -> None:
    rows = data.draw(
        st.lists(st.fixed_dictionaries(dict.fromkeys(names, JSON_VALUES)), min_size=1)
    )
    text = end.join(json.dumps(row, ensure_ascii=ascii_only) for row in rows)
    path = tmp_path_factory.getbasetemp() / "law.jsonl"
    path.write_bytes(text.encode())
    expected = [
        {
            name: rust_trimmed(value) if isinstance(value, str) else value
            for name, value in row.items()
        }
        for row in rows
    ]
    found = rows_of(path)
    assert found == expected
    # 1 == True == 1.0, so the types too.
    for row, wanted in zip(found, expected, strict=True):
        assert all(type(row[name]) is type(wanted[name]) for name in names)


class Dribble(io.BytesIO):
    """A pipe that gives a few bytes at a time."""

    def __init__(self, content: bytes, most: int) -> None:
        super().__init__(content)
        self.most = most

    def read(self, size: int | None = -1, /) -> bytes:
        asked = self.most if size is None or size < 0 else min(size, self.most)
        return super().read(asked)


def lines_in_chunks(content: bytes, size: int, preamble: int) -> list[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_lines, "_PREAMBLE", preamble)
        stream = Dribble(content, size)
        found: list[str] = []
        try:
            found.extend(text_lines.TextLines(stream, "pipe", None))
        except TableError as error:
            found.append(f"{error.line}: {error}")
        return found


@given(
    st.binary(max_size=60).map(lambda raw: raw.replace(b"\0", b"\r"))
    | st.lists(
        st.sampled_from([b"\r", b"\n", b"\r\n", "é".encode(), "😀".encode(), b"ab,"])
    ).map(b"".join)
    | st.text(alphabet="a\r\né😀", max_size=30).map(lambda text: text.encode("utf-16")),
    st.integers(1, 7),
    st.integers(16, 20),
)
def test_chunk_boundaries_do_not_matter(
    content: bytes, size: int, preamble: int
) -> None:
    assert lines_in_chunks(content, size, preamble) == lines_in_chunks(
        content, 1 << 16, 1 << 16
    )


@given(st.binary(max_size=80), st.sampled_from(["t.csv", "t.jsonl", "t"]))
def test_random_bytes_are_a_table_or_a_table_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, name: str
) -> None:
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(content)
    try:
        with open_table(path) as table:
            assert isinstance(table, Table)
            for record in table:
                assert tuple(record) == table.columns
    except TableError as error:
        assert "\n" not in str(error)  # noqa: PT017  # nothing raised is fine too


def test_the_file_is_closed_whatever_happens(write: Callable[..., Path]) -> None:
    # The fixture that looks for open descriptors is the assertion.
    path = write("a,b\n1,2\n3\n")
    for _ in range(3):
        refused(path, delimiter=",")
        with open_table(path) as table:
            next(table.records)
