"""The look that all figures share, and their PNG files."""

from __future__ import annotations

import io
from contextlib import contextmanager
from typing import TYPE_CHECKING

import matplotlib as mpl
from cycler import cycler
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axes import Axes

MARKERS = "osD^vP"
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Told apart by color-blind readers too (Okabe and Ito 2008)."""


@contextmanager
def style(font_size: int = 10) -> Iterator[None]:
    """Inside, figures are drawn in the common style."""
    with mpl.rc_context(
        {
            "font.size": font_size,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.prop_cycle": cycler(color=COLORS),
        }
    ):
        yield


def png(figure: Figure) -> bytes:
    """A figure as PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


class Drawing:
    """A figure with one pair of axes, to be had as PNG when it is finished."""

    def __init__(self) -> None:
        self.figure = Figure(figsize=(6.4, 4.0), dpi=150, layout="constrained")
        self.axes: Axes = self.figure.subplots()

    def png(self) -> bytes:
        """The figure's PNG."""
        return png(self.figure)


@contextmanager
def drawing() -> Iterator[Drawing]:
    """A new drawing in the common style, which holds inside."""
    with style():
        yield Drawing()
