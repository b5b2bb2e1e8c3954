"""A picture of the generator's failures: a row of wrong images for each task, with what was asked and seen."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypernoise.experiments.benchmark import Prompt
    from hypernoise.shapes.evaluation.suite import Drawn, Suite

COLUMNS = 6
_TILE, _GAP, _LINE, _LINES = 128, 16, 13, 5


def _wrong(suite: Suite, candidates: Sequence[Drawn], task: str) -> list[tuple[Prompt, Image.Image, str]]:
    """The first wrong image of the first prompts of a task, with the judge's reason."""
    shown: list[tuple[Prompt, Image.Image, str]] = []
    for prompt in suite.prompts:
        wrong = [drawn for drawn in candidates if not drawn.right[prompt.index]]
        if prompt.task == task and wrong and len(shown) < COLUMNS:
            image = wrong[0].images[prompt.index]
            shown.append((prompt, Image.fromarray(image), suite.judge([image], [prompt])[0].reason))
    return shown


def failures(suite: Suite, candidates: Sequence[Drawn]) -> Image.Image:
    """The picture, RGB."""
    tasks = list(dict.fromkeys(prompt.task for prompt in suite.prompts))
    height = _TILE + _LINES * _LINE + _GAP
    sheet = Image.new("RGB", (COLUMNS * (_TILE + _GAP) + _GAP, len(tasks) * height + _GAP), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    for row, task in enumerate(tasks):
        for column, (prompt, image, reason) in enumerate(_wrong(suite, candidates, task)):
            x, y = _GAP + column * (_TILE + _GAP), _GAP + row * height
            sheet.paste(image.resize((_TILE, _TILE), Image.Resampling.BOX), (x, y))
            words = [*textwrap.wrap(prompt.text, 23), *textwrap.wrap(reason, 23)]
            for line, text in enumerate(words[:_LINES]):
                draw.text((x, y + _TILE + 3 + line * _LINE), text, fill=(25, 25, 25), font=font)
    return sheet
