"""Computes the journey of an item: its category, the stages it passed and when, and who worked on it.

Items and the stage history share these journeys, so they agree.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from functools import lru_cache
from itertools import accumulate

from ..scenarios.deterministic import DAY, Story, mix, unit

MOST_EVENTS = 8
# No item is touched later than this after its creation, so `updatedTime` bounds the ids that can match.
LONGEST_LIFE = 120 * DAY
HOUR = 3600


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
    """The journey of one item; `person` is 0 if no particular person worked on it."""

    category_id: int
    events: tuple[Event, ...]
    updated_at: int
    person: int = 0

    @property
    def stage(self) -> Stage | None:
        return self.events[-1].stage


@dataclass(frozen=True)
class Worker:
    """One person: the share of the items, the chance to win against the usual one, and the time a stage takes."""

    user_id: int
    share: float
    success: float = 1.0
    pace: float = 1.0


@dataclass(frozen=True)
class Habits:
    """How a company works: by season, weekday and hour, by person, and with one stage in which things get stuck.

    Attributes:
        months: How busy each month is, from January.
        weekdays: How busy each weekday is, from Monday.
        growth: How much busier the last day is than the first.
        workers: The people who are responsible for items.
        success: The chance that an item ends well.
        days_in_stage: The mean of an ordinary stage; the slowest stage of a category takes `slow_factor` of it.
        stuck: The share of items reaching the slowest stage that never leave it.
    """

    months: tuple[float, ...]
    weekdays: tuple[float, ...]
    growth: float
    workers: tuple[Worker, ...]
    success: float = 0.62
    days_in_stage: float = 4.0
    slow_factor: float = 2.5
    stuck: float = 0.03


@dataclass(frozen=True)
class Lives:
    """What the items of a portal share: its past, and how its people work."""

    story: Story
    habits: Habits | None = None
    zone: tzinfo | None = None


@dataclass
class Calendar:
    """The working days of a story, each with its share of all that happens."""

    story: Story
    habits: Habits
    zone: tzinfo | None
    _mornings: list[int] = field(default_factory=list)
    _sums: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        first = datetime.fromtimestamp(self.story.start, self.zone).replace(hour=9, minute=0, second=0)
        days = (self.story.end - self.story.start) // DAY + 1
        dates = [first + timedelta(days=day) for day in range(days)]
        self._mornings = [int(date.timestamp()) for date in dates]
        self._sums = list(accumulate(self._weight(date, place / days) for place, date in enumerate(dates)))

    def _weight(self, date: datetime, passed: float) -> float:
        holidays = (date.month, date.day) >= (12, 30) or (date.month, date.day) <= (1, 8)
        usual = self.habits.months[date.month - 1] * self.habits.weekdays[date.weekday()]
        return usual * (1 + (self.habits.growth - 1) * passed) * (0.1 if holidays else 1)

    def moment(self, share: float) -> int:
        """Returns the time, between 9:00 and 18:00, by which this share of all events has happened."""
        wanted = share * self._sums[-1]
        day = min(bisect_right(self._sums, wanted), len(self._sums) - 1)
        before = self._sums[day - 1] if day else 0.0
        inside = (wanted - before) / (self._sums[day] - before)
        return min(self._mornings[day] + int(inside * 9 * HOUR), self.story.end)

    def working_time(self, at: int, chance: float) -> int:
        """Returns a time within working hours on the same day, or on the Monday after a weekend."""
        date = datetime.fromtimestamp(at, self.zone)
        weekend = max(0, 7 - date.weekday()) if date.weekday() > 4 and chance > 0.1 else 0
        morning = date.replace(hour=9, minute=0, second=0) + timedelta(days=weekend)
        return int(morning.timestamp() + chance * 9 * HOUR)


# All types of a portal have the same one, and hundreds of portals of a test suite.
_calendar = lru_cache(maxsize=16)(Calendar)


class Journeys:
    """The journeys of all items of one type, created in id order over the company's past."""

    def __init__(
        self, lanes: Sequence[Lane], salted: int, count: int, place_of: Callable[[int], int], lives: Lives
    ) -> None:
        self._lanes = tuple(lanes) or (Lane(0, ()),)
        self._salt = salted
        self._count = max(1, count)
        self._place_of = place_of
        self._story, self._habits = lives.story, lives.habits
        self._calendar = _calendar(lives.story, lives.habits, lives.zone) if lives.habits else None
        # Several columns of a row ask for the same trip, one after the other.
        self.trip = lru_cache(maxsize=8192)(self._trip)

    def created_at(self, place: int) -> int:
        """Returns when the item at this position was created, never before its predecessor."""
        if self._calendar is not None:
            return self._calendar.moment(place / self._count)
        return self._story.start + (self._story.end - self._story.start) * place // self._count

    def _trip(self, number: int) -> Trip:
        created = self.created_at(self._place_of(number))
        if self._habits is not None and self._calendar is not None:
            return _Work(self._habits, self._calendar, number, self._salt).trip(self._lanes, created)
        chance = mix(number, self._salt)
        lane = self._lanes[chance % len(self._lanes)]
        events = _events(lane, created, mix(number, self._salt + 1), self._story.end)
        touched = events[-1].at + mix(number, self._salt + 2) % (3 * DAY)
        return Trip(lane.category_id, events, min(touched, self._story.end))


def _events(lane: Lane, created: int, chance: int, end: int) -> tuple[Event, ...]:
    if not lane.stages:
        return (Event(created, None),)
    events, place, at = [Event(created, lane.stages[0])], 0, created
    for step in range(chance % 4):
        at += HOUR + (chance >> (3 + step)) % (20 * DAY)
        place += 1 + (chance >> (5 + step)) % 2
        if place >= len(lane.stages) or at > end:
            break
        events.append(Event(at, lane.stages[place]))
        if lane.stages[place].semantics != "P":
            break
    return tuple(events)


@dataclass
class _Work:
    """The decisions that people take on one item, one after the other; deterministic."""

    habits: Habits
    calendar: Calendar
    number: int
    salted: int

    def _chance(self, step: int) -> float:
        return unit(self.number, self.salted, step)

    def trip(self, lanes: Sequence[Lane], created: int) -> Trip:
        worker = self._worker(self._chance(1))
        lane = lanes[int(self._chance(2) ** 2 * len(lanes))]
        events = self._events(lane, worker, created)
        touched = self.calendar.working_time(events[-1].at + int(self._chance(3) * 3 * DAY), self._chance(4))
        end = min(self.calendar.story.end, created + LONGEST_LIFE)
        return Trip(lane.category_id, events, min(max(touched, events[-1].at), end), worker.user_id)

    def _worker(self, chance: float) -> Worker:
        left = chance * sum(worker.share for worker in self.habits.workers)
        for worker in self.habits.workers:
            left -= worker.share
            if left < 0:
                return worker
        return self.habits.workers[-1]

    def _events(self, lane: Lane, worker: Worker, created: int) -> tuple[Event, ...]:
        if not lane.stages:
            return (Event(created, None),)
        running = [stage for stage in lane.stages if stage.semantics == "P"][: MOST_EVENTS - 1] or [lane.stages[0]]
        well = [stage for stage in lane.stages if stage.semantics == "S"]
        badly = [stage for stage in lane.stages if stage.semantics not in ("P", "S")]
        slowest = running[len(running) * 2 // 3]
        goes_well = self._chance(5) < self.habits.success * worker.success
        # Half of what fails does so in the first two stages.
        fails_after = len(running) if goes_well or not badly else 1 + int(self._chance(6) ** 1.5 * len(running))
        events, at = [Event(created, running[0])], created
        for place, stage in enumerate(running, 1):
            if stage is slowest and self._chance(7) < self.habits.stuck * worker.pace:
                return tuple(events)
            at = self._left(at, worker, place, slow=stage is slowest)
            if at > min(self.calendar.story.end, created + LONGEST_LIFE - 4 * DAY):
                return tuple(events)
            if not goes_well and badly and place >= fails_after:
                return (*events, Event(at, badly[int(self._chance(8) ** 2 * len(badly))]))
            if place < len(running):
                events.append(Event(at, running[place]))
        return (*events, Event(at, well[0])) if well else tuple(events)

    def _left(self, at: int, worker: Worker, place: int, *, slow: bool) -> int:
        """Returns when the item leaves a stage: most leave soon, some late."""
        mean = self.habits.days_in_stage * worker.pace * (self.habits.slow_factor if slow else 1)
        days = min(-math.log(1 - self._chance(10 + place)) * mean, 40)
        later = self.calendar.working_time(at + int(days * DAY), self._chance(20 + place))
        return later if later > at else at + HOUR // 2 + int(self._chance(30 + place) * HOUR)
