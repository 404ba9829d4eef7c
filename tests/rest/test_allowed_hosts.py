"""Where a credential may travel."""

from __future__ import annotations

import pytest

from bitrix24_source.rest.redirects import is_allowed_host, is_loopback


@pytest.mark.parametrize(
    "host",
    [
        "new.bitrix24.com", "b24-abc123.bitrix24.com", "new.bitrix24.ru", "new.bitrix24.eu", "neu.bitrix24.de",
        "novo.bitrix24.com.br", "yeni.bitrix24.com.tr", "oauth.bitrix.info", "NEW.Bitrix24.COM", "new.bitrix24.com.",
        "deep.er.bitrix24.com", "xn--80aaxitdbjk.bitrix24.ru",
        "crm.example.com", "CRM.EXAMPLE.COM", "crm.example.com.", "new.crm.example.com",
        "b24.partner.net", "sub.b24.partner.net", "B24.Partner.Net.",
    ],
)  # fmt: skip
def test_followed(host):
    """Bitrix24's domains, the portal's own with what is below it, and allowed hosts, in any spelling of the same name."""
    assert is_allowed_host("crm.example.com", host, ["b24.partner.net"])


@pytest.mark.parametrize(
    "host",
    [
        "bitrix24.example.com", "evilbitrix24.com", "new.evilbitrix24.com", "bitrix24.com.evil.net",
        "new.bitrix24.com.evil.net", "newbitrix24.com", "new-bitrix24.com", "new.bitrix24.evil", "new.bitrix24.co.evil",
        "new.bitrix24", "bitrix24.com", ".bitrix24.com", "new..bitrix24.com", "new.bitrix24.com..",
        "new.bitrix24.com@evil.net", "new.bitrix24.com\n", "new.bitrix24.com/evil",
        "xn--bitrix24-9za.com", "new.xn--bitrix4-u4e.com", "new.bitrix\uff124.com", "new.b\u0131trix24.com", "new.bitrix24\u3002com",
        "example.com", "evilcrm.example.com", "crm.example.com.evil.net", "other.example.com",
        "partner.net", "evilb24.partner.net", "b24.partner.net.evil.net",
        "evil.net\\.crm.example.com", "evil.net\\.bitrix24.com", "evil.net#.crm.example.com", "evil.net .crm.example.com",
        "evil.net\uff0f.crm.example.com", "evil.net:443.crm.example.com", "evil.net%2f.crm.example.com",
        "127.0.0.1", "localhost", "10.0.0.1", "",
    ],
)  # fmt: skip
def test_not_followed(host):
    """Look-alikes, parents, neighbours, other alphabets, this machine: whatever only resembles a permitted name."""
    assert not is_allowed_host("crm.example.com", host, ["b24.partner.net"])


@pytest.mark.parametrize("allowed", [[], [""], ["."], ["..."]])
def test_nothing_allowed_is_not_everything(allowed):
    """An empty entry in allowed_hosts allows nobody."""
    assert not is_allowed_host("crm.example.com", "evil.net", allowed)


def test_leading_dot_means_the_domain():
    """allowed_hosts takes `.partner.net` as people write it elsewhere."""
    assert is_allowed_host("crm.example.com", "b24.partner.net", [".partner.net"])


@pytest.mark.parametrize("portal", ["127.0.0.1", "localhost", "::1"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_this_machine_is_one_place(portal, host):
    """A portal on loopback may send us to another name of this machine."""
    assert is_allowed_host(portal, host)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "::1"])
def test_loopback(host):
    """The names of this machine."""
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["", "0.0.0.1", "10.0.0.1", "localhost.evil.net", "127.0.0.1.evil.net", "demo.bitrix24.test", "2130706433"]
)  # fmt: skip
def test_not_loopback(host):
    """Everything else, also what begins like this machine."""
    assert not is_loopback(host)


@pytest.mark.parametrize("portal", ["127.0.0.1", "localhost", "::1"])
def test_another_loopback_address_is_foreign(portal):
    """127.0.0.2 is this machine too, but not the address that the credential is for."""
    assert not is_allowed_host(portal, "127.0.0.2")
