"""Builds the labelled view of one item table, as an expression that can be written in each dialect.

Labels are joined when the view is read. Each join is a left join with a table grouped by its key, so that it neither drops
nor duplicates items, and a database can omit the joins that a query does not need.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlglot import exp

from ..schema import DELETED_AT, UTM_FIELDS, ColumnMapping, Field, StoredColumns, map_columns, with_system_fields
from .column_names import NamedField, NameRules, view_names
from .lookups import Lookup, column, exchange_rate, is_amount, is_labeled, lookups, order, semantics
from .text_casts import cast_to_text, with_currency

Parts = dict[str, "exp.Expression | None"]
"""the columns of a field by the word after its title; None for one whose tables were not loaded"""
ID, SEMANTICS, ORDER, CURRENCY, CONVERTED = "ID", "semantics", "order", "currency", "in account currency"
CONTACTS_BY = {"PHONE": "Phone", "EMAIL": "E-mail"}
"""types of contact data that have a column, with its title"""
_ITEM = "item"
_EXTRA_WORDS = {
    "address": ("latitude", "longitude"),
    "crm": ("entity type ID", "entity ID"),
}
_LARGEST, _SMALLEST = exp.Literal.number("1E100"), exp.Literal.number("1E-100")


@dataclass(frozen=True)
class StoredTables:
    """Tables of the destination, and its rules for names.

    Attributes:
        tables: dlt's data types by column, by table; only existing tables.
        path: returns the parts of a table's full name.
        folded: returns an identifier as the destination stores it.
        spelling: rules for the names of a view's columns.
    """

    tables: Mapping[str, Mapping[str, str]]
    path: Callable[[str], Sequence[str]]
    folded: Callable[[str], str]
    spelling: NameRules

    def table(self, name: str) -> exp.Table:
        parts = [exp.to_identifier(part, quoted=True) for part in self.path(name)]
        return exp.Table(this=parts[-1], **dict(zip(("db", "catalog"), reversed(parts[:-1]), strict=False)))

    def has(self, lookup: Lookup, beside: Mapping[str, str]) -> bool:
        """Returns whether a label can be looked up: its table was loaded, and the item has the other key columns."""
        known = self.tables.get(lookup.table, {})
        needed = {*lookup.keys, *lookup.only, *(found.name for found in lookup.label.find_all(exp.Column))}
        return needed <= known.keys() and set(lookup.keys[1:]) <= beside.keys()


@dataclass(frozen=True)
class ViewField:
    """A field in the view."""

    titled: NamedField
    parts: Parts


class LabeledView:
    """The view of one item table.

    Args:
        stored: the destination's tables.
        table: the item table.
        entity_type_id: its entity type.
        fields: fields of the type in the catalogue; empty if they were not loaded.
        is_spa: whether the type is a smart process.
    """

    def __init__(
        self, stored: StoredTables, table: str, entity_type_id: int, fields: Sequence[Field], *, is_spa: bool
    ) -> None:
        self._stored, self._table, self._type, self._is_spa = stored, table, entity_type_id, is_spa
        self._columns = stored.tables[table]
        self._fields = fields
        self._joins: list[tuple[exp.Subquery, exp.Condition]] = []

    def select(self) -> exp.Select:
        """Returns the query of the view."""
        shown = list(self._view_fields())
        names = view_names((field.titled for field in shown), self._stored.spelling)
        listed = [
            exp.alias_(part, exp.to_identifier(names[field.titled.identifier, word], quoted=True), copy=False)
            for field in shown
            for word, part in field.parts.items()
            if part is not None
        ]
        source = exp.alias_(self._stored.table(self._table), _ITEM, table=True, quoted=True)
        # In place, here and below: in a wide table copies would cost more than everything else.
        query = exp.select(*listed, copy=False).from_(source, copy=False)
        for subquery, condition in self._joins:
            _left_join(query, subquery, condition)
        if DELETED_AT in self._columns:
            query.where(column(DELETED_AT, _ITEM).is_(exp.null()), copy=False)
        return self._fold_identifiers(query)

    def _fold_identifiers(self, query: exp.Select) -> exp.Select:
        """Spells identifiers as the destination stores them; the view's own names and those of tables already are."""
        ours = {id(listed.args["alias"]) for listed in query.expressions}
        for identifier in list(query.find_all(exp.Identifier)):
            if id(identifier) not in ours and not isinstance(identifier.parent, exp.Table):
                identifier.set("this", self._stored.folded(identifier.name))
        return query

    # --- fields -----------------------------------------------------------------------------------------------------

    def _view_fields(self) -> Iterator[ViewField]:
        """Yields the id, Bitrix24's fields, custom ones, then columns without a field: new ones are mostly at the end."""
        upper_names = {field.upper_name for field in self._fields}
        utm = [field for field in UTM_FIELDS if self._fields and field.upper_name not in upper_names]
        shown = {field.name for field in (*self._fields, *utm) if not field.is_excluded}
        fields = [replace(field, is_excluded=False) for field in with_system_fields(self._fields, is_spa=self._is_spa)]
        places = map_columns(fields, self._table, StoredColumns(self._stored.tables))  # type: ignore[arg-type]  # dlt's types
        explained = {DELETED_AT}
        for field in sorted(fields, key=lambda field: (field.name != "id", field.is_dynamic)):
            if self._fields and (place := places[field.name]):  # without a field list no column has a field
                explained |= {place.child_table} if place.child_table else {stored.name for stored in place.columns}
                explained |= {place.count.name} if place.count else set()
                if field.name in shown:
                    yield from self._of_field(field, place)
        for name in self._columns:
            if name not in explained and not name.startswith("_dlt"):
                yield ViewField(NamedField(name, (name,), rank=2), {"": column(name, _ITEM)})
        for name in self._stored.tables:
            if name.startswith(f"{self._table}__") and name not in explained:
                yield from self._of_unexplained_list(name)

    def _of_field(self, field: Field, place: ColumnMapping) -> Iterator[ViewField]:
        if place.child_table and field.kind == "multifield":
            yield from self._of_multifield(place.child_table)
            return
        identifier = place.child_table.partition("__")[2] if place.child_table else place.column.name
        titles = (field.form_label, field.title, field.upper_name)
        parts = {"": self._list(field, place.child_table)} if place.child_table else self._single(field, place)
        yield ViewField(NamedField(identifier, titles, tuple(parts), rank=int(field.is_dynamic)), parts)

    def _single(self, field: Field, place: ColumnMapping) -> Parts:
        main, *extra = (self._own(stored.name) for stored in place.columns)
        if is_labeled(field):
            parts = {"": main and self._label(field, main), ID: main}
            if found := semantics(field, self._type, is_spa=self._is_spa):
                parts[SEMANTICS] = main and self._lookup(found, main)
            if found := order(field, self._type, is_spa=self._is_spa):
                parts[ORDER] = main and self._lookup(found, main)
            return parts
        if field.kind == "money":
            return {"": main, CURRENCY: extra[0], CONVERTED: self._converted(main, extra[0])}
        if is_amount(field):
            return {"": main, CONVERTED: self._converted(main, self._own("currency_id"))}
        return {"": main, **dict(zip(_EXTRA_WORDS.get(field.kind, ()), extra, strict=True))}

    def _own(self, name: str) -> exp.Column | None:
        return column(name, _ITEM) if name in self._columns else None

    def _label(self, field: Field, key: exp.Expression) -> exp.Expression | None:
        return self._lookup(lookups(field, self._type, is_spa=self._is_spa), key)

    def _converted(self, amount: exp.Expression | None, currency: exp.Expression | None) -> exp.Expression | None:
        """Returns the amount in the account's currency, NULL if the rate is unknown.

        The result is a double, like the portal's own amounts: decimals would overflow in some databases. Others reject doubles
        that overflow, which no real amount does, or underflow, which count as zero here.
        """
        worth = currency and amount and self._lookup((exchange_rate(),), currency)
        if worth is None or amount is None:
            return None
        number = exp.cast(amount.copy(), "double")
        size = exp.Abs(this=number.copy())
        nothing = exp.Mul(this=exp.Literal.number(0), expression=worth.copy())
        return (
            exp.Case()
            .when(exp.LT(this=size.copy(), expression=_SMALLEST.copy()), nothing)
            .when(exp.LT(this=size, expression=_LARGEST.copy()), exp.Mul(this=number, expression=worth))
        )

    # --- lists ------------------------------------------------------------------------------------------------------

    def _list(self, field: Field, child: str) -> exp.Expression | None:
        """Returns the values of a multiple field in one text: labels if there are any, else the values themselves."""
        if "value" not in self._stored.tables.get(child, {}):
            return None
        return self._aggregated_list(child, lookups(field, self._type, is_spa=self._is_spa))

    def _of_multifield(self, child: str) -> Iterator[ViewField]:
        """Yields phones and e-mails; other contact data is only in the child table."""
        for kind, title in CONTACTS_BY.items():
            has_kinds = {"value", "type_id"} <= self._stored.tables.get(child, {}).keys()
            only = column("type_id", "c").eq(exp.Literal.string(kind))
            text = self._aggregated_list(child, (), only) if has_kinds else None
            yield ViewField(NamedField(f"{child.partition('__')[2]}_{kind.lower()}", (title,), rank=0), {"": text})

    def _of_unexplained_list(self, child: str) -> Iterator[ViewField]:
        known = self._stored.tables[child]
        if {"value", "type_id", "value_type"} <= known.keys():
            yield from self._of_multifield(child)
        elif {"value", "item_id", "position"} <= known.keys():
            name = child.partition("__")[2]
            yield ViewField(NamedField(name, (name,), rank=2), {"": self._aggregated_list(child, ())})

    def _aggregated_list(
        self, child: str, places: Sequence[Lookup], only: exp.Expression | None = None
    ) -> exp.Expression:
        """Returns one text for each item, with its values in order."""
        value = column("value", "c")
        texts: list[exp.Expression] = [
            cast_to_text(value, self._stored.tables[child]["value"], self._stored.spelling.dialect)
        ]
        query = exp.select().from_(exp.alias_(self._stored.table(child), "c", table=True, quoted=True), copy=False)
        for number, place in enumerate(
            place for place in places if self._stored.has(place, self._stored.tables[child])
        ):
            alias = f"v{number}"
            subquery, condition = self._join(place, alias, value, self._stored.tables[child]["value"], "c")
            _left_join(query, subquery, condition)
            texts.insert(number, column("label", alias))
        if "value_currency" in self._stored.tables[child]:
            texts = [with_currency(texts[0])]
        text = exp.Coalesce(this=texts[0], expressions=texts[1:]) if texts[1:] else texts[0]
        joined = self._in_order(text, column("position", "c"))
        query.select(
            exp.alias_(column("item_id", "c"), "k0", quoted=True),
            exp.alias_(joined, "label", quoted=True),
            copy=False,
        )
        if only is not None:
            query.where(only, copy=False)
        query.group_by(column("item_id", "c"), copy=False)
        return self._joined_to_item(query, [column("id", _ITEM)])

    def _in_order(self, text: exp.Expression, position: exp.Expression) -> exp.Expression:
        by, comma = [exp.Ordered(this=position)], exp.Literal.string(", ")
        if self._stored.spelling.dialect == "redshift":  # sqlglot writes the order inside the parentheses there
            listed = exp.GroupConcat(this=text, separator=comma)
            return exp.WithinGroup(this=listed, expression=exp.Order(expressions=by))
        return exp.GroupConcat(this=exp.Order(this=text, expressions=by), separator=comma)

    # --- joins ------------------------------------------------------------------------------------------------------

    def _lookup(self, places: Sequence[Lookup], key: exp.Expression) -> exp.Expression | None:
        """Returns the label from the first of these places that has it; None if none was loaded."""
        found: list[exp.Expression] = []
        for place in places:
            if self._stored.has(place, self._columns):
                subquery, condition = self._join(place, f"l{len(self._joins)}", key, self._columns[key.name], _ITEM)
                self._joins.append((subquery, condition))
                found.append(column("label", subquery.alias))
        return exp.Coalesce(this=found[0], expressions=found[1:]) if found[1:] else found[0] if found else None

    def _join(
        self, place: Lookup, alias: str, key: exp.Expression, key_type: str, beside: str
    ) -> tuple[exp.Subquery, exp.Condition]:
        """Returns a place as a table with one row for each key, and the condition of the join."""
        known = self._stored.tables[place.table]
        keys: list[exp.Expression] = [column(name) for name in place.keys]
        if known[place.keys[0]] != key_type:
            keys = [exp.cast(keys[0], "text"), *keys[1:]]
            key = exp.cast(key.copy(), "text")
        if place.ignores_case:
            keys = [exp.Upper(this=keys[0]), *keys[1:]]
            key = exp.Upper(this=key.copy())
        listed = [exp.alias_(part.copy(), f"k{number}", quoted=True, copy=False) for number, part in enumerate(keys)]
        least = exp.alias_(exp.Min(this=place.label.copy()), "label", quoted=True, copy=False)
        query = exp.select(*listed, least, copy=False).from_(self._stored.table(place.table), copy=False)
        for name, value in place.only.items():
            literal = exp.Literal.number(value) if isinstance(value, int) else exp.Literal.string(value)
            query.where(column(name).eq(literal), copy=False)
        query.group_by(*(part.copy() for part in keys), copy=False)
        values = [key.copy(), *(column(name, beside) for name in place.keys[1:])]
        return _subquery(query, alias), _equal(alias, values)

    def _joined_to_item(self, query: exp.Select, values: Sequence[exp.Expression]) -> exp.Expression:
        alias = f"l{len(self._joins)}"
        self._joins.append((_subquery(query, alias), _equal(alias, values)))
        return column("label", alias)


def _left_join(query: exp.Select, subquery: exp.Subquery, condition: exp.Condition) -> None:
    query.append("joins", exp.Join(this=subquery, side="LEFT", on=condition))


def _subquery(query: exp.Select, alias: str) -> exp.Subquery:
    return exp.Subquery(this=query, alias=exp.TableAlias(this=exp.to_identifier(alias, quoted=True)))


def _equal(alias: str, values: Sequence[exp.Expression]) -> exp.Condition:
    pairs = (exp.EQ(this=column(f"k{number}", alias), expression=value) for number, value in enumerate(values))
    return exp.and_(*pairs, copy=False)
