"""The look that all figures share."""

from __future__ import annotations

import io
from contextlib import contextmanager
from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axes import Axes

MARKERS = "osD^vP"


class Drawing:
    """A figure with one pair of axes, to be had as PNG when it is finished."""

    def __init__(self) -> None:
        self.figure = Figure(figsize=(6.4, 4.0), dpi=150, layout="constrained")
        self.axes: Axes = self.figure.subplots()

    def png(self) -> bytes:
        """The figure's PNG."""
        buffer = io.BytesIO()
        self.figure.savefig(buffer, format="png")
        return buffer.getvalue()


@contextmanager
def drawing() -> Iterator[Drawing]:
    """A new drawing in the common style, which holds inside."""
    with mpl.rc_context({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False}):
        yield Drawing()
