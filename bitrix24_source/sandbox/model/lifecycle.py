"""Answers which way one item has gone: its category, the stages it passed and when.

It refuses to know the other columns; items and the stage history both ask here, so they agree.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from bitrix24_source.sandbox.scenarios.deterministic import DAY, STORY_END, STORY_START, mix

MOST_EVENTS = 4
# No item is touched later than this after its creation, so `updatedTime` bounds the ids that can match.
LONGEST_LIFE = 90 * DAY


@dataclass(frozen=True)
class Stage:
    code: str
    semantics: str  # P, S or F


@dataclass(frozen=True)
class Lane:
    """A category with its stages in order; no stages where the type has none."""

    category_id: int
    stages: tuple[Stage, ...]


@dataclass(frozen=True)
class Event:
    at: int
    stage: Stage | None


@dataclass(frozen=True)
class Trip:
    category_id: int
    events: tuple[Event, ...]
    updated_at: int

    @property
    def stage(self) -> Stage | None:
        return self.events[-1].stage


class Journeys:
    """All trips of one type: created in the order of the ids, evenly over the company's past."""

    def __init__(self, lanes: Sequence[Lane], salted: int, count: int, place_of: Callable[[int], int]) -> None:
        self._lanes = tuple(lanes) or (Lane(0, ()),)
        self._salt = salted
        self._count = max(1, count)
        self._place_of = place_of
        # Several columns of a row ask for the same trip, one after the other.
        self.trip = lru_cache(maxsize=8192)(self._trip)

    def created_at(self, place: int) -> int:
        return STORY_START + (STORY_END - STORY_START) * place // self._count

    def _trip(self, number: int) -> Trip:
        chance = mix(number, self._salt)
        lane = self._lanes[chance % len(self._lanes)]
        created = self.created_at(self._place_of(number))
        events = _events(lane, created, mix(number, self._salt + 1))
        touched = events[-1].at + mix(number, self._salt + 2) % (3 * DAY)
        return Trip(lane.category_id, events, min(touched, STORY_END))


def _events(lane: Lane, created: int, chance: int) -> tuple[Event, ...]:
    if not lane.stages:
        return (Event(created, None),)
    events, place, at = [Event(created, lane.stages[0])], 0, created
    for step in range(chance % MOST_EVENTS):
        at += 3600 + (chance >> (3 + step)) % (20 * DAY)
        place += 1 + (chance >> (5 + step)) % 2
        if place >= len(lane.stages) or at > STORY_END:
            break
        events.append(Event(at, lane.stages[place]))
        if lane.stages[place].semantics != "P":
            break
    return tuple(events)
