"""Positions of labels in a crowded plot: near to their points, where they cover least."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import cos, hypot, inf, pi, sin

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Spot = tuple[float, float]

DISTANCES = (9.0, 14.0, 20.0, 28.0, 38.0, 50.0, 64.0, 80.0)
DIRECTIONS = 16
GAP = 2.0  # between two labels


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels, from the lower left corner of the picture."""

    left: float
    bottom: float
    right: float
    top: float

    def overlap(self, other: "Box") -> float:
        """The common area, in square pixels."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.top, other.top) - max(self.bottom, other.bottom)
        return max(0.0, width) * max(0.0, height)

    def around(self, spots: Floats) -> NDArray[np.bool_]:
        """Which of these points are inside. spots: [n, 2]; result: [n]."""
        inside: NDArray[np.bool_] = (spots >= (self.left, self.bottom)) & (spots <= (self.right, self.top))
        return inside[:, 0] & inside[:, 1]

    def holds(self, spots: Floats) -> int:
        return int(self.around(spots).sum())

    def within(self, other: "Box") -> bool:
        return (self.left >= other.left and self.right <= other.right
                and self.bottom >= other.bottom and self.top <= other.top)  # fmt: skip


@dataclass(frozen=True)
class Wanted:
    """A label to place: its point and its size, in pixels."""

    at: Spot
    width: float
    height: float


def around(spot: Spot, width: float, height: float) -> Box:
    return Box(spot[0] - width / 2, spot[1] - height / 2, spot[0] + width / 2, spot[1] + height / 2)


def place(labels: Sequence[Wanted], taken: Sequence[Box], lines: Floats, bounds: Box) -> list[Box]:
    """A box for each label, placed greedily in the order given, each where its cost is least. ``taken``: boxes to keep
    free; ``lines``: points of curves [n, 2], which cost less to cover."""
    filled, placed = list(taken), []
    for label in labels:
        box = _best(label, filled, lines, bounds)
        filled.append(box)
        placed.append(box)
    return placed


def _best(label: Wanted, filled: Sequence[Box], lines: Floats, bounds: Box) -> Box:
    """The box of least cost. The cost is the distance in pixels plus a weight for all that the box covers."""
    best, least = around(label.at, label.width, label.height), inf
    for box in _candidates(label, bounds):
        cost = _cost(box, label, filled)
        if cost < least:  # curves are tested last, because they have thousands of points
            cost += 4 * box.holds(lines)
            best, least = (box, cost) if cost < least else (best, least)
    return best


def _candidates(label: Wanted, bounds: Box) -> Iterator[Box]:
    """Boxes on circles around the point, moved inside the bounds."""
    for distance in DISTANCES:
        for step in range(DIRECTIONS):
            x, y = cos(2 * pi * step / DIRECTIONS), sin(2 * pi * step / DIRECTIONS)
            centre = (label.at[0] + x * (distance + label.width / 2), label.at[1] + y * (distance + label.height / 2))
            yield _inside(around(centre, label.width, label.height), bounds)


def _inside(box: Box, bounds: Box) -> Box:
    right = max(0.0, bounds.left - box.left) - max(0.0, box.right - bounds.right)
    up = max(0.0, bounds.bottom - box.bottom) - max(0.0, box.top - bounds.top)
    return Box(box.left + right, box.bottom + up, box.right + right, box.top + up)


def nearest(box: Box, spot: Spot) -> Spot:
    """The point of a box that is nearest to ``spot``, where a line from the label's point ends."""
    return min(max(spot[0], box.left), box.right), min(max(spot[1], box.bottom), box.top)


def _cost(box: Box, label: Wanted, filled: Sequence[Box]) -> float:
    grown = Box(box.left - GAP, box.bottom - GAP, box.right + GAP, box.top + GAP)
    covered = sum(grown.overlap(other) for other in filled) + 100 * grown.holds(np.array([label.at]))
    end = nearest(box, label.at)
    return hypot(end[0] - label.at[0], end[1] - label.at[1]) + 4 * covered
