"""Prints a `Sheet` on a terminal, with as much detail as its width takes."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from rich import box
from rich.cells import cell_len
from rich.console import Group
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from hypernoise.tables.render import Cell, Column, Section, Sheet


class Detail(Enum):
    """How much of a sheet is shown. Below WIDE intervals stand under their values and headings are short."""

    WIDE = "everything"
    MEDIUM = "optional columns without their intervals"
    NARROW = "no optional columns"


def terminal(sheet: Sheet, width: int) -> Group:
    """Build what `rich` prints; what the paper printed is dim.

    Args:
        sheet: The table.
        width: The console's width. Columns are left out where it does not take them, and a note says so.
    """
    fitting = (detail for detail in (Detail.WIDE, Detail.MEDIUM) if _needed(sheet, detail) <= width)
    detail = next(fitting, Detail.NARROW)
    return Group(
        Text(sheet.title),
        *(part for section in sheet.sections for part in (Text(), _section(sheet, section, detail))),
        Text(),
        *(Text(note) for note in (*_hidden(sheet, detail), *sheet.notes)),
        *(Text(f"({marker}) {text}", style="dim") for marker, text in sheet.footnotes.items()),
    )


def _section(sheet: Sheet, section: Section, detail: Detail) -> Table:
    style = "dim" if section.quoted else ""
    table = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        padding=0,
        title=Text(section.heading, style=style),
        title_justify="left",
        header_style=style,
        row_styles=[style],
    )
    for index, column in _shown(sheet, detail):
        # The same widths in every section, so that the paper's numbers stand below ours.
        table.add_column(
            _heading(column, detail),
            justify="right" if column.numeric else "left",
            width=_width(sheet, index, column, detail),
        )
    for line in section.lines:
        table.add_row(*(_cell(line[index], column, detail) for index, column in _shown(sheet, detail)))
    return table


def _hidden(sheet: Sheet, detail: Detail) -> list[str]:
    if detail is not Detail.NARROW:
        return []
    names = ", ".join(column.heading for column in sheet.columns if column.optional)
    return [f"Hidden, as they need {_needed(sheet, Detail.MEDIUM)} columns of terminal: {names}."]


def _shown(sheet: Sheet, detail: Detail) -> list[tuple[int, Column]]:
    columns = enumerate(sheet.columns)
    return [
        (index, column) for index, column in columns if detail is not Detail.NARROW or not column.optional
    ]


def _heading(column: Column, detail: Detail) -> str:
    return column.heading if detail is Detail.WIDE else column.short


def _cell(cell: Cell, column: Column, detail: Detail) -> Text:
    text = Text().append(cell.text, style="bold" if cell.bold else None)
    if cell.marker:
        text.append(f" ({cell.marker})")
    if cell.interval and (detail is Detail.WIDE or not column.optional):
        text.append(" " if detail is Detail.WIDE else "\n").append(cell.interval)
    return text


def _width(sheet: Sheet, index: int, column: Column, detail: Detail) -> int:
    """The widest cell's, or where space is short the widest word's, as names are then wrapped."""
    cells = [_cell(line[index], column, detail).plain for section in sheet.sections for line in section.lines]
    texts = [_heading(column, detail), *cells]
    wrapped = detail is not Detail.WIDE and not column.numeric
    return max(cell_len(part) for text in texts for part in (text.split() if wrapped else text.split("\n")))


def _needed(sheet: Sheet, detail: Detail) -> int:
    widths = [_width(sheet, index, column, detail) for index, column in _shown(sheet, detail)]
    return sum(widths) + len(widths) - 1
