"""Bitrix24 smart processes and CRM as typed tables: a dlt source.

The river, one file per station, in the order in which data meets them; imports only look up this list:

    errors           what went wrong, and who acts
    wire             what a call looks like on the wire, and what an answer means
    limits           may I call now, and if not, when?
    hosts            to which hosts may a credential be sent?
    tokens           where is the latest OAuth token pair kept?
    auth             how is a call signed, and what happens when it is refused?
    transport        one exchange over the network
    client           one call: retries around limits around authentication around redirects
    batching         many calls in few requests, each accounted for
    paging           all rows of a short list, each once
    objects          which entity types does every portal have?
    cells            what do single values of the catalogue mean?
    fields           which columns does a Bitrix24 field become?
    fixed_fields     which fields do rows have whose method describes none?
    arrow_types      how is each type of column held in Arrow?
    scalars          what does one value mean as a number, a text, a day - or why is it none?
    raw_values       what is kept of a value that its column lacks?
    slow_values      what does each value of an odd column mean, one by one?
    fast_values      what does a column of ordinary values look like, at a stroke?
    values           rows to typed columns, or a rejected value
    catalog          which entity types does this portal have, and which did somebody mean?
    details          what is one entity type made of?
    discovery        how is the catalogue found out?
    tables           what do the catalogue's tables have in common?
    spa_tables       the catalogue of the smart processes as rows and typed columns
    crm_tables       the catalogue of the rest of CRM, its people and its dictionaries
    lists            which lists are read by id, and what does a call for a page of each look like?
    collecting       how often does Python look for garbage while rows stream through?
    freeing          how soon does memory that rows took go back to the system?
    background       how does work go on beside the caller, without holding it back at the end?
    segments         which pages of a long list come next, and what does a page tell?
    pace             how much may be asked of the portal in the next request?
    errands          what does one request carry?
    items            all rows of many lists, each once, over a few connections
    choice           which items did somebody choose, and how are they to be read?
    memory           what is remembered of each list between runs?
    timefilter       does the portal keep what a filter on the time of a change says?
    capabilities     what can the destination not do, and what is done instead?
    item_tables      items as tables for dlt, with what did not fit beside them
    record_tables    the tables whose columns the vendor's pages fix
    readings         one list on its way into one table
    agenda           what is asked of each list in a round?
    owned            what belongs to items and is read again whenever they change?
    selection        which lists do the selected resources and types ask for?
    destination      is the destination free, and what does it hold already?
    deletions        which items are gone from the portal?
    extraction       what the resources of one load share
    mended           which values that were rejected before are so no longer?
    turns            how do many takers share one stream?
    rounds           one round over all lists, and what follows from it
    list_resources   the lists that are read by id as resources
    portals          which of several portals is meant, and what belongs to it alone?
    source           the dlt source
    failures         what does an error of dlt or of this machine mean, in one sentence?
    leftovers        is the working folder ours alone, and what did a run that was cut off leave in it?
    view_names       what are the columns of a labelled view called?
    view_labels      where are the words for the ids that a field holds?
    view_texts       what does a value look like as a text, the same in every database?
    view_sql         what does the labelled view of one item table say?
    views            how is a view put into the destination, and taken out of it?
    labels           are the labelled views there, and up to date?
    run              one scheduled run, and how it ended
    checks           does the connection work, and what would be missing?
    describe         the catalogue for people and scripts
    cli              the commands
    sandbox/         a portal to try things against; shares no code with the rest
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .auth import Bitrix24Credentials
    from .errors import Bitrix24Error
    from .labels import create_views, drop_views
    from .source import bitrix24
    from .tokens import FileTokenStore, TokenPair, TokenStore

__all__ = [
    "Bitrix24Credentials",
    "Bitrix24Error",
    "FileTokenStore",
    "TokenPair",
    "TokenStore",
    "bitrix24",
    "create_views",
    "drop_views",
]

_HOMES = {
    "Bitrix24Credentials": "auth",
    "Bitrix24Error": "errors",
    "FileTokenStore": "tokens",
    "TokenPair": "tokens",
    "TokenStore": "tokens",
    "bitrix24": "source",
    "create_views": "labels",
    "drop_views": "labels",
}


def __getattr__(name: str) -> Any:
    """Loads a public name when it is first used: the sandbox and `--help` need not wait for dlt."""
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
