"""Tables that people write: what is read, and what is refused with its line."""

import csv
import io
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shapebias.csv_tables import read_csv_table, read_result_table
from shapebias.errors import UserError


def write(folder: Path, content: str | bytes) -> Path:
    path = folder / "people.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        ("class,category\ntabby,cat\n", [["tabby", "cat"]]),
        ("\ufeffclass,category\r\ntabby,cat\r\n", [["tabby", "cat"]]),
        (" Class , CATEGORY\n tabby ,cat \n\n", [["tabby", "cat"]]),
        ('class,category\n"tabby, tabby cat", cat\n', [["tabby, tabby cat", "cat"]]),
        ('class,category\ntabby, "cat"\n', [["tabby", "cat"]]),
        ("class,category\nNA,\nnan,null\n", [["NA", ""], ["nan", "null"]]),
        ("class,category\n007,1e5\n", [["007", "1e5"]]),
        ("class,category\n\u00a0tabby,cat", [["tabby", "cat"]]),
        ("class,category\n", []),
    ],
    ids=["plain", "byte order mark", "blanks", "quoted comma", "quoted", "NA", "numbers", "hard space", "no rows"],
)
def test_values_are_read_as_they_are_meant(tmp_path, content, rows):
    table = read_csv_table(write(tmp_path, content), ["class", "category"])
    assert table.columns == ["class", "category"]
    assert table.rows == rows
    assert table.frame().to_numpy().tolist() == rows


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("class,category\ntabby, tabby cat,cat\n", "line 2: 3 values in this row, but the header has 2"),
        ("class,category\nbeagle,dog\ntabby,cat,\n", "line 3: 3 values"),
        ("class,category\n\nbeagle\n", "line 3: 1 value in this row"),
        ('class,category\n"a\nb",cat\nbeagle\n', "line 4: 1 value"),
        ("class,Class,category\n", "line 1: two columns are called 'class'"),
        ("class, category ,category\n", "line 1: two columns are called 'category'"),
        ("class,category,\ncrane,bird,truck\n", "line 1: column 3 has no name"),
        ("class;category\ntabby;cat\n", "separated by semicolons; save it with commas"),
        ("class\tcategory\ntabby\tcat\n", "separated by tabs"),
        ('class,category\n"tabby,cat\nbeagle,dog\n', "line 2: unexpected end of data"),
        ('class,category\n"tabby"x,cat\n', "line 2: "),
        ("name,category\n", "column class is missing; its columns are name,category, expected class,category"),
        ("", "the file is empty; expected class,category"),
        ("class,category\ncafé,cat\n".encode("latin-1"), "line 2: not text in UTF-8 (byte 0xe9)"),
        ("class,category\n".encode("utf-16"), "not text in UTF-8"),
        ("class,category\n".encode("utf-16-le"), "not text in UTF-8"),
    ],
)
def test_a_table_that_could_be_misread_is_refused_with_its_line(tmp_path, content, reason):
    with pytest.raises(UserError) as refusal:
        read_csv_table(write(tmp_path, content), ["class", "category"])
    assert reason in str(refusal.value) and "people.csv" in str(refusal.value)


def test_a_name_that_stands_twice_is_refused_with_both_lines(tmp_path):
    table = read_csv_table(write(tmp_path, "class,category\ncrane,bird\nhound,dog\n crane ,truck\n"))
    with pytest.raises(UserError, match="line 4: class 'crane' is named twice, in line 2 too"):
        table.require_unique("class", "class")
    with pytest.raises(UserError, match="line 2: the class has no name"):
        read_csv_table(write(tmp_path, "class,category\n,bird\n")).require_unique("class", "class")


def test_only_files_are_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    for path, reason in ((tmp_path / "pipe.csv", "not a file"), (tmp_path, "not a file"), (tmp_path / "x", "no such")):
        with pytest.raises(UserError, match=reason):
            read_csv_table(path)


NAMES = st.sampled_from(["class", "Class ", "category", "shape", "NA", "", "x,y", 'a"b'])
VALUES = st.text(st.sampled_from(list('aé\u00a0N ,;\t"\n\r|\ufeff')), max_size=5) | st.sampled_from(
    ["NA", "nan", "1", "01"]
)


@st.composite
def csv_files(draw) -> str:
    """Draw tables that Python's csv module wrote, or their text with an insertion somewhere."""
    header = draw(st.lists(NAMES, min_size=1, max_size=4))
    rows = draw(st.lists(st.lists(VALUES, max_size=4) | st.tuples(*[VALUES] * len(header)), max_size=4))
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator=draw(st.sampled_from(["\n", "\r\n"]))).writerows([header, *rows])
    text, insertion = buffer.getvalue(), draw(VALUES)
    place = draw(st.integers(0, len(text)))
    return draw(st.sampled_from([text, text[:place] + insertion + text[place:]]))


@settings(max_examples=300, deadline=None, database=None, derandomize=True)
@given(text=csv_files())
def test_a_table_reads_as_python_s_csv_module_reads_it_or_is_refused(tmp_path_factory, text):
    path = write(tmp_path_factory.getbasetemp(), text)
    try:
        table = read_csv_table(path)
    except UserError as error:
        assert str(path) in str(error) and "\n" not in str(error).replace(str(path), "").replace(text, "")
        return
    lines = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), skipinitialspace=True)
    header, *rows = [line for line in lines if [value.strip() for value in line] not in ([], [""])]
    assert table.columns == [name.strip().lower() for name in header]
    assert table.rows == [[value.strip() for value in row] for row in rows]
    assert len(set(table.columns)) == len(table.columns)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the file is empty"),
        ("file,reason\n", None),
        ("file,reason\na.jpg,no ima", "its last line is cut off"),
        ("file,reason\na.jpg", "its last line is cut off"),
        ("file,reason\na.jpg\n", "line 2: 1 value in this row, but the header has 2 values"),
        ("file,rea", "its last line is cut off"),
        ("file\n", "column reason is missing"),
    ],
)
def test_a_damaged_result_is_named_as_the_file_to_remove(tmp_path, text, reason):
    path = tmp_path / "rejected.csv"
    path.write_text(text)
    if reason is None:
        assert read_result_table(path, ["file", "reason"]).empty
        return
    with pytest.raises(UserError, match=rf"rejected\.csv.*{reason}.*\. Remove the file to have it made again"):
        read_result_table(path, ["file", "reason"])
