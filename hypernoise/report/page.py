"""Writes the report: a template filled with tables, figures and the gallery's data, and nothing fetched from anywhere.

Every text of a user reaches the page escaped: in tables and captions by `html.escape`, in the gallery as JSON that its
script inserts as text. The page's content security policy allows this script and this style sheet alone, by their
hashes, and no network.
"""

from __future__ import annotations

import base64
import hashlib
import json
from html import escape
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING, Any

from rich.console import Console

from hypernoise.errors import HnError
from hypernoise.files import write_atomically
from hypernoise.report.figures import kept_figures, trade_off
from hypernoise.report.gallery import gallery
from hypernoise.tables import from_runs
from hypernoise.tables.html import html, inline
from hypernoise.tables.publish import tabulated
from hypernoise.tables.render import EMBEDDED, is_embedded
from hypernoise.tables.sweep import RANKED, rank_sweep, steps_sweep

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hypernoise.report.figures import Figure
    from hypernoise.tables.from_runs import StoredRun
    from hypernoise.tables.render import Sheet


ONE_DRAWING = 1000
"""Pixels; a figure that is broader has several panels and takes the page's whole width."""


def write_report(world: str, benchmark: str | None, results: Path, output: Path | None) -> None:
    """`hn report`: tables of a world's newest comparable runs on every benchmark, and the images of one of them.

    Raises:
        HnError: if there is no such finished run, one is damaged, or the page cannot be written.
    """
    stored = from_runs.world_runs(results, world)
    looked_at = benchmark or stored[0].settings["benchmark"]
    named = list(dict.fromkeys([looked_at, *(run.settings["benchmark"] for run in stored)]))
    by_benchmark = {name: [run for run in stored if run.settings["benchmark"] == name] for name in named}
    if not by_benchmark[looked_at]:
        raise HnError(f"No finished run of {world!r} is on {looked_at!r}, only on {', '.join(named[1:])}.")
    sheets = [sheet for each in by_benchmark.values() for sheet in _sheets(each)]
    runs = from_runs.comparable(by_benchmark[looked_at], by_benchmark[looked_at][0])
    figures = [trade_off(from_runs.rows(runs), runs[0].benchmark.report), *kept_figures(results / world)]
    shown = gallery(runs)
    path = output or results / world / "report.html"
    content = page(world, sheets, figures, shown)
    write_atomically(path, content)
    console = Console(highlight=False, soft_wrap=True)
    for remark in shown["remarks"]:
        console.print(remark, markup=False)
    console.print(f"Written to {path} ({len(content) / 1e6:.1f} MB)", style="dim", markup=False)


def _sheets(stored: Sequence[StoredRun]) -> list[Sheet]:
    """A benchmark's table; on GenEval, Tables 8, 9 and 10 too where there are several numbers of steps, or ranks."""
    groups = from_runs.by_steps(stored, stored[0])
    if stored[0].benchmark.report.table != 1:
        return [tabulated(groups)[1]]
    ranks = {method: from_runs.by_rank(stored, stored[0], method) for method in RANKED}
    sweeps = [steps_sweep(groups)] if len(groups) > 1 else []
    sweeps += [rank_sweep(method, runs) for method, runs in ranks.items() if runs]
    _, sheet = tabulated([from_runs.comparable(stored, stored[0])])
    return [sheet, *(sweep.sheet() for sweep in sweeps)]


def page(world: str, sheets: Sequence[Sheet], figures: Sequence[Figure], shown: dict[str, Any]) -> bytes:
    """The whole page."""
    style, script = _file("page.css"), _file("page.js")
    text = Template(_file("page.html")).substitute(
        world=inline(EMBEDDED if is_embedded(world) else world),
        style=style,
        style_hash=_hash(style),
        script=script,
        script_hash=_hash(script),
        tables="\n".join(map(_table, sheets)),
        figures="\n".join(map(_figure, figures)),
        data=embedded_json(shown),
    )
    return text.encode(errors="replace")


def embedded_json(data: dict[str, Any]) -> str:
    """JSON that no HTML parser takes for anything but text: pure ASCII, without `<`."""
    return json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _file(name: str) -> str:
    return (files("hypernoise.report") / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _table(sheet: Sheet) -> str:
    label = escape(sheet.title)
    return f'<div class="wide" role="region" tabindex="0" aria-label="{label}">{html(sheet)}</div>'


def _figure(figure: Figure) -> str:
    image = f"data:image/png;base64,{base64.b64encode(figure.png).decode()}"
    width, height = figure.size
    kind = ' class="broad"' if width > ONE_DRAWING else ""
    return (
        f'<figure{kind}><img src="{image}" alt="{escape(figure.description)}" width="{width}" height="{height}">'
        f"<figcaption>{escape(figure.caption)}</figcaption></figure>"
    )
