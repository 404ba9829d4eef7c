"""How long and how often a call is repeated, and the pauses in between."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class RetryPolicy:
    """How long we go on trying before a person hears of it.

    Attributes:
        seconds: in all, for what may pass soon (network, 5xx, request limit).
        attempts: at most, whatever time they took.
        attempts_before_first_answer: attempts while the portal has never answered: a wrong address should not cost minutes.
        token_refreshes: of one call, in all: a token that expires as soon as it is issued will not get better.
        operating_seconds: in all, for a method's used-up time budget.
        shortest: the first pause, seconds; each is twice the one before it.
        longest: no pause is longer, seconds.
    """

    seconds: float = 120.0
    attempts: int = 10
    attempts_before_first_answer: int = 3
    token_refreshes: int = 3
    operating_seconds: float = 1800.0
    shortest: float = 0.5
    longest: float = 30.0
    rng: random.Random = field(default_factory=random.Random)

    def backoff(self) -> Iterator[float]:
        """Growing pauses without end, each anywhere in the upper half of its step, so that clients do not return at once."""
        step = self.shortest
        while True:
            yield step * (0.5 + self.rng.random() / 2)
            step = min(self.longest, step * 2)
