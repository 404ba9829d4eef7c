"""What the tests of destinations share: portals made to be difficult for them, and loads of those.

Fixtures to ask for, beside those of the whole suite:

    load       load(portal, pipeline): one run, resources=[...] of some; other keywords go to bitrix24()
    pipeline   pipeline(destination): one in a folder of its own
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import dlt
import pytest
import requests

from bitrix24_source import bitrix24
from bitrix24_source.rest.client import Client
from bitrix24_source.sandbox import Clock, Portal, SandboxAdapter
from bitrix24_source.source.credentials import Bitrix24Credentials, auth_from_credentials

TEXTS = (
    'a"b', '"', '""', "\\N", "\\n", "\\", "\\.", "a\nb", "a\r\nb", "\r", ",", "'", "''", " lead", " ", "\t", "NULL", "null",
    "a\x00b", "\ud83d", "😀", 'a,b\n"c"', "x" * 70_000, "\u2028", "\ufeffbom", "\x01\x02\x1f\x7f", "é" * 300, "$$", "%s",
    "{}", "\\x41", "\u0085", "-- ;", "⌘",
)  # fmt: skip
KINDS = (
    "string", "crm", "money", "address", "integer", "double", "boolean", "date", "datetime", "url", "file", "employee",
)  # fmt: skip
ALIKE = ("address", "url", "file", "employee")
"""kinds whose lists hold words or numbers, as others do"""
LONG = "ABCDEFGHIJ_" * 8
ITEMS = ("spa_types", "spa_fields", "spa_items")
"""where the names and values are that are awkward"""


def make_awkward_portal(clock: Clock) -> Portal:
    """Smart process 1038: names that are short, that reach PostgreSQL's 63 bytes, and that pass them."""
    portal = Portal(scenario="empty", clock=clock)
    portal.add_type("Awkward", entity_type_id=1038, items=len(TEXTS), off=("isClientEnabled", "isObserversEnabled"))
    names = {
        (kind, multiple, length): portal.add_field(
            1038, f"{kind.upper()}{'S' if multiple else ''}_{LONG}"[:length], kind, kind, multiple=multiple, pool=[None]
        )
        for kind, multiple, length in itertools.product(KINDS, (False, True), (50, 80))
        if (length == 80 and kind not in ALIKE) or not multiple
    }
    twins = [portal.add_field(1038, f"TWIN_{LONG}"[:70] + end, "string", end, multiple=True) for end in "XY"]
    items = portal.items(1038)
    for id_, text in zip(items.ids(), TEXTS, strict=True):
        located = {names["address", False, 80]: f"{text}|1.5;2.5|3", names["money", False, 80]: "12.5|EUR"}
        lists = {names["string", True, 80]: [text, "", f"{text}2"], twins[0]: [text], twins[1]: ["other"]}
        items.update(id_, title=text, **{names["string", False, 50]: text, **located, **lists})
    whole, instant = names["integer", True, 80], names["datetime", True, 80]
    items.update(
        items.ids()[0], **{whole: [10**19, 2**63 - 1, -(2**63), "9" * 20], names["integer", False, 80]: 10**19}
    )
    items.update(items.ids()[1], **{names["double", True, 80]: ["1e999", "inf", "nan", 5e-324, 1.7976931348623157e308]})
    items.update(items.ids()[2], **{names["date", True, 80]: ["0001-01-01", "9999-12-31", "1582-10-10", "infinity"]})
    items.update(items.ids()[3], **{instant: ["0001-01-01T00:00:00+00:00", "9999-12-31T23:59:59+00:00", "-infinity"]})
    items.update(
        items.ids()[4], **{names["money", True, 80]: [f"{'9' * 29}.{'9' * 9}|RUB", "-0.000000001|USD", "|RUB"]}
    )
    items.update(items.ids()[5], **{names["crm", True, 80]: ["D_1", "T9c_6", "junk"]})
    return portal


@pytest.fixture(scope="session")
def load() -> Callable[..., Any]:
    """Loads everything, or some resources."""

    def run(
        portal: Portal,
        pipeline: dlt.Pipeline,
        how: dict[str, Any] | None = None,
        resources: Sequence[str] = (),
        **arguments: Any,
    ) -> Any:
        session = requests.Session()
        session.mount("https://", SandboxAdapter(portal))
        credentials = portal.credentials(portal.base_url)["webhook"]
        client = Client(auth_from_credentials(Bitrix24Credentials(**credentials)), clock=portal.clock, session=session)
        source = bitrix24(credentials=credentials, client=client, **arguments)
        return pipeline.run(source.with_resources(*resources) if resources else source, **how or {})

    return run


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dlt.Pipeline]:
    """Makes pipelines."""
    number = itertools.count()

    def make(destination: Any, dataset: str = "crm") -> dlt.Pipeline:
        name = f"pipeline{next(number)}"
        made: dlt.Pipeline = dlt.pipeline(
            name, pipelines_dir=str(tmp_path_factory.mktemp(name)), destination=destination, dataset_name=dataset
        )
        return made

    return make
