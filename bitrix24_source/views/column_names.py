"""Names the columns of a labelled view after the portal's titles.

Pure. The rules, which dashboards rely on:

- A name is the field's title on one line, as far as the destination allows; derived columns have a word after it.
- If two titles are equal under case folding and width normalisation, both columns get their field identifier appended. So no
  column silently takes over another's name when a field is added or removed.
- Bitrix24's own fields keep their title if a custom field has the same one.
- A name that is too long is cut between characters. What follows the title is never cut.

Names depend only on titles and identifiers, not on the order of fields.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

ROOM_FOR_TITLE = 16
"""minimum bytes left for the title; an identifier that leaves fewer is replaced by a digest"""
# Characters that a destination does not allow in column names, even quoted.
_REFUSED: Mapping[str, re.Pattern[str]] = MappingProxyType({
    # https://cloud.google.com/bigquery/docs/schemas#flexible-column-names
    "bigquery": re.compile(r"[^\w &%=+:'<>#|-]"),
    # Parquet, Delta and Hive's catalogue
    "databricks": re.compile(r"[,;{}()=.`]"),
    # https://docs.aws.amazon.com/athena/latest/ug/tables-databases-columns-names.html
    "athena": re.compile(r"[^A-Za-z0-9_]+"),
})  # fmt: skip


@dataclass(frozen=True)
class NamedField:
    """A field whose columns are to be named.

    Attributes:
        identifier: unique identifier in lower case.
        titles: candidates, of which the first one that is not blank is used.
        words: suffix of each of its columns; "" for the column that has the field's title only.
        rank: 0 for Bitrix24's own fields, 1 for custom ones, 2 for columns without a field.
    """

    identifier: str
    titles: tuple[str | None, ...]
    words: tuple[str, ...] = ("",)
    rank: int = 1


@dataclass(frozen=True)
class NameRules:
    """The destination's rules for column names: maximum number of bytes, and forbidden characters."""

    max_bytes: int
    dialect: str = ""

    def clean(self, title: str | None) -> str:
        """Returns the title on one line, normalised, without forbidden characters."""
        text = unicodedata.normalize("NFC", title or "")
        text = "".join(map(_printable, text))
        if refused := _REFUSED.get(self.dialect):
            text = refused.sub("_", text)
            text = re.sub(r"^[\W\d]", r"_\g<0>", text) if text.strip("_ ") else ""
        return " ".join(text.split())

    def fit(self, title: str, tails: Sequence[str]) -> list[str]:
        """Returns the title with each of the tails; the title is cut, in all of them, so that the longest fits."""
        spaced = [" " + tail if tail else "" for tail in tails]
        if self.dialect == "athena":
            spaced = [tail.replace(" ", "_") for tail in spaced]
        room = self.max_bytes - max(len(tail.encode()) for tail in spaced)
        stem = title.encode()[:room].decode(errors="ignore").rstrip()
        return [stem + tail for tail in spaced]


def view_names(fields: Iterable[NamedField], spelling: NameRules) -> dict[tuple[str, str], str]:
    """Returns the name of each column, by the field's identifier and the word."""
    names: dict[tuple[str, str], str] = {}
    taken: set[str] = set()
    ranked = sorted(fields, key=lambda field: (field.rank, field.identifier))
    for rank in sorted({field.rank for field in ranked}):
        wishes = {field: _plain_names(field, spelling) for field in ranked if field.rank == rank}
        claims = {field: {*map(collation_key, wish), _look(field, spelling)} for field, wish in wishes.items()}
        wanted = Counter(key for claim in claims.values() for key in claim)
        rivals = []
        for field, wish in wishes.items():
            if any(wanted[key] > 1 or key in taken for key in claims[field]):
                rivals.append(field)
            else:
                names |= _named(field, wish)
        taken |= set(map(collation_key, names.values()))
        for field in rivals:
            names |= _named(field, wish := _qualified_names(field, spelling, taken))
            taken |= set(map(collation_key, wish))
    return names


def collation_key(name: str) -> str:
    """Returns a key that is equal for names that a database or a reader may confuse."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return " ".join("".join(char for char in folded if unicodedata.category(char) != "Cf").split())


def _look(field: NamedField, spelling: NameRules) -> str:
    """Returns the title cut to the available length, by which colliding fields are found, whatever their suffixes."""
    return collation_key(spelling.fit(_title(field, spelling), ("",))[0])


def _plain_names(field: NamedField, spelling: NameRules) -> list[str]:
    title = _title(field, spelling)
    return spelling.fit(title, field.words)


def _qualified_names(field: NamedField, spelling: NameRules, taken: set[str]) -> list[str]:
    """Returns names with the identifier after the title, or a digest of it if it is too long or the name is taken."""
    title = _title(field, spelling)
    longest = max(len(word.encode()) for word in field.words)
    attempt = 0
    mark = field.identifier
    while True:
        wish = spelling.fit(title, [f"{mark} {word}".rstrip() for word in field.words])
        folded = set(map(collation_key, wish))
        fits = len(mark.encode()) + longest + 2 <= spelling.max_bytes - ROOM_FOR_TITLE
        if fits and len(folded) == len(wish) and not folded & taken:
            return wish
        mark = hashlib.sha256(f"{field.identifier}{attempt or ''}".encode()).hexdigest()[:8]
        attempt += 1


def _title(field: NamedField, spelling: NameRules) -> str:
    return next((clean for title in field.titles if collation_key(clean := spelling.clean(title))), field.identifier)


def _named(field: NamedField, wish: Sequence[str]) -> dict[tuple[str, str], str]:
    return {(field.identifier, word): name for word, name in zip(field.words, wish, strict=True)}


def _printable(char: str) -> str:
    """Returns a space for control characters, and nothing for lone surrogates."""
    category = unicodedata.category(char)
    if category in {"Cc", "Zl", "Zp", "Zs"}:
        return " "
    return "" if category == "Cs" else char
