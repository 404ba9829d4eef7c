"""Numbers in the configuration: one that cannot work is one sentence before anything is done, whoever reads it first."""

from __future__ import annotations

import re
import time

import pytest

from bitrix24_source import bitrix24 as bitrix24_source
from bitrix24_source.errors import ConfigError
from bitrix24_source.source.source import configured_slices, connect
from bitrix24_source.sync.setting_ranges import RANGES
from bitrix24_source.sync.slice_limits import SliceLimits

LOAD = ("load", "--progress", "none")
CREDENTIALS = {"auth": "webhook", "webhook_url": "https://portal.bitrix24.com/rest/1/c0de/"}
FRACTIONS = ("requests_per_second", "overlap_minutes", "sweep_hours", "max_deleted_share", "slice_seconds")


def configure(monkeypatch, name, value):
    monkeypatch.setenv(f"SOURCES__BITRIX24__{name.upper()}", value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, "-1") for name in RANGES),
        *((name, value) for name in FRACTIONS for value in ("nan", "inf", "1e30")),
        ("connections", "0"),
        ("requests_per_second", "0"),
        ("burst", "0"),
        ("max_deleted_share", "1.01"),
    ],
)
def test_a_number_that_cannot_work_is_one_sentence(monkeypatch, name, value):
    """What, where and what to do, when the source and its slices are made, as `load` makes them."""
    configure(monkeypatch, name, value)
    says = rf"^{name} cannot be \S+ - sources\.bitrix24\.{name} - set it to a number from \S+ to \S+, or leave it out$"
    with pytest.raises(ConfigError, match=says):
        bitrix24_source(credentials=CREDENTIALS, slices=configured_slices())


@pytest.mark.parametrize("end", [0, 1])
def test_both_ends_of_a_range_work(monkeypatch, end):
    """The least and the greatest of each number make a source."""
    for name, ends in RANGES.items():
        configure(monkeypatch, name, str(ends[end]))

    assert bitrix24_source(credentials=CREDENTIALS, slices=configured_slices()).name == "bitrix24"


@pytest.mark.parametrize("name", ["requests_per_second", "burst"])
def test_a_client_for_check_and_spa_info_looks_at_its_own(monkeypatch, name):
    """`check` and `spa-info` need no source, and refuse the same numbers."""
    configure(monkeypatch, name, "0")
    with pytest.raises(ConfigError, match=rf"sources\.bitrix24\.{name}"):
        connect(credentials=CREDENTIALS)


@pytest.mark.parametrize("given", [{"rows": -1}, {"seconds": -0.5}, {"rows": "many"}, {"rows": True}])
def test_slices_made_in_python_are_looked_at(given):
    """A slice of less than nothing would never be full, and the run would not end."""
    with pytest.raises(ConfigError, match=r"slice_(rows|seconds) cannot be"):
        SliceLimits(**given)


@pytest.mark.parametrize(
    ("command", "name", "value"),
    [
        (("check",), "requests_per_second", "0"), (("spa-info",), "burst", "0"), (LOAD, "burst", "0"),
        (LOAD, "slice_rows", "-1"), (LOAD, "connections", "2.5"), (LOAD, "sweep_hours", "daily"),
    ],
)  # fmt: skip
def test_commands_end_with_1_and_ask_for_nothing(portal, server, bitrix24, command, name, value):
    """One line that names the setting, no traceback, no request."""
    started = time.monotonic()
    done = bitrix24(
        *command, credentials=server.credentials()["webhook"], **{f"SOURCES__BITRIX24__{name.upper()}": value}
    )

    assert 1 == done.code
    assert re.fullmatch(rf"bitrix24: [^\n]*{name}[^\n]*\n", done.err), done.err
    assert [] == portal.requests
    assert time.monotonic() - started < 60
