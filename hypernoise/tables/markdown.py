"""Prints a `Sheet` as GitHub Markdown: a table a section, so that its heading stands above it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hypernoise.tables.render import Cell, Section, Sheet


def markdown(sheet: Sheet) -> str:
    """Write the sheet with its intervals; what the paper printed is in italics."""
    parts = [f"## {_escape(sheet.title)}", *(_section(sheet, section) for section in sheet.sections)]
    notes = [f"- {_escape(note)}" for note in sheet.notes]
    notes += [f"- <sup>{marker}</sup> *{_escape(text)}*" for marker, text in sheet.footnotes.items()]
    return "\n\n".join([*parts, "\n".join(notes)]).rstrip() + "\n"


def _section(sheet: Sheet, section: Section) -> str:
    lines = [
        _line(_escape(column.heading) for column in sheet.columns),
        _line("---:" if column.numeric else ":---" for column in sheet.columns),
        *(_line(_cell(cell, quoted=section.quoted) for cell in line) for line in section.lines),
    ]
    return f"### {_escape(section.heading)}\n\n" + "\n".join(lines)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(cell: Cell, *, quoted: bool) -> str:
    mark = "**" if cell.bold else "*" if quoted else ""
    interval = f" {_escape(cell.interval)}" if cell.interval else ""
    marker = f"<sup>{cell.marker}</sup>" if cell.marker else ""
    return f"{mark}{_escape(cell.text)}{mark}{interval}{marker}"


def _escape(text: str) -> str:
    """Keep text on one line and in its cell. Code stays code, but a bar ends a cell even there."""
    special = r"`[^`]*`|[\\|*_<]"
    return re.sub(special, lambda found: _protect(found[0]), " ".join(text.split()))


def _protect(part: str) -> str:
    return part.replace("|", r"\|") if part.startswith("`") else f"\\{part}"
