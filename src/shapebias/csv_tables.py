"""Read the tables that people write: every row is checked before a value is used.

pandas reads a row with a field too many by shifting all columns, takes the last of two equal columns, and turns names
such as `NA` into missing values. This reader refuses such tables, and its messages name the line.
"""

import csv
import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shapebias.errors import UserError
from shapebias.files import read_utf8

if TYPE_CHECKING:
    import pandas as pd

OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}


@dataclass(frozen=True)
class CsvTable:
    """A table of text. All rows have as many values as there are columns.

    path: the file, for messages. columns: their names, in lower case unless the table was read exactly. lines: the
    first line of each row in the file.
    """

    path: Path
    columns: list[str]
    rows: list[list[str]]
    lines: list[int]

    def column(self, name: str) -> list[str]:
        """Return the values of a column."""
        place = self.columns.index(name)
        return [row[place] for row in self.rows]

    def frame(self) -> "pd.DataFrame":
        """Return the table with all values as text; the index holds the lines."""
        import pandas as pd  # takes half a second to import

        return pd.DataFrame(self.rows, columns=self.columns, index=self.lines, dtype="str")

    def require_columns(self, required: Sequence[str], expected: str) -> None:
        """Raise UserError if a column is missing. expected: the usual columns in words."""
        missing = [name for name in required if name not in self.columns]
        if missing:
            raise UserError(
                f"{self.path}: column {', '.join(missing)} is missing; its columns are {','.join(self.columns)}, "
                f"expected {expected}"
            )

    def require_unique(self, column: str, noun: str) -> None:
        """Raise UserError if a value stands twice in a column, or is missing. noun: what the column holds."""
        first_lines: dict[str, int] = {}
        for value, line in zip(self.column(column), self.lines, strict=True):
            if not value:
                raise UserError(f"{self.path}, line {line}: the {noun} has no name in column {column!r}")
            if value in first_lines:
                raise UserError(
                    f"{self.path}, line {line}: {noun} {value!r} is named twice, in line {first_lines[value]} too; "
                    f"keep one of the rows"
                )
            first_lines[value] = line


def read_csv_table(
    path: Path, required: Sequence[str] = (), *, order: Sequence[str] = (), exact: bool = False
) -> CsvTable:
    """Read a CSV file in UTF-8 with commas and a line of column names.

    required: columns that the table must have. order: all usual columns, for messages; by default the required ones.
    Column names are compared without regard to case, spaces around names and values are removed, and empty lines are
    skipped. All values stay text: `NA` is a name. exact: whether case and spaces count, and the last line must end, as
    in tables of this tool.
    Raises UserError, with the line, for a row with too many or too few values, an unclosed quotation mark, a column
    that stands twice or has no name, another separator, another encoding, and a missing file.
    """
    expected = ",".join(order or required) or "a line of column names"
    text = read_utf8(path)
    if exact and text and not text.endswith("\n"):
        raise UserError(f"{path}: its last line is cut off")
    lines = csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=not exact)
    columns: list[str] | None = None
    rows, row_lines, line = list[list[str]](), list[int](), 1
    while True:
        line = lines.line_num + 1
        try:
            values = next(lines)
        except StopIteration:
            break
        except csv.Error as error:
            raise UserError(
                f"{path}, line {line}: {error}; a value with commas stands in quotation marks, and a quotation mark in "
                f"it is doubled"
            ) from None
        if not exact:
            values = [value.strip() for value in values]
        if values in ([], [""]):
            continue
        if columns is None:
            values = values if exact else [name.lower() for name in values]
            columns = _check_columns(path, line, values, expected)
        elif len(values) != len(columns):
            raise UserError(
                f"{path}, line {line}: {_count(len(values))} in this row, but the header has {_count(len(columns))} "
                f"({','.join(columns)}); put values with commas into quotation marks"
            )
        else:
            # Most rows of our tables repeat a few names. A million trials of others would only take longer.
            rows.append([*map(sys.intern, values)] if exact else values)
            row_lines.append(line)
    if columns is None:
        raise UserError(f"{path}: the file is empty; expected {expected}")
    table = CsvTable(path, columns, rows, row_lines)
    table.require_columns(required, expected)
    return table


def read_result_table(path: Path, required: Sequence[str] = ()) -> "pd.DataFrame":
    """Read a table that this tool wrote; all values are text. Raises UserError, which says to remove a damaged file."""
    try:
        return read_csv_table(path, required, exact=True).frame().reset_index(drop=True)
    except UserError as error:
        raise UserError(f"{error}. Remove the file to have it made again") from None


def _check_columns(path: Path, line: int, columns: list[str], expected: str) -> list[str]:
    separator = next((mark for mark in OTHER_SEPARATORS if mark in columns[0]), None)
    if len(columns) == 1 and separator:
        raise UserError(
            f"{path}: its values are separated by {OTHER_SEPARATORS[separator]}; save it with commas, as {expected}"
        )
    for place, name in enumerate(columns):
        if not name:
            raise UserError(f"{path}, line {line}: column {place + 1} has no name; name it or remove it")
        if name in columns[:place]:
            raise UserError(f"{path}, line {line}: two columns are called {name!r}; keep one of them")
    return columns


def _count(number: int) -> str:
    return f"{number} value{'s' * (number != 1)}"
