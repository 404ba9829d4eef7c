"""One sync run over all streams: reads what the plan says, yields tables, and saves checkpoints.

A stream is read in full the first time, and by what is new and what changed after that; its ids are compared with the
destination's now and then, because the portal does not report deletions. dlt commits rows and checkpoints in one package.
"""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice

import pyarrow as pa

from ..catalog import Catalog, EntityType, IssueLog
from ..errors import Bitrix24Error, ConfigError, DeniedError, PortalError, UnavailableError
from ..reader import ChildQuery, IdRange, ListEnd, ListQuery, PageBatch, Row, new_batch_sizer, read_lists
from ..rest import Client, gather
from .dependents import ChildBatch, DependentStream
from .item_tables import TableRows, item_spec
from .options import SyncOptions
from .plan import SyncStart, make_plan
from .ports import ChildCounts, LoadContext
from .provenance import Provenance
from .reconcile import ALWAYS_ALLOWED_DELETES, compare, confirmed_deleted_types, tombstones
from .selection import SPA_ITEMS
from .streams import ReadMode, Stream
from .table_batches import TableBatch

log = logging.getLogger("bitrix24_source")


TableStream = Generator[TableBatch, None, None]
_LOST = (UnavailableError, PortalError)
"""the portal cannot be asked any further; what came is worth keeping, which a refused credential is no reason for"""
LISTS_AT_ONCE = 10_000
"""of children, of which there may be one for each owner"""


class SyncRun:
    """One round. Lives as long as one extraction."""

    def __init__(
        self,
        client: Client,
        streams: Sequence[Stream],
        context: LoadContext,
        options: SyncOptions,
        issues: IssueLog,
    ) -> None:
        self._client = client
        self._streams = streams
        self._context = context
        self._options = options
        self._issues = issues
        self._of: dict[ListQuery, tuple[Stream, ReadMode]] = {}
        self._missing: dict[ListQuery, Stream] = {}
        """lists of rows that came back or came into sight, and are to be read by their ids"""
        self._enough = threading.Event()
        self._destination = context.destination
        self._written: set[str] = set()
        """names of the tables that rows were handed on for"""
        self._to_reconcile: list[Stream] = []
        self._counts: dict[str, Mapping[int, ChildCounts] | None] = {}
        """rows of tables that belong to others, as far as they were asked for"""
        self._rows = 0
        self._moment: SyncStart | None = None
        """None when the portal could not even be asked the time"""
        self._lost: Bitrix24Error | None = None
        """why the portal cannot be asked any further in this round"""

    def batches(self, catalog: Catalog) -> TableStream:
        """Everything for the destination; keeps the checkpoint of what it finished."""
        wanted = self._context.has_consumer
        session = self._options.session
        session.begin_slice()
        self._started = self._client.clock.monotonic()
        self._streams = [one for one in self._streams if one.key not in session.finished and self._accepts(one)]
        for one in self._streams:
            one.is_dropped = not session.slices and self._is_dropped(one)
            one.recall(self._context.resource_state(one.resource), is_first_slice=not session.slices)
        planned = self._plan()
        yield from self._read([id_range for role, id_range in planned if role != "all"], threading.Event())
        yield from self._read([id_range for role, id_range in planned if role == "all"], self._enough)
        yield from self._reconcile()
        yield from self._read_dependents()
        self._report_unknown_exclusions()
        self._report_unusable_rows()
        if wanted(SPA_ITEMS):
            yield from self._deleted_type_tombstones(catalog)
        for one in self._streams:
            yield from self._empty_tables(one)
        for one in self._streams:
            if self._moment is not None and wanted(one.resource):
                one.remember()
        self._remember_user()
        session.finished.update(one.key for one in self._streams if not one.needs_another_slice)
        session.slices += 1
        unfinished = [one for one in self._streams if one.needs_another_slice]
        session.unfinished = bool(unfinished)
        session.left = {one.name: session.left.get(one.name, 0) for one in unfinished}

    # --- what to read -------------------------------------------------------------------------------------------------

    def _plan(self) -> list[tuple[ReadMode, IdRange]]:
        """What to read; nothing, with all lists named, when the portal cannot even be asked the time."""
        if not self._streams:
            return []
        for one in self._streams:
            if isinstance(one, DependentStream):
                one.look_for_parent_stream()
        asking = [one for one in self._streams if not (isinstance(one, DependentStream) and one.shares_parent_read)]
        try:
            self._moment, asked = make_plan(
                self._client,
                asking,
                self._options,
                self._issues,
                Provenance.from_state(self._context.source_state).user,
            )
        except _LOST as error:
            self._lost = error
            for one in self._streams:
                self._record_failure(one, error)
            return []
        self._of |= {id_range.items: (one, role) for one, role, id_range in asked}
        return [(role, id_range) for _, role, id_range in asked]

    def _accepts(self, one: Stream) -> bool:
        """Whether the destination's table can take the list as it is now."""
        if not self._options.session.slices and not self._context.has_columns(one.name):
            self._options.session.new_tables.add(one.name)
        if one.table is None:
            return True
        one.is_new = not self._context.has_columns(one.table.name)
        too_wide = one.table.tables_beyond_limit()
        if too_wide:
            sizes = ", ".join(f"{name} has {size}" for name, size in too_wide.items())
            error = ConfigError(
                f"more columns than the destination allows in a table ({one.table.capabilities.max_columns})", sizes
            )
            hint = f"name the fields that are needed in select, or leave_out the others as {one.table.name}.<column>"
            message = f"{error.what}: {error.where}; its items are not loaded"
            self._issues.record(one.resource, error, message, hint=hint, entity_type_id=one.entity_type_id)
        return not too_wide

    def _report_unknown_exclusions(self) -> None:
        """A name that fits nothing lets through what somebody wants to keep out; rows may have what no field list names."""
        for one in self._streams:
            if one.table is None or not one.table.rows or not (unknown := one.table.unknown_exclusions()):
                continue
            error = ConfigError(f"leave_out names columns that do not exist: {', '.join(unknown)}", one.table.name)
            hint = "name them as spa_fields or crm_fields do"
            self._issues.record(one.resource, error, error.what, hint=hint, entity_type_id=one.entity_type_id)

    def _report_unusable_rows(self) -> None:
        """Rows that nothing tells from others cannot be stored; all others of their lists are."""
        for stream in self._streams:
            if not (rows := stream.passed_over):
                continue
            subject = f"{rows.count:,} row{'s' if rows.count > 1 else ''} of {stream.name}"
            error = PortalError(f"{subject} not loaded, for want of a usable id ({rows.example})", stream.items.method)
            hint = "report it to the portal's administrator: a customised REST method or a damaged row may be the cause"
            self._issues.record(stream.resource, error, error.what, hint=hint, entity_type_id=stream.entity_type_id)

    # --- what came ----------------------------------------------------------------------------------------------------

    def _read(self, ranges: Sequence[IdRange], enough: threading.Event) -> TableStream:
        """Reads, then what turned out to be read once more. Not within each other: two streams would wait for one batch_sizer."""
        while ranges:
            otherwise: list[IdRange] = []
            for what in self._events(ranges, enough):
                one, role = self._of[what.items]
                if isinstance(what, PageBatch):
                    yield from self._on_rows(one, role, what)
                elif isinstance(what.error, PortalError) and what.items.extra_select:
                    otherwise += self._without_extra_select(what.items, ranges)
                elif what.error is not None:
                    self._record_failure(one, what.error)
                else:
                    one.open.discard(what.items)
                    if not one.open and not one.failed:
                        self._on_stream_complete(one)
            ranges = otherwise

    def _events(
        self, ranges: Sequence[IdRange], enough: threading.Event | None = None
    ) -> Iterator[PageBatch | ListEnd]:
        """What comes of some lists. A portal that does not come back ends them all: what came is kept, the rest is named."""
        session = self._options.session
        session.batch_sizer = session.batch_sizer or new_batch_sizer(self._client)
        open_ = {id_range.items for id_range in ranges}
        try:
            if self._lost is None:
                most = session.slice_rows if enough is self._enough else 0
                for what in read_lists(
                    self._client, ranges, self._options.connections, enough, session.batch_sizer, most
                ):
                    if isinstance(what, ListEnd):
                        open_.discard(what.items)
                    yield what
        except _LOST as error:
            self._lost = error
        if self._lost is not None:
            yield from (ListEnd(items, self._lost) for items in open_)

    def _without_extra_select(self, items: ListQuery, ranges: Sequence[IdRange]) -> list[IdRange]:
        """A list that cannot be read with what was asked for besides, is read without it."""
        one, role = self._of[items]
        plain = one.without_extra_select(items)
        self._of[plain] = one, role
        return [replace(id_range, items=plain) for id_range in ranges if id_range.items is items]

    def _on_rows(self, one: Stream, role: ReadMode, what: PageBatch) -> TableStream:
        one.pass_over(role, what.unusable)
        ids = pa.array([one.items.id_of(row) for row in what.rows], pa.int64())
        if one.sweeps and role in ("all", "ids"):
            is_timed = role == "ids" and one.items.updated_field in what.items.select
            one.seen.add(ids, [row.get(one.items.updated_field) for row in what.rows] if is_timed else None)
        elif one.sweeps:
            one.seen.fetched.append(ids)
        if role == "ids":
            return
        if role == "changed":
            self._check_bound(one, what.rows)
        one.rows += len(ids)
        one.max_id = max([one.max_id, *ids.to_pylist()])
        if role == "all":
            one.checkpoint.remaining_ranges, one.checkpoint.high_water_id = (
                list(what.parts),
                max(one.checkpoint.high_water_id, one.max_id),
            )
            self._count(len(ids))
        if what.rows:
            yield from self._stored(one, what.rows, ids)
        self._say_what_is_left(one, what)

    def _stored(self, one: Stream, rows: Sequence[Row], ids: pa.Array) -> TableStream:
        """Rows on their way, what they bring with them, and their owners for whom the rest of it is to be read."""
        for other in self._streams:
            if isinstance(other, DependentStream) and (
                other is one or (other.parent_stream is one and other.shares_parent_read)
            ):
                yield from self._child_tables(other, other.observe_parents(ids, rows))
        if one.table is not None:
            yield from self._batches_of(one, one.table.convert(rows, self._client.clock.now()))

    def _batches_of(self, one: Stream, tables: Iterable[TableRows]) -> TableStream:
        for spec, rows in tables:
            self._written.add(spec.name)
            yield TableBatch(one.resource, spec, rows)

    def _empty_tables(self, one: Stream) -> TableStream:
        """Those of which nothing came. Not those that the destination has: an empty table is as much work for it as any."""
        for spec, rows in one.empty_tables():
            if spec.name not in self._written and not self._context.has_columns(spec.name, rows.schema.names):
                yield from self._batches_of(one, [(spec, rows)])

    def _check_bound(self, one: Stream, rows: Sequence[Row]) -> None:
        """Rows older than the bound mean that the portal ignored the filter: nothing is lost, but much is read in vain."""
        since = one.checkpoint.since(self._options.overlap)
        if one.warned or not one.time_filter.was_ignored(one.items, rows, since):
            return
        one.warned = True
        error = PortalError(f"the portal ignores the filter on {one.items.updated_field}", one.items.method)
        self._issues.record(
            one.resource, error, f"{one.name}: {error.what}; all items were read", entity_type_id=one.entity_type_id
        )

    def _count(self, rows: int) -> None:
        """A slice ends when it is full or its time is over; what is under way still comes."""
        self._rows += rows
        if self._options.session.is_full(self._rows, self._client.clock.monotonic() - self._started):
            self._enough.set()

    def _on_stream_complete(self, one: Stream) -> None:
        """Everything asked of the list came: the moment when its reading began is the next cursor."""
        checkpoint = one.checkpoint
        if one.role == "all":
            checkpoint.cursor = checkpoint.full_read_started
        elif self._moment is not None:
            checkpoint.cursor, checkpoint.clock_skew = self._moment.now.isoformat(), self._moment.ahead
        checkpoint.full_read_started, checkpoint.remaining_ranges = "", []
        checkpoint.high_water_id = max(checkpoint.high_water_id, one.max_id)
        checkpoint.runs_since += 1
        self._options.session.seen.pop(one.key, None)
        if one.sweeps:
            self._to_reconcile.append(one)

    def _reconcile(self) -> TableStream:
        """Compares lists whose ids were all read with their tables, over one connection to the destination.

        What is gone is marked; what is missing, came back or changed without our knowing is read again by id.
        """
        with self._destination.opened():
            for one in self._to_reconcile:
                if not isinstance(one, DependentStream):
                    yield from self._reconcile_stream(one)
            self._compare_counts()
            self._compare_children()
        self._to_reconcile = []
        missing, self._missing = self._missing, {}
        yield from self._reread_by_id(missing)

    def _compare_counts(self) -> None:
        """Has a history read anew of which the destination has fewer rows than the portal; one call for each type."""
        start, schedule = self._moment, self._options.sweep
        if start is None or self._lost is not None:
            return
        due = [
            one for one in self._streams
            if one.is_counted and not one.failed and not one.open and one.checkpoint.is_sweep_due(start.now, schedule)
        ]  # fmt: skip
        again = [one for one in due if one.role != "all"]
        tables = {one.entity.entity_type_id: one.entity.items_table for one in again if one.entity is not None}
        stored = self._destination.counts(again[0].name, items_tables=tables) if again else None
        for one in again:
            if stored is None:
                break
            count = stored.get(one.items.entity_type_id, 0) + one.rows + one.passed_over.count
            if one.portal_count is not None and count < one.portal_count:
                one.start_over(f"the table has {count:,} of {one.portal_count:,} rows")
        for one in due:
            one.checkpoint.runs_since, one.checkpoint.reconciled_at = 0, start.now.isoformat()

    def _compare_children(self) -> None:
        """Owners whose rows are not those that the destination has are read again, with those that changed.

        The number of rows is asked for many owners at once, of all types in the same requests.
        """
        comparing: list[tuple[DependentStream, list[int], ChildCounts]] = []
        start = self._moment
        for one in self._streams:
            if not isinstance(one, DependentStream) or self._lost is not None or start is None:
                continue
            if one in self._to_reconcile:
                one.checkpoint.runs_since, one.checkpoint.reconciled_at = 0, start.now.isoformat()
            if owners := one.owners_to_compare():
                stored = self._child_counts(one)
                if stored is not None:
                    comparing.append((one, owners, stored.get(one.items.entity_type_id, {})))
        comparisons = [one.differing_owners(owners, stored) for one, owners, stored in comparing]
        try:
            results = gather(self._client, comparisons)
        except _LOST as error:
            self._lost = error
            results = [error] * len(comparing)
        for (one, _, _), result in zip(comparing, results, strict=True):
            if isinstance(result, Bitrix24Error):
                one.is_comparison_missing = True
                one.checkpoint.reconciled_at = ""  # the next run compares them
                log.info("%s: rows could not be compared with the portal's: %s", one.name, result.what)
            elif result:
                log.info(
                    "%s of %s: the rows of %s items are read again: the table lacks some of them",
                    one.name,
                    one.items.where,
                    f"{len(result):,}",
                )
                one.rechecked = frozenset(result)
                one.owners.append(pa.array(result, pa.int64()))

    def _child_counts(self, one: DependentStream) -> Mapping[int, ChildCounts] | None:
        """Of the destination; asked once for all types."""
        if one.name not in self._counts:
            group, owner, row_id = one.owned.counted_by
            self._counts[one.name] = self._destination.child_counts(one.name, group=group, owner=owner, row_id=row_id)
        return self._counts[one.name]

    def _reconcile_stream(self, one: Stream) -> TableStream:
        table, now, start = one.table, self._client.clock.now(), self._moment
        assert table is not None  # noqa: S101 - only tables are swept
        # A refresh drops the table with this load: rows that it still holds are not taken over.
        stored = None if one.is_new else self._destination.keys(table.name)
        if stored is None:
            self._close_reconciliation(one)
            return
        comparison = compare(stored, one.seen)
        max_share = 1.0 if one.may_shrink else self._options.max_deleted_share
        try:
            if start is not None and start.is_other_user:
                self._say_what_another_user_does_not_see(one, len(comparison.gone), comparison.active)
            elif not one.seen.is_complete:
                log.info("%s: rows without a usable id may be any: none is marked as deleted in this run", one.name)
            else:
                comparison.require_plausible(table.name, max_share)
                if comparison.is_unusual(max_share) and not one.may_shrink:
                    self._report_unusual_deletions(one, len(comparison.gone), comparison.active)
                for rows in tombstones(self._destination, table.name, comparison.gone, now):
                    yield from self._batches_of(one, [(table.spec, rows)])
        except Bitrix24Error as error:
            self._issues.record(one.resource, error, error.what, entity_type_id=one.entity_type_id)
            return
        if one.role != "all" and comparison.to_read:
            log.info(
                "%s: %s items are read again: %s are missing in the table, %s came back, %s have another time of change",
                one.name, *(f"{len(ids):,}" for ids in (
                    comparison.to_read, comparison.missing, comparison.restored, comparison.changed
                )),
            )  # fmt: skip
            self._missing |= dict.fromkeys(one.items.by_ids(comparison.to_read), one)
        is_empty_again = not any(map(len, one.seen.ids)) and bool(len(stored.ids))
        self._close_reconciliation(one, is_doubtful=comparison.is_unusual(max_share) or is_empty_again)

    def _close_reconciliation(self, one: Stream, *, is_doubtful: bool = False) -> None:
        """The next one is due as scheduled, or in the next run.

        After a change of users, or where this one could mark nothing, the next run marks. And where a list is empty whose table is not, or more rows went than usual,
        the next run looks whether they have come back: a lost right is given back soon, and an empty list costs one call.
        """
        start = self._moment
        now = start.now if start is not None else self._client.clock.now()
        is_other_user = start is not None and start.is_other_user
        one.checkpoint.runs_since = 0
        one.checkpoint.reconciled_at = (
            "" if is_other_user or is_doubtful or not one.seen.is_complete else now.isoformat()
        )

    def _report_unusual_deletions(self, one: Stream, gone: int, active: int) -> None:
        """Few items, but a great part of their table: perhaps deleted, perhaps a lost right."""
        error = PortalError(
            "more items are gone than usual",
            one.name,
            "if they were not deleted, check the rights of the credential: they come back with them",
        )
        message = f"{one.name}: {gone:,} of {active:,} items are gone from the portal; they were marked, and the next run looks again"
        self._issues.record(one.resource, error, message, entity_type_id=one.entity_type_id)

    def _say_what_another_user_does_not_see(self, one: Stream, gone: int, active: int) -> None:
        """Items that the user of the run before saw and this one does not: perhaps deleted, perhaps a lost right."""
        if not gone:
            return
        text = f"{one.name}: the credential's user is another one, who does not see {gone:,} of {active:,} items"
        if gone < active and gone <= ALWAYS_ALLOWED_DELETES:
            log.info("%s; none is marked in this run", text)
            return
        hint = "check the rights of the new user; the next run marks what it does not see"
        error = PortalError("another user does not see them", one.name, hint)
        self._issues.record(one.resource, error, f"{text}; none was marked", entity_type_id=one.entity_type_id)

    def _remember_user(self) -> None:
        """Who has read the tables."""
        if self._moment is not None and self._moment.user:
            state = self._context.source_state
            replace(Provenance.from_state(state), user=self._moment.user).to_state(state)

    def _is_dropped(self, one: Stream) -> bool:
        """Whether somebody has dropped a table of a list: it is made again, and read whole."""
        names = one.table.table_names if one.table is not None else (one.name,)
        dropped = self._context.recreate_dropped_tables(names)
        if dropped:
            log.info("%s: all items are read once more: the destination lacks %s", one.name, ", ".join(dropped))
        return bool(dropped)

    def _reread_by_id(self, lists: Mapping[ListQuery, Stream]) -> TableStream:
        """Some rows by their ids."""
        for what in self._events([IdRange(items) for items in lists]):
            one = lists[what.items]
            if isinstance(what, PageBatch):
                one.pass_over("ids", what.unusable)
                came = pa.array([one.items.id_of(row) for row in what.rows], pa.int64())
                if what.rows:
                    yield from self._stored(one, what.rows, came)
            elif what.error is not None:
                one.checkpoint.reconciled_at = ""  # the next run looks for it again
                self._record_failure(one, what.error)

    def _read_dependents(self) -> TableStream:
        """What belongs to the items that came."""
        owned = [one for one in self._streams if isinstance(one, DependentStream)]
        lists = ((one, items) for one in owned for items in one.lists())
        while some := list(islice(lists, LISTS_AT_ONCE)):
            yield from self._read_child_lists({items: (one, items) for one, items in some})
        for one in owned:
            one.adopt_parent_progress()

    def _read_child_lists(self, lists: Mapping[ListQuery, tuple[DependentStream, ChildQuery]]) -> TableStream:
        rows: dict[ListQuery, list[Row]] = defaultdict(list)
        incomplete: set[ListQuery] = set()
        """lists of which rows were passed over, so that an owner without rows may have some"""
        waiting: dict[DependentStream, ChildBatch] = defaultdict(ChildBatch)
        single_owners: dict[ListQuery, tuple[DependentStream, ChildQuery]] = {}
        for what in self._events([IdRange(items) for items in lists]):
            one, items = lists[what.items]
            if isinstance(what, PageBatch):
                rows[items] += what.rows
                one.pass_over("all", what.unusable)
                if what.unusable:
                    incomplete.add(items)
            elif what.error is None:
                children = rows.pop(items, [])
                having = {one.owned.owner_of(row) for row in children}
                owners = [owner for owner in items.owners if items not in incomplete or owner in having]
                waiting[one].add(owners, children)
            elif isinstance(what.error, DeniedError) and len(items.owners) > 1:
                one.asks_single_owners = True
                single_owners |= {query: (one, query) for query in map(one.asked, ([id_] for id_ in items.owners))}
            elif what.error.code != "NOT_FOUND":  # the owner is gone, and its rows stay as they are
                self._record_failure(one, what.error)
            if waiting[one].is_many:
                yield from self._child_tables(one, waiting.pop(one))
        for one, last in waiting.items():
            yield from self._child_tables(one, last)
        if single_owners:
            yield from self._read_child_lists(single_owners)

    def _child_tables(self, one: DependentStream, what: ChildBatch) -> TableStream:
        is_new = one.owned.name in self._options.session.new_tables
        with_deletes = self._context.capabilities.supports_merge and not is_new
        one.childless.update(set(what.owners) - {one.owned.owner_of(row) for row in what.rows})
        try:
            yield from self._batches_of(
                one, what.tables(one.owned, self._client.clock.now(), with_deletes=with_deletes)
            )
        except PortalError as error:
            self._record_failure(one, error)

    def _record_failure(self, one: Stream, error: Bitrix24Error) -> None:
        if error.code == "NOT_FOUND" and self._is_gone(one.entity):
            log.info("%s: the smart process was deleted while its items were read", one.name)
        elif not one.failed:
            kind = "may not be read" if isinstance(error, DeniedError) else "could not be read to the end"
            rows = f"{one.rows:,} items were loaded"
            self._issues.record(
                one.resource, error, f"{one.name} {kind}: {error.what}; {rows}", entity_type_id=one.entity_type_id
            )
        one.failed = True

    def _is_gone(self, entity: EntityType | None) -> bool:
        """Whether the portal says itself that it has no such type any more: "not found" alone may mean anything."""
        try:
            return (
                entity is not None and not entity.is_built_in and bool(confirmed_deleted_types(self._client, [entity]))
            )
        except _LOST:
            return False

    # --- types that are no more ---------------------------------------------------------------------------------------

    def _deleted_type_tombstones(self, catalog: Catalog) -> TableStream:
        """A type that was read before and that the portal no longer has: its items are gone with it."""
        remembered = self._context.resource_state(SPA_ITEMS).get("types", {})
        present = {spa.entity_type_id for spa in catalog.types} | set(catalog.unreadable)
        absent = [EntityType(type_id, {}) for type_id in map(int, remembered) if type_id not in present]
        if not absent or not self._context.load_id or self._options.session.slices or self._lost is not None:
            return
        try:
            gone = confirmed_deleted_types(self._client, absent)
        except _LOST as error:
            self._lost = error
            names = ", ".join(spa.items_table for spa in absent)
            self._issues.record(SPA_ITEMS, error, f"whether the types of {names} are gone is not known: {error.what}")
            return
        for spa in gone:
            stored_keys = self._destination.keys(spa.items_table)
            active = [] if stored_keys is None else stored_keys.active_ids.to_pylist()
            for rows in tombstones(self._destination, spa.items_table, active, self._client.clock.now()):
                yield TableBatch(
                    SPA_ITEMS, item_spec(spa.items_table, has_time="updated_time" in rows.schema.names), rows
                )
            del remembered[str(spa.entity_type_id)]

    def _say_what_is_left(self, one: Stream, what: PageBatch) -> None:
        """Rows and rate are dlt's to show; the rest of a long table, in rows and in time, is ours to know."""
        if one.table is None:
            return
        if one.role == "all":
            self._options.session.note_left(one.name, what.left)
        seconds = self._client.clock.monotonic() - self._started
        minutes = what.left * seconds / self._rows / 60 if self._rows else 0
        time = f", {minutes:,.0f} min" if minutes >= 1 else ""
        self._context.show_progress(one.table.name, f"about {what.left:,} left{time}" if what.left else "")
