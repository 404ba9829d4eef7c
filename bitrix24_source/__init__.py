"""Bitrix24 smart processes and CRM as typed tables: a dlt source.

The river, one file per station, in the order in which data meets them; imports only look up this list:

    errors       what went wrong, and who acts
    wire         what a call looks like on the wire, and what an answer means
    limits       may I call now, and if not, when?
    hosts        to which hosts may a credential be sent?
    tokens       where is the latest OAuth token pair kept?
    auth         how is a call signed, and what happens when it is refused?
    transport    one exchange over the network
    client       one call: retries around limits around authentication around redirects
    batching     many calls in few requests, each accounted for
    paging       all rows of a list, each once
    fields       which columns does a Bitrix24 field become?
    arrow_types  how is each type of column held in Arrow?
    scalars      what does one value mean as a number, a text, a day - or why is it none?
    raw_values   what is kept of a value that its column lacks?
    slow_values  what does each value of an odd column mean, one by one?
    fast_values  what does a column of ordinary values look like, at a stroke?
    values       rows to typed columns, or a rejected value
    catalog      what smart processes does this portal have, and which did somebody mean?
    details      what is one smart process made of?
    discovery    how is the catalogue found out?
    cells        what do single values of the catalogue mean?
    tables       the catalogue as rows and typed columns
    collecting   how often does Python look for garbage while rows stream through?
    freeing      how soon does memory that rows took go back to the system?
    background   how does work go on beside the caller, without holding it back at the end?
    segments     which pages of a long list come next, and what does a page tell?
    pace         how much may be asked of the portal in the next request?
    items        all items of many types, each once, over a few connections
    choice       which items did somebody choose, and how are they to be read?
    memory       what is remembered of each type between runs?
    timefilter   does the portal keep what a filter on updatedTime says?
    item_tables  items as tables for dlt, with what did not fit beside them
    destination  is the destination free, and what does it hold already?
    deletions    which items are gone from the portal?
    extraction   what the resources of one load share
    rounds       one round over the items of all types, and what follows from it
    spa_items    the items of all smart processes as one resource
    source       the dlt source
    failures     what does an error of dlt or of this machine mean, in one sentence?
    leftovers    is the working folder ours alone, and what did a run that was cut off leave in it?
    run          one scheduled run, and how it ended
    checks       does the connection work, and what would be missing?
    describe     the catalogue for people and scripts
    cli          the commands
    sandbox/     a portal to try things against; shares no code with the rest
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .auth import Bitrix24Credentials
    from .errors import Bitrix24Error
    from .source import bitrix24
    from .tokens import FileTokenStore, TokenPair, TokenStore

__all__ = ["Bitrix24Credentials", "Bitrix24Error", "FileTokenStore", "TokenPair", "TokenStore", "bitrix24"]

_HOMES = {
    "Bitrix24Credentials": "auth",
    "Bitrix24Error": "errors",
    "FileTokenStore": "tokens",
    "TokenPair": "tokens",
    "TokenStore": "tokens",
    "bitrix24": "source",
}


def __getattr__(name: str) -> Any:
    """Loads a public name when it is first used: the sandbox and `--help` need not wait for dlt."""
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
