"""Prints a `Sheet` as a LaTeX table with booktabs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hypernoise.tables.render import Cell, Section, Sheet

# Whatever is special to TeX, and the signs of ours that pdfLaTeX has no letter for.
SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "–": "--",
    "−": "$-$",
    "×": r"$\times$",
    "±": r"$\pm$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "Δ": r"$\Delta$",
    "σ": r"$\sigma$",
}


def latex(sheet: Sheet) -> str:
    """Write the sheet as a `table*`; what the paper printed is gray."""
    align = "".join("r" if column.numeric else "l" for column in sheet.columns)
    notes = [_escape(note) for note in sheet.notes]
    notes += [_gray(f"\\textsuperscript{{{mark}}} {_escape(text)}") for mark, text in sheet.footnotes.items()]
    return "\n".join(
        [
            "% Needs the packages booktabs, graphicx and xcolor.",
            r"\begin{table*}[t]",
            r"\centering",
            f"\\caption{{{_escape(sheet.title)}}}",
            r"\resizebox{\textwidth}{!}{%",
            f"\\begin{{tabular}}{{@{{}}{align}@{{}}}}",
            r"\toprule",
            _line(_escape(column.heading) for column in sheet.columns),
            *(line for section in sheet.sections for line in _section(section, len(sheet.columns))),
            r"\bottomrule",
            r"\end{tabular}}",
            *(f"\\par\\smallskip\\parbox{{\\textwidth}}{{\\footnotesize {note}}}" for note in notes),
            r"\end{table*}",
            "",
        ]
    )


def _section(section: Section, width: int) -> list[str]:
    heading = _escape(section.heading)
    return [
        r"\midrule",
        f"\\multicolumn{{{width}}}{{@{{}}l}}{{{_gray(heading) if section.quoted else heading}}} \\\\",
        *(_line(_cell(cell, quoted=section.quoted) for cell in line) for line in section.lines),
    ]


def _line(cells: Iterable[str]) -> str:
    return f"{' & '.join(cells)} \\\\"


def _cell(cell: Cell, *, quoted: bool) -> str:
    text = f"\\textbf{{{_escape(cell.text)}}}" if cell.bold else _escape(cell.text)
    interval = f" {{\\scriptsize {_escape(cell.interval)}}}" if cell.interval else ""
    marker = f"\\textsuperscript{{{cell.marker}}}" if cell.marker else ""
    return _gray(f"{text}{marker}") if quoted else f"{text}{interval}{marker}"


def _gray(text: str) -> str:
    return f"\\textcolor{{gray}}{{{text}}}"


def _escape(text: str) -> str:
    escaped = "".join(SPECIAL.get(sign, sign) for sign in " ".join(text.split()))
    return re.sub("`([^`]*)`", r"\\texttt{\1}", escaped)
