"""Contact sheets: prompts down, methods across, the same initial noise in a row, right or wrong with the reason."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageDraw, ImageFont

from hypernoise.experiments.benchmark import spread
from hypernoise.files import write_png

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hypernoise.tables.from_runs import StoredRun

_TILE, _GAP, _CAPTION, _LINE = 128, 14, 230, 13
_RIGHT, _WRONG, _INK = (20, 120, 50), (180, 30, 30), (25, 25, 25)


def _text(
    draw: ImageDraw.ImageDraw, x: int, y: int, text: str, width: int, color: tuple[int, int, int]
) -> None:
    font = ImageFont.load_default(11)
    for line in textwrap.wrap(" ".join(text.split()), width)[:3]:
        draw.text((x, y), line, fill=color, font=font)
        y += _LINE


def contact_sheet(runs: Sequence[StoredRun], seed: int, rows: int, path: Path) -> None:
    """Write a PNG of `rows` prompts, spread over the tasks, as each run drew them from the same seed.

    Raises:
        HnError: if an image is missing, unreadable or not the one that was scored.
    """
    tables = [{(r["prompt_index"], r["seed"]): r for r in run.records} for run in runs]
    shown = spread(runs[0].prompts, rows)
    height = _TILE + 3 * _LINE + _GAP
    size = (_CAPTION + len(runs) * (_TILE + _GAP), 2 * _LINE + len(shown) * height)
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    for column, run in enumerate(runs):
        _text(draw, _CAPTION + column * (_TILE + _GAP), 6, run.settings["method"], 22, _INK)
    for row, prompt in enumerate(shown):
        y = 2 * _LINE + row * height
        _text(draw, 8, y + 40, prompt.text, 34, _INK)
        for column, (run, table) in enumerate(zip(runs, tables, strict=True)):
            x = _CAPTION + column * (_TILE + _GAP)
            _tile(sheet, draw, run, table[prompt.index, seed], (x, y))
    write_png(path, sheet)


def _tile(
    sheet: Image.Image, draw: ImageDraw.ImageDraw, run: StoredRun, record: dict[str, Any], at: tuple[int, int]
) -> None:
    image = Image.fromarray(run.store.read_image(record))
    image = image.resize(
        (_TILE, _TILE), Image.Resampling.BICUBIC if image.width > _TILE else Image.Resampling.BOX
    )
    sheet.paste(image, at)
    right = record["score"] >= 0.5
    color = _RIGHT if right else _WRONG
    draw.rectangle((at[0] - 2, at[1] - 2, at[0] + _TILE + 1, at[1] + _TILE + 1), outline=color, width=2)
    _text(draw, at[0], at[1] + _TILE + 3, _verdict(record["score"], record["reason"]), 22, color)


def _verdict(score: float, reason: str) -> str:
    if score in (0, 1):
        return "right" if score else reason or "wrong"
    return f"{score:.2f} {reason}"
