"""Table 1 as HTML."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from hypernoise.tables.html import html, inline
from hypernoise.tables.render import Cell, Column, Section, Sheet

SHEET = Sheet(
    "A <title>",
    (Column("Name", "Name", numeric=False), Column("Mean", "Mean")),
    (
        Section("Ours & `code`", ((Cell("<b>"), Cell("0.5", "[0.4, 0.6]", bold=True)),)),
        Section("Paper", ((Cell("theirs", marker="a"), Cell("0.6")),), quoted=True),
    ),
    ("n < 5",),
    {"a": 'said "so"'},
)


@pytest.fixture
def table() -> ElementTree.Element:
    return ElementTree.fromstring(f"<div>{html(SHEET)}</div>")  # noqa: S314


def test_texts_are_kept_as_they_are(table: ElementTree.Element) -> None:
    assert table.findtext(".//caption") == "A <title>"
    assert [cell.text for cell in table.iterfind(".//thead//th")] == ["Name", "Mean"]
    assert ["".join(row.itertext()) for row in table.iterfind(".//tbody/tr")] == [
        "Ours & code",
        "<b>0.5 [0.4, 0.6]",
        "Paper",
        "theirsa0.6",
    ]
    assert ["".join(note.itertext()) for note in table.iterfind(".//li")] == ["n < 5", 'a said "so"']


def test_bold_intervals_and_quoted_rows_are_marked(table: ElementTree.Element) -> None:
    assert [bold.text for bold in table.iterfind(".//b")] == ["0.5"]
    assert [interval.text for interval in table.iterfind(".//small")] == ["[0.4, 0.6]"]
    assert [body.get("class") for body in table.iterfind(".//tbody")] == [None, "quoted"]


def test_code_between_backticks_is_code() -> None:
    assert inline("a `b<c` d") == "a <code>b&lt;c</code> d"
