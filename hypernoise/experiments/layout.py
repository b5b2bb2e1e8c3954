"""Folders of images in the layouts that the benchmarks' published scripts read: what lies where, read and written."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from hypernoise.experiments.benchmark import Prompt

GRID = 2
"""Images a side of a file that shows several."""


@dataclass(frozen=True)
class ImageFile:
    """A file of a layout: its path in the folder, its prompt, and the seeds that it shows, one or a grid of four."""

    path: str
    prompt: Prompt
    seeds: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.seeds) not in (1, GRID * GRID):
            raise ValueError(f"a file shows one image or four, not {len(self.seeds)}")


def joined(images: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """One image, or four as a grid row by row, uint8 [H, W, 3] all."""
    if len(images) == 1:
        return images[0]
    rows = [np.concatenate(images[start : start + GRID], axis=1) for start in range(0, len(images), GRID)]
    return np.concatenate(rows, axis=0)


def parted(picture: NDArray[np.uint8], count: int) -> list[NDArray[np.uint8]]:
    """The images that `joined` made a picture of.

    Raises:
        ValueError: if a grid has an odd side.
    """
    if count == 1:
        return [picture]
    height, width = (side // GRID for side in picture.shape[:2])
    if (height * GRID, width * GRID) != picture.shape[:2]:
        raise ValueError("a grid of odd size")
    corners = [(row * height, column * width) for row in range(GRID) for column in range(GRID)]
    return [picture[y : y + height, x : x + width] for y, x in corners]


def read(folder: Path, file: ImageFile) -> list[NDArray[np.uint8]]:
    """The images that a file shows, in the order of its seeds.

    Raises:
        OSError: if it is missing or truncated.
        ValueError: if it is no image, or a grid that cannot be parted.
    """
    try:
        with Image.open(folder / file.path) as image:
            picture = np.asarray(image.convert("RGB"))
    except SyntaxError as error:  # a broken PNG
        raise OSError(str(error)) from None
    return parted(picture, len(file.seeds))


@dataclass(frozen=True)
class Inspection:
    """What is wrong with a folder: files by path with the reason, and images beside them that nobody asks for."""

    bad: dict[str, str]
    unexpected: list[str]


def inspect(folder: Path, files: Sequence[ImageFile]) -> Inspection:
    """Read every file of a layout: missing, truncated and mis-sized ones are bad; sizes go by the majority."""
    bad: dict[str, str] = {}
    sizes: dict[str, tuple[int, ...]] = {}
    for file in files:
        try:
            sizes[file.path] = read(folder, file)[0].shape
        except FileNotFoundError:
            bad[file.path] = "missing"
        except (OSError, ValueError) as error:
            bad[file.path] = f"unreadable ({error})"
    usual = Counter(sizes.values()).most_common(1)
    for path, size in sizes.items():
        if size != usual[0][0]:
            bad[path] = f"{size[1]}×{size[0]} pixels instead of {usual[0][0][1]}×{usual[0][0][0]}"
    places = {(folder / file.path).parent for file in files}
    found = {str(path.relative_to(folder)) for place in places for path in place.glob("*.png")}
    return Inspection(bad, sorted(found - {file.path for file in files}))
