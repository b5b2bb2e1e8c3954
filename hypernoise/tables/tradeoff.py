"""Figures 3 and 4: a reward that is easily hacked against image quality, over two trainings, and the images."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from hypernoise.files import write_atomically, write_png
from hypernoise.noise.evaluation import ROW
from hypernoise.tables.plots import MARKERS, drawing

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rich.console import Console

MOMENTS = 4
"""Evaluations of a training whose images are shown."""

_SCALE, _LABEL = 3, 170


def curve(folder: Path, reward: str, quality: str) -> pd.DataFrame:
    """Held-out means of a training's evaluations: step, reward, quality, delta_norm; step 0 is the base."""
    rows: list[list[float]] = []
    for line in (folder / "log.jsonl").read_text().splitlines():
        row = json.loads(line)
        if f"held_out/{reward}" in row:
            if not rows:
                base = [row[f"held_out_base/{name}"] for name in (reward, quality)]
                rows.append([0, *base, 0.0])
            found = [row[f"held_out/{name}"] for name in (reward, quality, "delta_norm")]
            rows.append([row["step"], *found])
    return pd.DataFrame(rows, columns=["step", reward, quality, "delta_norm"])


def figure(curves: Mapping[str, pd.DataFrame], reward: str, quality: str) -> bytes:
    """Quality against reward, one line a training, as PNG."""
    with drawing() as picture:
        for marker, (name, frame) in zip(MARKERS, curves.items(), strict=False):
            picture.axes.plot(frame[reward], frame[quality], marker=marker, markersize=4, label=name)
        first = next(iter(curves.values())).iloc[0]
        picture.axes.scatter([first[reward]], [first[quality]], color="0.2", zorder=3, label="base")
        picture.axes.set(xlabel=f"{reward} (trained on)", ylabel=f"{quality} (image quality)")
        picture.axes.legend(frameon=False)
        return picture.png()


def strip(folders: Mapping[str, Path], curves: Mapping[str, pd.DataFrame]) -> Image.Image:
    """The same held-out prompts and x0 down the trainings: base first, then each training at some steps."""
    rows: list[tuple[str, Image.Image]] = []
    for name, folder in folders.items():
        steps = curves[name]["step"].tolist()[1:]
        shown = sorted({steps[index] for index in np.linspace(0, len(steps) - 1, MOMENTS).astype(int)})
        for step in shown:
            grid = Image.open(folder / "images" / f"{step:06d}.png")
            side = grid.width // ROW
            if not rows:
                rows.append(("base", grid.crop((0, 0, grid.width, side))))
            rows.append((f"{name}, step {step}", grid.crop((0, side, grid.width, 2 * side))))
    width, height = rows[0][1].size
    sheet = Image.new("RGB", (_LABEL + width * _SCALE, len(rows) * height * _SCALE), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for place, (name, images) in enumerate(rows):
        top = place * height * _SCALE
        draw.text((6, top + height), name, fill=(25, 25, 25), font=font)
        sheet.paste(images.resize((width * _SCALE, height * _SCALE), Image.Resampling.BOX), (_LABEL, top))
    return sheet


def publish_tradeoff(
    folders: Mapping[str, Path], reward: str, quality: str, place: Path, console: Console
) -> None:
    """Write `figure4.csv`, `figure4.png` and, with images, `figure3.png` below `place`."""
    curves = {name: curve(folder, reward, quality) for name, folder in folders.items()}
    frame = pd.concat([each.assign(training=name) for name, each in curves.items()])
    write_atomically(place / "figure4.csv", frame.round(5).to_csv(index=False).encode())
    write_atomically(place / "figure4.png", figure(curves, reward, quality))
    write_png(place / "figure3.png", strip(folders, curves))
    console.print(
        f"Written to {place}/figure3.png, figure4.png and figure4.csv", style="dim", highlight=False
    )
