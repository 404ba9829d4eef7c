"""crm.item.*: fields, list, get, and the writing methods, for smart processes and built-in CRM objects."""

from __future__ import annotations

from itertools import islice

from ..model.item_store import ItemStore
from ..model.schema import Schema
from ..model.serialization import copy_of, dress, rename, whole_rows
from ..model.write_effects import add_item, change_item, delete_item
from ..portal.api_errors import access_denied, item_not_found, type_not_found, type_not_supported
from ..portal.registry import MethodCall, MethodResult, method, names_of
from .filters import Grammar, Where, parse
from .listing import PAGE, Row, fast_mode_total, sort_key

NOT_UNIVERSAL = {5}


def readable_store(call: MethodCall) -> ItemStore:
    """Returns the items of the requested type, if this user may read them."""
    number = call.integer("entityTypeId")
    if number in NOT_UNIVERSAL:
        raise type_not_supported(number)
    store = call.world.objects.get(number)
    if store is None:
        raise type_not_found()
    if number in call.world.denied:
        raise access_denied()
    return store


def _original_names(call: MethodCall) -> bool:
    return str(call.param("useOriginalUfNames")).upper() in ("Y", "TRUE", "1")


@method("crm.item.fields")
def item_fields(call: MethodCall) -> MethodResult:
    schema = readable_store(call).schema
    fields = {name: field.described() for name, field in schema.listed().items()}
    return MethodResult({"fields": rename(schema, fields) if _original_names(call) else fields})


@method("crm.item.list")
def item_list(call: MethodCall) -> MethodResult:
    store = readable_store(call)
    original = _original_names(call)
    grammar = store.schema.grammar(
        call.world.zone if call.interpretations.naive_dates == "server" else call.world.utc,
        original_names=original,
        garbage_id=call.interpretations.garbage_id,
        time_filter=call.interpretations.time_filter,
        shift=call.world.zones.shift(call.caller.user_id),
    )
    where = parse(call.mapping("filter"), grammar)
    if not call.rights.crm_admin and (unreadable := call.world.unreadable.get(store.schema.entity_type_id)):
        where.rest.append(lambda read: read("id") not in unreadable)
    start = call.start()
    with store.lock:
        numbers, total = _page_of_ids(store, where, call.mapping("order"), grammar, start)
        rows = _rows(call, store, numbers, original=original)
    fast = start < 0
    more = start + PAGE if not fast and start + PAGE < total else None
    shown = fast_mode_total(call.interpretations.fast_total, legacy=False) if fast else total
    return MethodResult({"items": rows}, total=shown, next=more, rows=len(rows))


def _page_of_ids(store: ItemStore, where: Where, order: Row, grammar: Grammar, start: int) -> tuple[list[int], int]:
    """Returns the ids of one page, and the total number (not counted in the fast mode)."""
    by = [(grammar.name("order", name), str(way).upper() == "DESC") for name, way in order.items()] or [("id", False)]
    first, fast, descending = max(0, start), start < 0, by[0][1]
    if by[0][0] != "id":
        numbers = _sorted(store, where, by, grammar)
        return numbers[first : first + PAGE], len(numbers)
    if not where.rest and where.ids is None:
        total = 0 if fast else store.total(where.low, where.high)
        return store.slice(where.low, where.high, first, PAGE, descending=descending), total
    if fast and not descending and not where.several:
        found = store.ids(where)
        return [number for number, _ in zip(found, range(PAGE), strict=False)], 0
    numbers = list(store.ids(where))
    numbers.sort(reverse=descending)
    if where.several:
        return _page_of_join(store, where, numbers, first), len(numbers)
    return numbers[first : first + PAGE], len(numbers)


def _page_of_join(store: ItemStore, where: Where, numbers: list[int], first: int) -> list[int]:
    """Returns the items of fifty rows of the join: fewer than fifty where several values of one item match.

    So a short page need not be the last one.
    """
    joined = (number for number in numbers for _ in range(where.matches(store.reader(number))))
    return list(dict.fromkeys(islice(joined, first, first + PAGE)))


def _sorted(store: ItemStore, where: Where, by: list[tuple[str, bool]], grammar: Grammar) -> list[int]:
    numbers = list(store.ids(where))
    for name, descending in reversed(by):
        keys = {number: sort_key(store.reader(number)(name), grammar.kinds[name], grammar) for number in numbers}
        numbers.sort(key=keys.__getitem__, reverse=descending)
    return numbers


def _rows(call: MethodCall, store: ItemStore, numbers: list[int], *, original: bool) -> list[Row]:
    names = _selected(call, store.schema, original=original)
    rows = whole_rows(store, numbers) if names is None else store.rows(numbers, names)
    return dress(store, rows, call.caller, call.base_url, call.times, original_names=original)


def _selected(call: MethodCall, schema: Schema, *, original: bool) -> list[str] | None:
    """Returns the columns to fill, None for all. Unknown names are ignored; the vendor does not document what happens."""
    names = names_of(call.param("select"))
    if not names or "*" in names:
        return None
    codes = (
        {field.upper: name for name, field in schema.fields.items() if field.user_field is not None} if original else {}
    )
    known = {name: codes.get(name, name) for name in names}
    call.not_understood.extend(f"select[{name}]" for name in names if not schema.is_known(known[name]))
    return [name for name in known.values() if schema.is_carried(name)]


@method("crm.item.get")
def item_get(call: MethodCall) -> MethodResult:
    store, number = readable_store(call), call.integer("id")
    return MethodResult({"item": _item(call, store, number)}, rows=1)


def _item(call: MethodCall, store: ItemStore, number: int) -> Row:
    if not store.exists(number):
        raise item_not_found()
    if not call.may_read(store.schema.entity_type_id, number):
        raise access_denied()
    with store.lock:
        rows = [copy_of(row) for row in whole_rows(store, [number])]
    return dress(store, rows, call.caller, call.base_url, call.times, original_names=_original_names(call))[0]


@method("crm.item.add")
def item_add(call: MethodCall) -> MethodResult:
    store = readable_store(call)
    number = add_item(call.world, store, _written(call, store.schema))
    return MethodResult({"item": _item(call, store, number)}, rows=1)


@method("crm.item.update")
def item_update(call: MethodCall) -> MethodResult:
    store, number = readable_store(call), call.integer("id")
    if not store.exists(number):
        raise item_not_found()
    change_item(call.world, store, number, _written(call, store.schema))
    return MethodResult({"item": _item(call, store, number)}, rows=1)


@method("crm.item.delete")
def item_delete(call: MethodCall) -> MethodResult:
    store, number = readable_store(call), call.integer("id")
    if not store.exists(number):
        raise item_not_found()
    delete_item(store, number)
    return MethodResult([])


def _written(call: MethodCall, schema: Schema) -> Row:
    """Returns the fields that may be written; unknown and read-only ones are ignored."""
    codes = {field.upper: name for name, field in schema.fields.items()}
    named = {codes.get(name, name): value for name, value in call.mapping("fields").items()}
    call.not_understood.extend(f"fields[{name}]" for name in named if not schema.is_known(name))
    listed = schema.listed()
    return {name: value for name, value in named.items() if name in listed and not listed[name].read_only}
