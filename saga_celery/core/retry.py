"""How often an activity is tried, and how long it rests in between."""

from __future__ import annotations

from dataclasses import dataclass

FREE_RESTS = 100
"""How many attempts of one activity may ask for a rest that uses up none; from then on each counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Retry policy of a step or of a compensation.

    The rest before attempt n+1 is `delay * 2**(n-1)` seconds, at most `maximum`, and with `jitter` a random share of
    that (full jitter; see "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).

    Args:
        attempts: how many runs are allowed in all, the first one included.
        delay: seconds of rest after the first failure.
        maximum: upper bound of one rest in seconds.
        jitter: draw each rest between nothing and its bound.
    """

    attempts: int = 3
    delay: float = 1.0
    maximum: float = 300.0
    jitter: bool = True

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ValueError(f"Retry(attempts={self.attempts}): at least one attempt is needed")
        if self.delay < 0 or self.maximum < 0:
            raise ValueError("Retry: delay and maximum are seconds and can not be negative")

    def allows_another(self, tries: int) -> bool:
        """Tell whether a further attempt may follow after `tries` of them."""
        return tries < self.attempts
