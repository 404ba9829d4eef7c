"""All items of many types, each once, over a few connections: who asks for what next, and what has come.

It knows threads; which pages come next is `segments`', and how many at once is `pace`'s. Rows come out as the portal wrote
them. A type that cannot be read to its end is named with the reason; none ends short in silence.
"""

from __future__ import annotations

import logging
import math
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, groupby
from typing import Any

from . import batching
from .background import GRACE_SECONDS, ahead, in_background
from .batching import Outcome
from .client import Client
from .collecting import seldom_collecting
from .errands import Errand
from .errors import Action, Bitrix24Error, CredentialError, UnavailableError
from .freeing import free_soon
from .lists import METHODS, ItemList, Row
from .pace import Pace
from .segments import Part, Segment, advance, newest_id
from .transport import TimedOutError
from .wire import BATCH_SIZE, PAGE_SIZE, Answer

log = logging.getLogger("bitrix24_source")

WORTH_A_CONNECTION = BATCH_SIZE * PAGE_SIZE
"""rows"""

SILENT_LISTS = 3
"""of which single pages do not come in time, one list after the other: then it is the portal that is silent"""

ANSWERS_AT_ONCE = 2
"""that are handed over as one when they are there already: what follows costs much the same for few rows as for many"""


@dataclass(frozen=True)
class Rows:
    """Some rows of one list; `left` estimates how many are still to come."""

    items: ItemList
    rows: Sequence[Row]
    left: int = 0
    parts: Sequence[Part] = ()
    """what is left of the list after these rows"""


@dataclass(frozen=True)
class Ended:
    """A list was read to its end, or as far as `error` let us."""

    items: ItemList
    error: Bitrix24Error | None = None


def read_items(
    client: Client,
    what: Sequence[ItemList | Segment],
    connections: int = 4,
    enough: threading.Event | None = None,
    pace: Pace | None = None,
    most: int = 0,
) -> Iterator[Rows | Ended]:
    """Every item of some lists, or of stretches of them; one `Ended` for each list, after its last rows.

    Requests go on in the background while the caller works on what came, a few batches ahead of it. Once `enough` is set,
    or `most` rows have come, nothing more is asked; what is under way still comes, and lists that are not finished have no
    `Ended`. A `pace` that was used before knows the portal's speed.

    Raises:
        Bitrix24Error: what concerns all lists alike: credential, network, a limit that does not end.
    """
    segments = [one if isinstance(one, Segment) else Segment(one) for one in what]
    free_soon()
    reading = _Reading(client, segments, max(1, connections), enough or threading.Event(), pace, most)
    try:
        with seldom_collecting():
            for came in ahead(reading.run, max(2, connections), ANSWERS_AT_ONCE):
                yield from _joined(came)
    finally:
        client.rest()


def _joined(came: Sequence[Rows | Ended]) -> Iterator[Rows | Ended]:
    """The same, neighbours of one list as one."""
    for items, neighbours in groupby(came, lambda what: what.items if isinstance(what, Rows) else None):
        if items is None:
            yield from neighbours
        else:
            *_, last = those = [what for what in neighbours if isinstance(what, Rows)]
            yield replace(last, rows=list(chain.from_iterable(what.rows for what in those)))


def pace_for(client: Client) -> Pace:
    """A pace for reading items from a portal that nothing is known of yet."""
    return Pace(client.budget, client.clock, ("batch", *METHODS))


class _Reading:
    """What is still to be read. Lives in one thread; only `_send` runs in others."""

    def __init__(
        self, client: Client, segments: Sequence[Segment], connections: int, enough: threading.Event, pace: Pace | None,
        most: int,
    ) -> None:  # fmt: skip
        self._client = client
        self._enough = enough
        self._rows_wanted = most or math.inf
        self._connections = connections
        self._pace = pace or pace_for(client)
        self._ready = deque(segments)
        self._unmeasured: deque[Segment] = deque()
        """segments behind a full first page, whose newest id is not known yet"""
        self._open: dict[ItemList, dict[Segment, None]] = {segment.items: {} for segment in segments}
        """what is left of each list, in order"""
        for segment in segments:
            self._open[segment.items][segment] = None
        self._failures: defaultdict[Segment, Counter[Action]] = defaultdict(Counter)
        self._silent: set[ItemList] = set()
        """lists of which single pages did not come in time, since anything came"""
        self._longest_chain = BATCH_SIZE
        self._quiet_until = 0.0
        self._running: dict[Future[tuple[list[Outcome], float] | None], Errand] = {}

    def run(self, gone: Future[None]) -> Iterator[Rows | Ended]:
        try:
            while (self._ready or self._unmeasured or self._running) and not gone.done():
                if not self._enough.is_set():
                    self._dispatch()
                elif not self._running:
                    return
                if not self._running:
                    self._wait_for_portal()
                    continue
                yield from self._arrived(gone)
        finally:
            wait(self._running, GRACE_SECONDS)

    def _arrived(self, gone: Future[None]) -> Iterator[Rows | Ended]:
        """What the next answers bring. Nothing here keeps their rows while those after them are waited for."""
        signs: set[Future[Any]] = {gone, *self._running}
        done = wait(signs, return_when=FIRST_COMPLETED).done - {gone}
        signs.clear()
        while done:
            future = done.pop()
            yield from self._settle(self._running.pop(future), future.result())

    # --- asking -------------------------------------------------------------------------------------------------------

    def _dispatch(self) -> None:
        if self._client.clock.monotonic() < self._quiet_until:
            return
        while len(self._running) < self._connections and (self._ready or self._unmeasured):
            under_way = sum(len(errand.calls) for errand in self._running.values())
            room = min(self._pace.room(under_way), self._pages_wanted())
            if room < 1:
                return
            errand = self._errand(min(room, self._share()))
            self._pace.sent()
            self._running[in_background(partial(self._send, errand))] = errand

    def _pages_wanted(self) -> int:
        """Pages until there are enough, besides those under way."""
        if self._rows_wanted == math.inf:
            return BATCH_SIZE
        under_way = sum(links for errand in self._running.values() for _, links in errand.chains)
        return math.ceil(self._rows_wanted / PAGE_SIZE) - under_way

    def _share(self) -> int:
        """Pages for one of the idle connections: few that take long are not asked for in one request while others are idle."""
        wanted = len(self._unmeasured) + sum(segment.pages_wanted(self._longest_chain) for segment in self._ready)
        share = math.ceil(wanted / (self._connections - len(self._running)))
        return max(share, self._pace.worth_a_request())

    def _errand(self, room: int) -> Errand:
        errand = Errand(self._pace, room, self._client.auth.token())
        while self._unmeasured and errand.look_for_newest(self._unmeasured[0]):
            self._unmeasured.popleft()
        while self._ready and errand.read(self._ready[0], self._longest_chain):
            self._ready.popleft()
        return errand

    def _send(self, errand: Errand) -> tuple[list[Outcome], float] | None:
        """What came of the commands, and the seconds that it took; None when they were too many for the portal's time."""
        try:
            return batching.once(self._client, errand.calls)
        except TimedOutError as error:
            if len(errand.calls) > 1:
                return None
            error.action = Action.FAIL  # the client has tried whatever could help
            return [error], 0.0

    def _wait_for_portal(self) -> None:
        seconds = max(self._quiet_until - self._client.clock.monotonic(), 0.0)
        if not seconds:
            seconds = self._pace.seconds_to_wait()
            reason = UnavailableError("the portal's time budget for reading items is nearly used up")
            self._client.wait(seconds, reason)
        else:
            self._client.clock.sleep(seconds)

    # --- taking in ----------------------------------------------------------------------------------------------------

    def _settle(self, errand: Errand, came: tuple[list[Outcome], float] | None) -> Iterator[Rows | Ended]:
        if came is None:
            self._pace.too_slow(errand.kinds)
            self._unmeasured.extend(errand.newest)
            self._ready.extend(segment for segment, _ in errand.chains)
            return
        outcomes, seconds = came
        if not isinstance(outcomes[0], TimedOutError):
            durations = [outcome.duration if isinstance(outcome, Answer) else 0.0 for outcome in outcomes]
            self._pace.came(errand.kinds, durations, seconds)
        self._require_life(errand, outcomes)
        self._renew(errand, outcomes)
        left = iter(outcomes)
        for segment in errand.newest:
            yield from self._measured(segment, next(left))
        for segment, links in errand.chains:
            yield from self._read(segment, [next(left) for _ in range(links)])

    def _require_life(self, errand: Errand, outcomes: Sequence[Outcome]) -> None:
        """A page that never comes is its list's misfortune; where no other comes either, the portal is gone."""
        first = outcomes[0]
        if not isinstance(first, TimedOutError):
            self._silent.clear()
            return
        self._silent |= {segment.items for segment in (*errand.newest, *(one for one, _ in errand.chains))}
        if len(self._silent) >= SILENT_LISTS:
            raise first

    def _renew(self, errand: Errand, outcomes: Sequence[Outcome]) -> None:
        """A token that expired between two commands of a batch is renewed once for all of them."""
        expired = [error for error in outcomes if isinstance(error, CredentialError)]
        if expired and not (expired[0].action is Action.RENEW and self._client.renewed(errand.token)):
            raise expired[0]

    def _measured(self, segment: Segment, outcome: Outcome) -> Iterator[Rows | Ended]:
        """The newest id bounds the estimate, and lets a long list be read in several places at once."""
        if segment not in self._open[segment.items]:
            return  # its list has failed meanwhile
        newest = newest_id(segment.items, outcome)
        if isinstance(newest, Bitrix24Error):
            yield from self._failed(segment, newest, self._unmeasured)
            return
        if newest < segment.after:  # not to be believed where more has come already
            self._ready.append(segment)
            return
        segment.goal = newest if segment.upper is None else min(newest, segment.upper)
        if segment.goal > segment.after:
            self._queue(segment)
            return
        self._open[segment.items].pop(segment)
        if not self._open[segment.items]:
            yield Ended(segment.items)

    def _read(self, segment: Segment, outcomes: Sequence[Outcome]) -> Iterator[Rows | Ended]:
        open_ = self._open[segment.items]
        if segment not in open_:
            return  # its list has failed meanwhile
        was_first = segment.goal is None
        progress = advance(segment, outcomes)
        if progress.broken_chain and self._longest_chain > 1:
            self._longest_chain = 1
            log.info("%s does not fill in references within a batch: reading in windows", self._client.portal)
        if progress.pages:
            self._failures.pop(segment, None)
        if progress.finished:
            open_.pop(segment)
        self._count(len(progress.rows))
        if progress.rows:
            left = int(sum(part.rows_left() for part in open_))
            yield Rows(segment.items, progress.rows, left, [part.to_part() for part in open_])
        if progress.finished:
            if not open_:
                yield Ended(segment.items)
        elif progress.error is not None:
            yield from self._failed(segment, progress.error, self._ready)
        elif was_first:
            self._unmeasured.append(segment)
        else:
            self._queue(segment)

    def _count(self, rows: int) -> None:
        self._rows_wanted -= rows
        if self._rows_wanted <= 0:
            self._enough.set()

    def _queue(self, segment: Segment) -> None:
        """Back into the queue, in parts where connections are free and the stretch is long."""
        worth = WORTH_A_CONNECTION if self._longest_chain > 1 else PAGE_SIZE
        most = self._connections if self._longest_chain > 1 else BATCH_SIZE
        free = most - len(self._running) - len(self._ready) - len(self._unmeasured)
        parts = segment.split(min(free, int(segment.rows_left() // worth)))
        open_ = self._open[segment.items]
        open_.pop(segment)
        open_.update(dict.fromkeys(parts))
        self._ready.extend(parts)

    def _be_quiet(self, seconds: float, error: Bitrix24Error) -> None:
        """Nothing more is asked for some time. What fails for the same reason meanwhile is no news."""
        until = self._client.clock.monotonic() + seconds
        if until > self._quiet_until + 1:
            self._client.announce(seconds, error)
        self._quiet_until = max(self._quiet_until, until)

    def _failed(self, segment: Segment, error: Bitrix24Error, retry: deque[Segment]) -> Iterator[Rows | Ended]:
        """Again after a pause where that may help; else the list is given up as a whole."""
        self._failures[segment][error.action] += 1
        failures = self._failures[segment][error.action]
        patience = self._client.settings.patience
        most = {Action.FAIL: 0, Action.WAIT: int(patience.operating_seconds / 60)}.get(error.action, patience.attempts)
        if failures <= most:
            pause = min(patience.longest, patience.shortest * 2.0**failures)
            pause = self._client.pause_before_retry(error, ("batch", segment.items.method), pause)
            self._be_quiet(pause, error)
            retry.append(segment)
            return
        dropped = self._open[segment.items]
        self._ready = deque(part for part in self._ready if part not in dropped)
        self._unmeasured = deque(part for part in self._unmeasured if part not in dropped)
        dropped.clear()
        yield Ended(segment.items, error)
