"""Who is beaten by whom, in recall and retention at once, where a difference counts only if the intervals are apart."""

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.forgetting.grid.report.estimate import Estimate, below


@dataclass(frozen=True)
class Point:
    recall: Estimate
    retention: Estimate


def not_lower(one: Point, other: Point) -> bool:
    """In neither direction lower and apart: ``one`` dominates ``other`` or cannot be told from it."""
    return not below(one.recall, other.recall) and not below(one.retention, other.retention)


def beats(one: Point, other: Point) -> bool:
    """In neither direction lower and apart, in at least one higher and apart."""
    return not_lower(one, other) and not not_lower(other, one)


def front(points: Mapping[str, Point]) -> list[str]:
    """The names that nobody beats, in the order given; those that cannot be told apart are on it together."""
    return [name for name, point in points.items() if not any(beats(other, point) for other in points.values())]


def shortfall(point: Point, leaders: Mapping[str, Point]) -> float:
    """What lacks to the nearest leader: recall plus retention, as shares, by the values alone."""
    return min(
        max(0.0, leader.recall.value - point.recall.value) + max(0.0, leader.retention.value - point.retention.value)
        for leader in leaders.values()
    )


@dataclass(frozen=True)
class Standing:
    """One method among rivals. ``best``: the rival to compare it with; ``reached``: whether that one's recall is not
    lower."""

    best: str | None
    reached: bool
    level: tuple[str, ...]  # cannot be told from it
    above: tuple[str, ...]  # beat it

    @property
    def alone(self) -> bool:
        return not self.level and not self.above


def standing(ours: Point, rivals: Mapping[str, Point]) -> Standing:
    """The best rival is the one that keeps most among those whose recall is not lower; where no recall reaches ours,
    the one that recalls most."""
    same = {name: point for name, point in rivals.items() if not below(point.recall, ours.recall)}
    best = max(same, key=lambda name: (same[name].retention.value, same[name].recall.value), default=None)
    if best is None:
        best = max(rivals, key=lambda name: (rivals[name].recall.value, rivals[name].retention.value), default=None)
    return Standing(
        best=best,
        reached=bool(same),
        level=tuple(n for n, point in rivals.items() if not_lower(point, ours) and not beats(point, ours)),
        above=tuple(n for n, point in rivals.items() if beats(point, ours)),
    )
