"""What has been counted so far: numbers that only grow."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import accumulate

Labels = tuple[str, ...]
"""Values of the labels of a metric, in the order of its labels."""

SAGA_BOUNDS = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 21_600.0, 86_400.0, 604_800.0)
"""Upper bounds, in seconds, of the durations of sagas: from a tenth of a second to a week."""
STEP_BOUNDS = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0)
"""The same of the attempts of steps."""


class Distribution:
    """How many durations lie in which range.

    Args:
        bounds: seconds, growing; each is the upper one, inclusive, of a range.
    """

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.seconds = 0.0

    def observe(self, seconds: float) -> None:
        """Count one; no clock of a database goes back far enough for less than no time to mean anything."""
        seconds = max(seconds, 0.0)
        self.add(bisect_left(self._bounds, seconds), 1, seconds)

    def add(self, place: int, count: int, seconds: float) -> None:
        """Count several of one range.

        Args:
            place: number of the range.
            count: how many there are.
            seconds: of all of them together.
        """
        self._counts[place] += count
        self.seconds += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """As Prometheus wants them: each bound, with how many are not longer."""
        bounds = [*(str(bound) for bound in self._bounds), "+Inf"]
        return list(zip(bounds, accumulate(map(float, self._counts)), strict=True))


class Tally:
    """All counters and histograms, by their labels in the order of `names`."""

    def __init__(self) -> None:
        self.started: Counter[str] = Counter()
        self.finished: Counter[Labels] = Counter()
        self.attempts: Counter[Labels] = Counter()
        self.durations: defaultdict[Labels, Distribution] = defaultdict(lambda: Distribution(SAGA_BOUNDS))
        self.step_seconds: defaultdict[Labels, Distribution] = defaultdict(lambda: Distribution(STEP_BOUNDS))
