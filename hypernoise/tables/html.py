"""Prints a `Sheet` as HTML: a table in whose body every section has a heading of its own."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hypernoise.tables.render import Cell, Column, Section, Sheet


def html(sheet: Sheet) -> str:
    """Write the sheet with its intervals and notes; what the paper printed has the class `quoted`."""
    head = "".join(
        f'<th{_align(column)} scope="col">{escape(column.heading)}</th>' for column in sheet.columns
    )
    body = "\n".join(_section(sheet, section) for section in sheet.sections)
    notes = [f"<li>{inline(note)}</li>" for note in sheet.notes]
    notes += [
        f"<li><sup>{escape(marker)}</sup> {inline(text)}</li>" for marker, text in sheet.footnotes.items()
    ]
    return (
        f"<table>\n<caption>{escape(sheet.title)}</caption>\n<thead><tr>{head}</tr></thead>\n{body}\n</table>\n"
        f'<ul class="notes">\n{chr(10).join(notes)}\n</ul>'
    )


def inline(text: str) -> str:
    """Text as HTML; what stands between backticks is code."""
    return re.sub("`([^`]*)`", r"<code>\1</code>", escape(text))


def _section(sheet: Sheet, section: Section) -> str:
    kind = ' class="quoted"' if section.quoted else ""
    heading = f'<tr><th colspan="{len(sheet.columns)}" scope="rowgroup">{inline(section.heading)}</th></tr>'
    lines = "\n".join(_line(sheet.columns, line) for line in section.lines)
    return f"<tbody{kind}>\n{heading}\n{lines}\n</tbody>"


def _line(columns: tuple[Column, ...], line: tuple[Cell, ...]) -> str:
    cells = zip(columns, line, strict=True)
    return f"<tr>{''.join(f'<td{_align(column)}>{_cell(cell)}</td>' for column, cell in cells)}</tr>"


def _align(column: Column) -> str:
    return ' class="number"' if column.numeric else ""


def _cell(cell: Cell) -> str:
    text = f"<b>{escape(cell.text)}</b>" if cell.bold else escape(cell.text)
    interval = f" <small>{escape(cell.interval)}</small>" if cell.interval else ""
    marker = f"<sup>{escape(cell.marker)}</sup>" if cell.marker else ""
    return text + interval + marker
