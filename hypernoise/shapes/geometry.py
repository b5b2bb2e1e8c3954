"""Outlines of the world's shapes as polygons of unit radius, centered on the point that relations refer to."""

from __future__ import annotations

from functools import cache

import numpy as np

from hypernoise.shapes.vocabulary import SHAPES

_ARC = 40


def _arc(radius: float, start: float, stop: float, center: tuple[float, float] = (0.0, 0.0)) -> np.ndarray:
    """Points of a circular arc; angles in turns, counted clockwise from the right (y points down)."""
    angles = 2 * np.pi * np.linspace(start, stop, _ARC)
    return np.stack([center[0] + radius * np.cos(angles), center[1] + radius * np.sin(angles)], axis=1)


def _star() -> np.ndarray:
    angles = 2 * np.pi * np.arange(10) / 10 - np.pi / 2
    radii = np.where(np.arange(10) % 2 == 0, 1.15, 0.5)
    return np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)


def _cross() -> np.ndarray:
    a, b = 0.36, 1.0
    corners = [
        (-a, -b),
        (a, -b),
        (a, -a),
        (b, -a),
        (b, a),
        (a, a),
        (a, b),
        (-a, b),
        (-a, a),
        (-b, a),
        (-b, -a),
    ]
    return np.array([*corners, (-a, -a)])


def _heart() -> np.ndarray:
    t = np.linspace(0, 2 * np.pi, 2 * _ARC)
    x = 16 * np.sin(t) ** 3
    y = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t))
    return np.stack([x, y - 2.5], axis=1) / 15.5


def _moon() -> np.ndarray:
    tip, inner_edge = 0.14, -0.15
    tip_x, tip_y = np.cos(2 * np.pi * tip), np.sin(2 * np.pi * tip)
    center = (1.0 - inner_edge**2) / (2 * (tip_x - inner_edge))
    radius = center - inner_edge
    inner_tip = np.arctan2(tip_y, tip_x - center) / (2 * np.pi)
    inner = _arc(radius, 1 - inner_tip, inner_tip, (center, 0.0))
    return np.concatenate([_arc(1.0, tip, 1 - tip), inner]) * 1.1 + (0.2, 0.0)


@cache
def outline(shape: str) -> np.ndarray:
    """Vertices [V, 2] (x right, y down) of a shape's outline; a hole is joined to the rim by a zero-width seam."""
    s = 0.88
    outlines = {
        "circle": lambda: _arc(1.0, 0.0, 1.0),
        "square": lambda: np.array([(-s, -s), (s, -s), (s, s), (-s, s)]),
        "triangle": lambda: np.array([(0.0, -1.1), (1.08, 0.85), (-1.08, 0.85)]),
        "star": _star,
        "ring": lambda: np.concatenate([_arc(1.05, 0.0, 1.0), _arc(0.52, 1.0, 0.0)]),
        "cross": _cross,
        "heart": _heart,
        "moon": _moon,
    }
    if tuple(outlines) != SHAPES:
        raise AssertionError("every shape of the vocabulary needs an outline")
    return outlines[shape]()


def reach(shape: str, dx: float, dy: float) -> float:
    """How far a shape's outline reaches from its center in the unit direction (dx, dy), in radii."""
    return float((outline(shape) @ (dx, dy)).max())
