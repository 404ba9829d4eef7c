"""Two clients that nobody here wrote read the same rows from a real socket as the portal holds.

fast_bitrix24 takes any URL, so it reads plain loopback HTTP. b24pysdk builds `https://<domain>/rest/...` itself and
cannot be told otherwise, so it gets TLS with a certificate made for this test.
"""

from __future__ import annotations

import asyncio
import ssl
from urllib.parse import urlsplit

import pytest
import trustme

from bitrix24_source.sandbox import Portal, SandboxServer

TYPE = 1034
FIELDS = ["id", "title", "stageId", "ufCrm17_1739433301", "createdTime"]

fast_bitrix24 = pytest.importorskip("fast_bitrix24")
b24pysdk = pytest.importorskip("b24pysdk")


@pytest.fixture
def portal() -> Portal:
    """640 items of one type: more than one batch of offsets would hold in fifty rows; limits as on a real portal."""
    return Portal(items=2560)


def held(portal: Portal) -> dict[int, dict]:
    items = portal.items(TYPE)
    return {number: {name: items.get(number)[name] for name in FIELDS} for number in items.ids()}


def test_fast_bitrix24(portal):
    """`get_all` over HTTP brings every id once, with the portal's values."""
    with SandboxServer(portal) as server:
        client = fast_bitrix24.BitrixAsync(server.webhook_url, verbose=False)
        rows = asyncio.run(client.get_all("crm.item.list", {"entityTypeId": TYPE, "select": FIELDS}))

    assert len(rows) == 640
    assert {row["id"]: row for row in rows} == held(portal)


@pytest.fixture
def tls_server(portal, tmp_path, monkeypatch):
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    with SandboxServer(portal, tls=context) as server:
        yield server


def client_of(server):
    from b24pysdk import BitrixWebhook, Client

    domain = urlsplit(server.base_url).netloc
    return Client(BitrixWebhook(domain=domain, webhook_token=f"1/{server.portal.webhook_code}"))


def test_b24pysdk_with_offsets(portal, tls_server):
    """`as_list` reads page 1 and then offsets in batches."""
    request = client_of(tls_server).crm.item.list(entity_type_id=TYPE, select=FIELDS)
    rows = list(request.as_list().result)

    assert {row["id"]: row for row in rows} == held(portal)


@pytest.mark.parametrize("garbage_id", ["zero", "error"])
def test_b24pysdk_with_chained_batches(portal, tls_server, garbage_id):
    """`as_list_fast` chains fifty pages by `$result[...]`, whatever the portal makes of the literal behind the last page."""
    portal.interpretations.garbage_id = garbage_id
    request = client_of(tls_server).crm.item.list(entity_type_id=TYPE, select=FIELDS)
    rows = list(request.as_list_fast().result)

    assert {row["id"]: row for row in rows} == held(portal)
    assert any(len(seen.commands) == 50 for seen in portal.requests)
