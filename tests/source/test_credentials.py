"""The selector: three methods chosen by name, checked in one sentence, and nothing guessed."""

from __future__ import annotations

import dlt
import pytest
from dlt.common.configuration.specs import CredentialsConfiguration

from bitrix24_source import Bitrix24Credentials, bitrix24
from bitrix24_source.errors import ConfigError, CredentialError
from bitrix24_source.rest.auth import OAuth2, token_urls
from bitrix24_source.source.credentials import METHODS, auth_from_credentials
from bitrix24_source.source.source import connect as connect_configured

PORTAL = "https://crm.example.com"
FULL = {
    "webhook_url": f"{PORTAL}/rest/1/abc123/",
    "portal_url": PORTAL,
    "client_id": "local.0123",
    "client_secret": "s3cret",
    "refresh_token": "first",
    "api_key": "7/abc123",
}
NEEDED = {
    "webhook": ["webhook_url"],
    "oauth2": ["portal_url", "client_id", "client_secret", "refresh_token"],
    "api_key": ["portal_url", "api_key"],
}


def chosen(**keys: object):
    return auth_from_credentials(Bitrix24Credentials(**keys))


def refused(**keys: object) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        chosen(**keys)
    return caught.value


# --- by name ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("auth", "rest_url"),
    [
        ("webhook", f"{PORTAL}/rest/1/abc123/"),
        ("oauth2", f"{PORTAL}/rest/"),
        ("api_key", f"{PORTAL}/rest/7/abc123/"),
        (" webhook ", f"{PORTAL}/rest/1/abc123/"),
    ],
)
def test_chosen_by_name(auth, rest_url):
    """With everything filled in, the name alone decides."""
    selected = chosen(auth=auth, **FULL)

    assert selected.rest_url == rest_url
    assert selected.name == auth.strip()


@pytest.mark.parametrize("auth", METHODS)
def test_what_was_not_selected_is_ignored(auth):
    """Nonsense in the keys of the other methods disturbs nobody."""
    nonsense = {key: "http://nonsense in here" for key in FULL if key not in NEEDED[auth]}

    assert chosen(auth=auth, **{**FULL, **nonsense}).name == auth


@pytest.mark.parametrize(("auth", "key"), [(auth, key) for auth, keys in NEEDED.items() for key in keys])
@pytest.mark.parametrize("empty", [None, "", "  "])
def test_a_missing_key_is_named(auth, key, empty):
    """What the chosen method needs and does not have is one sentence with the key, and how to set it."""
    error = refused(**{"auth": auth, **FULL, key: empty})

    assert str(error).startswith(
        f'auth = "{auth}" needs {key} - sources.bitrix24.credentials.{key} - '
        f"set it in .dlt/secrets.toml or as SOURCES__BITRIX24__CREDENTIALS__{key.upper()}; looked in "
    )


@pytest.mark.parametrize("key", ["webhook_url", "api_key", "refresh_token"])
def test_nothing_is_guessed(key):
    """One filled key does not choose its method: the selector must be set."""
    error = refused(**{key: FULL[key]})

    assert str(error).startswith(
        "no authentication method is chosen - sources.bitrix24.credentials.auth - "
        f'set it to one of "webhook", "oauth2", "api_key"; {key} is set, which auth = '
    )


@pytest.mark.parametrize("auth", ["Webhook", "oauth", "token", "s3cret" * 20])
def test_unknown_methods(auth):
    """Another name is refused with those that exist, and a long one, perhaps a secret in the wrong place, is not repeated."""
    error = refused(auth=auth, **FULL)

    assert 'set it to one of "webhook", "oauth2", "api_key"' in str(error)
    assert len(str(error)) < 180


# --- addresses ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        f"{PORTAL}/rest/1/abc123/", f"{PORTAL}/rest/1/abc123", f" {PORTAL}/rest/1/abc123/\n",
        f"{PORTAL}/rest/1/abc123/profile", f"{PORTAL}/rest/1/abc123/profile.json",
        f"{PORTAL}/rest/1/abc123/crm.type.list", "HTTPS://crm.example.com/rest/1/abc123/",
        f"{PORTAL}/rest/api/1/abc123/",
    ],
)  # fmt: skip
def test_webhooks_as_people_copy_them(url):
    """With or without the last slash, with a method behind, with blanks around: it is the same webhook."""
    assert chosen(auth="webhook", webhook_url=url).rest_url == f"{PORTAL}/rest/1/abc123/"


def test_ports_are_kept():
    """A self-hosted portal on another port is reached there."""
    selected = chosen(auth="webhook", webhook_url="https://crm.example.com:8443/rest/1/abc123/")

    assert selected.rest_url == "https://crm.example.com:8443/rest/1/abc123/"


@pytest.mark.parametrize(
    ("said", "url"),
    [
        ("this is not a webhook's address", f"{PORTAL}"),
        ("this is not a webhook's address", f"{PORTAL}/"),
        ("this is not a webhook's address", f"{PORTAL}/rest/"),
        ("this is not a webhook's address", f"{PORTAL}/rest/1/"),
        ("this is not a webhook's address", f"{PORTAL}/rest/abc123/1/"),
        ("this is not a webhook's address", f"{PORTAL}/rest/1/abc123/a/b"),
        ("this is not a webhook's address", f"{PORTAL}/rest//1/abc123/"),
        ("this is not a webhook's address", f"{PORTAL}/rest/1/abc 123/"),
        ("this is not a webhook's address", f"{PORTAL}/rest/1/abc%20123/"),
        ("this is not a webhook's address", f"{PORTAL}/rest/1/abc123/profile?auth=abc"),
        ("this is not a webhook's address", f"{PORTAL}/rest/1/abc123/#profile"),
        ("this is not a webhook's address", f"{PORTAL}/company/personal/user/1/"),
        ("this is not an address", "crm.example.com/rest/1/abc123/"),
        ("this is not an address", "1/abc123"),
        ("this is not an address", "https://"),
        ("this is not an address", "https:///rest/1/abc123/"),
        ("this is not an address", "ftp://crm.example.com/rest/1/abc123/"),
        ("this is not an address", "https://[broken/rest/1/abc123/"),
        ("this is not an address", "https://crm.example.com:port/rest/1/abc123/"),
        ("this is not an address", "https://crm.example.com:99999/rest/1/abc123/"),
        ("this is not an address", "https://user:abc123@crm.example.com/rest/1/abc123/"),
        ("plain http:// would send the credential unencrypted", "http://crm.example.com/rest/1/abc123/"),
        ("plain http:// would send the credential unencrypted", "http://10.0.0.1/rest/1/abc123/"),
        ("plain http:// would send the credential unencrypted", "http://localhost.evil.net/rest/1/abc123/"),
    ],
)
def test_malformed_webhooks(said, url):
    """What is no webhook's address is refused with the key to mend, and never repeated: it may hold the code."""
    error = refused(auth="webhook", webhook_url=url)

    assert str(error).startswith(f"{said} - sources.bitrix24.credentials.webhook_url - ")
    assert "abc" not in str(error)


@pytest.mark.parametrize("key", ["portal_url", "token_url"])
@pytest.mark.parametrize(
    "url", ["crm.example.com", "http://crm.example.com", "https://", "https://u:p@crm.example.com"]
)
def test_malformed_addresses_of_oauth2(key, url):
    """Both addresses of oauth2 are checked alike: the client secret travels to one, the token to the other."""
    assert f"sources.bitrix24.credentials.{key}" in str(refused(**{"auth": "oauth2", **FULL, key: url}))


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "[::1]:8000", "127.0.0.1"])
@pytest.mark.parametrize("auth", METHODS)
def test_plain_http_on_loopback(auth, host):
    """Plain http is accepted where nothing leaves this machine."""
    url = f"http://{host}"
    keys = {**FULL, "webhook_url": f"{url}/rest/1/abc123/", "portal_url": url, "token_url": f"{url}/oauth/token/"}

    assert chosen(auth=auth, **keys).rest_url.startswith(url)


@pytest.mark.parametrize("path", ["", "/", "/rest/", "/company/", "/?login=yes", " "])
def test_portal_url_is_where_the_portal_is(path):
    """Whatever page of the portal somebody copied, its origin is what counts."""
    assert chosen(auth="oauth2", **{**FULL, "portal_url": PORTAL + path}).rest_url == f"{PORTAL}/rest/"


# --- api_key ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rest_url", "token", "api_key"),
    [
        (f"{PORTAL}/rest/7/abc123/", None, "7/abc123"),
        (f"{PORTAL}/rest/7/abc123/", None, " 7/abc123/ "),
        (f"{PORTAL}/rest/", "0a1b2c3d", "0a1b2c3d"),
        (f"{PORTAL}/rest/", "12345", "12345"),
    ],
)
def test_two_kinds_of_api_key(rest_url, token, api_key):
    """`<user id>/<code>` is a webhook in two parts; anything without a slash is an access token for the body."""
    selected = chosen(auth="api_key", portal_url=PORTAL, api_key=api_key)

    assert selected.rest_url == rest_url
    assert selected.token() == token


@pytest.mark.parametrize("api_key", [f"{PORTAL}/rest/1/abc123/", "1/abc123/profile", "abc123/1", "two abc", "a\tabc"])
def test_urls_pasted_into_api_key(api_key):
    """A whole webhook address in api_key is pointed to the method that takes it, and not repeated."""
    error = refused(auth="api_key", portal_url=PORTAL, api_key=api_key)

    assert str(error) == (
        "this is neither <user id>/<webhook code> nor an access token - sources.bitrix24.credentials.api_key - "
        'for a whole webhook address use auth = "webhook"'
    )


def test_an_expired_access_token_says_what_to_do(connect, portal):
    """api_key with an access token that is over: no renewal is possible, and the sentence names what lasts."""
    client = connect("api_key", api_key=portal.access.issue().access_token)
    client.call("profile")
    portal.expire_access_tokens()
    with pytest.raises(CredentialError) as caught:
        client.call("profile")

    assert caught.value.hint == (
        'access tokens live for one hour: use auth = "oauth2" with a refresh token, or a webhook'
    )
    assert len(portal.requests) == 2


@pytest.mark.parametrize("auth", METHODS)
def test_each_method_reads_the_portal(connect, auth):
    """The three ready configurations of the sandbox all work as they are."""
    assert connect(auth).call("profile").result["ID"]


# --- ways to give them ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", [dict(auth="webhook", **FULL), Bitrix24Credentials(auth="webhook", **FULL)], ids=type)
def test_given_in_python(given):
    """A dict and an object are both credentials for the source."""
    assert "spa_types" in bitrix24(credentials=given).resources


@pytest.mark.parametrize("auth", METHODS)
def test_given_by_environment(auth, monkeypatch):
    """Environment variables configure each method without any file."""
    for key, value in {"auth": auth, **FULL}.items():
        monkeypatch.setenv(f"SOURCES__BITRIX24__CREDENTIALS__{key.upper()}", value)

    assert connect_configured().auth.name == auth


def test_given_by_file(tmp_path):
    """.dlt/secrets.toml configures it, allowed_hosts and speeds included."""
    (tmp_path / ".dlt").mkdir()
    (tmp_path / ".dlt" / "secrets.toml").write_text(
        f"""
        [sources.bitrix24]
        requests_per_second = 5
        burst = 250
        [sources.bitrix24.credentials]
        auth = "webhook"
        webhook_url = "{FULL["webhook_url"]}"
        allowed_hosts = ["b24.partner.net"]
        """
    )
    dlt.current.run_context().reload()
    client = connect_configured()

    assert client.portal == "crm.example.com"
    assert client.settings.allowed_hosts == ("b24.partner.net",)
    assert (client.settings.burst, client.settings.requests_per_second) == (250, 5)


@pytest.mark.parametrize(("auth", "missing"), [(auth, key) for auth in METHODS for key in ["auth", *NEEDED[auth]]])
def test_missing_in_the_environment(auth, missing, monkeypatch):
    """A key that is missing from the configuration is our one sentence, and not a list of places that were searched."""
    for key, value in {"auth": auth, **FULL}.items():
        if key != missing:
            monkeypatch.setenv(f"SOURCES__BITRIX24__CREDENTIALS__{key.upper()}", value)

    with pytest.raises(ConfigError, match=f"sources.bitrix24.credentials.{missing}"):
        connect_configured()


@pytest.mark.parametrize("bare", [FULL["webhook_url"], "7/abc123", '["webhook"]'])
@pytest.mark.parametrize("by_environment", [True, False])
def test_a_bare_string_is_no_credential(bare, by_environment, monkeypatch):
    """A string alone would have to be guessed at: it is refused with an example, and not repeated."""
    if by_environment:
        monkeypatch.setenv("SOURCES__BITRIX24__CREDENTIALS", bare)
    with pytest.raises(ConfigError) as caught:
        connect_configured() if by_environment else bitrix24(credentials=bare)

    assert str(caught.value).startswith("the credentials are a bare value - sources.bitrix24.credentials - ")
    assert "abc123" not in str(caught.value)


def test_making_a_source_asks_nobody(no_network):
    """Constructing the source checks the configuration and opens no connection."""
    bitrix24(credentials={"auth": "oauth2", **FULL})

    assert no_network == []


def test_malformed_in_python():
    """The source refuses at once what cannot work, before a pipeline runs."""
    with pytest.raises(ConfigError, match="unknown authentication method"):
        bitrix24(credentials={"auth": "basic", **FULL})


def test_defaults():
    """The token server follows from the portal's region unless somebody says otherwise."""
    assert Bitrix24Credentials().token_url is None
    assert issubclass(Bitrix24Credentials, CredentialsConfiguration)


WESTERN, EASTERN = "https://oauth.bitrix.info/oauth/token/", "https://oauth.bitrix24.tech/oauth/token/"


@pytest.mark.parametrize(
    ("host", "likeliest"),
    [
        *[(f"portal.bitrix24.{region}", EASTERN) for region in ("ru", "by", "kz", "am", "az", "ge", "kg", "uz")],
        ("crm.firma.ru", EASTERN),
        ("PORTAL.BITRIX24.RU", EASTERN),
        *[(f"portal.bitrix24.{region}", WESTERN) for region in ("com", "eu", "de", "com.br", "in", "cn", "jp", "pl")],
        ("crm.example.com", WESTERN),
        ("ru.example.com", WESTERN),
    ],
)
def test_the_token_server_of_the_region(host, likeliest):
    """Portals of ru, am, az, by, ge, kg, kz and uz have a token server of their own; the other one stays the second choice."""
    assert token_urls(host)[0] == likeliest
    assert set(token_urls(host)) == {WESTERN, EASTERN}


def test_blanks_around_keys_are_no_part_of_them(connect, portal):
    """Keys copied with a line end still work, also at the token server."""
    ready = portal.credentials(portal.base_url)["oauth2"]
    padded = {
        key: f" {ready[key]}\n" for key in ("portal_url", "client_id", "client_secret", "refresh_token", "token_url")
    }

    assert connect("oauth2", **padded).call("profile").result["ID"]


def test_each_application_has_its_own_token_file(tmp_path):
    """Two applications or portals never share a token file by default; the same one finds its own again."""

    def file(**changed: str) -> str:
        selected = chosen(auth="oauth2", **{**FULL, **changed})
        assert isinstance(selected, OAuth2)
        return str(selected._store)

    assert file() == file(refresh_token="another", client_secret="other", portal_url=PORTAL + "/company/")
    assert len({file(), file(client_id="local.9"), file(portal_url="https://b.example.com")}) == 3
    assert str(tmp_path / "dlt" / "bitrix24") in file()
