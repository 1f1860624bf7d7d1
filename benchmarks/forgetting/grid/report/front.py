"""The front: which methods are not beaten in recall and retention. A difference counts only if the intervals do not
overlap."""

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.forgetting.grid.report.estimate import Estimate, below


@dataclass(frozen=True)
class Point:
    recall: Estimate
    retention: Estimate


def not_lower(one: Point, other: Point) -> bool:
    """Whether ``one`` is lower than ``other`` in neither direction."""
    return not below(one.recall, other.recall) and not below(one.retention, other.retention)


def beats(one: Point, other: Point) -> bool:
    """Whether ``one`` is lower in neither direction and higher in at least one."""
    return not_lower(one, other) and not not_lower(other, one)


def front(points: Mapping[str, Point]) -> list[str]:
    """The names of points that no other point beats, in the order given. Points whose intervals overlap are on the
    front together."""
    return [name for name, point in points.items() if not any(beats(other, point) for other in points.values())]


def shortfall(point: Point, leaders: Mapping[str, Point]) -> float:
    """Distance to the nearest leader: missing recall plus missing retention, as shares, by the values alone."""
    return min(
        max(0.0, leader.recall.value - point.recall.value) + max(0.0, leader.retention.value - point.retention.value)
        for leader in leaders.values()
    )


@dataclass(frozen=True)
class Standing:
    """The place of ours among the rivals. ``best``: the rival to compare with; ``reached``: whether the recall of
    ``best`` is not lower than ours."""

    best: str | None
    reached: bool
    level: tuple[str, ...]  # rivals that neither beat ours nor are lower
    above: tuple[str, ...]  # rivals that beat ours

    @property
    def alone(self) -> bool:
        return not self.level and not self.above


def standing(ours: Point, rivals: Mapping[str, Point]) -> Standing:
    """The standing of ours. The best rival has the highest retention among those whose recall is not lower; where there
    is none, the highest recall."""
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
