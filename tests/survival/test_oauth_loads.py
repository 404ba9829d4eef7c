"""OAuth in real life: whatever happens to tokens during a load, it goes on or says one sentence, and no pair is lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bitrix24_source.errors import CredentialError
from bitrix24_source.sandbox import Fault

COUNTS = {177: 400, 1030: 30}


@pytest.fixture
def job(memory_job):
    """A job that authorises as an application."""
    return memory_job(COUNTS, auth="oauth2")


def exchanges(job) -> int:
    return sum(seen.method == "oauth.token" for seen in job.portal.requests)


def expire_at(job, *numbers: int) -> None:
    """Access tokens die before these requests of the next run."""
    job.before = lambda number: job.portal.expire_access_tokens() if number in numbers else None


def kept(job) -> dict[str, str]:
    return json.loads(Path(job.credentials["token_file"]).read_text())


def test_a_token_that_expires_again_and_again(job):
    """Three times in one load, while the catalogue and while items are read: three renewals beside the first exchange."""
    expire_at(job, 2, 6, 9)

    assert job.run().issues == 0
    assert job.differs(*COUNTS) == []
    assert exchanges(job) == 4


@pytest.mark.parametrize("times", [7])
def test_a_token_that_expires_within_a_batch(job, times):
    """Commands behind the moment of death are asked again with the new token."""
    job.portal.faults.add(Fault("crm.item.list", "expired_token", where="command", nth=4, times=times))

    assert job.run().issues == 0
    assert job.differs(*COUNTS) == []
    assert exchanges(job) == 2


TOKEN_SERVER = {
    "reset": Fault("oauth.token", "reset", times=2, nth=2),
    "500": Fault("oauth.token", "http", status=500, times=2, nth=2),
    "web page": Fault("oauth.token", "http", status=200, times=2, nth=2),
    "error": Fault("oauth.token", "error", status=503, times=2, nth=2),
    "hangs": Fault("oauth.token", "hang", times=2, nth=2),
    "slow": Fault("oauth.token", "slow", seconds=60, times=1, nth=2),
}


@pytest.mark.parametrize("fault", TOKEN_SERVER.values(), ids=TOKEN_SERVER)
def test_a_token_server_in_trouble(job, fault):
    """A renewal in the middle of a load that fails twice is repeated, and the load is whole."""
    fault.struck, fault._seen = 0, 0
    job.portal.faults.add(fault)
    expire_at(job, 6)

    assert job.run().issues == 0
    assert fault.struck == fault.times
    assert job.differs(*COUNTS) == []


def test_a_token_server_that_stays_down(job):
    """The load ends with every unfinished type listed, the pair is untouched, and the next run goes on with it."""
    expire_at(job, 6)
    job.portal.faults.add(Fault("oauth.token", "http", status=500, nth=2, times=None))
    loaded = job.run()
    pair = kept(job)
    job.portal.faults.clear()

    assert loaded.issues > 0
    assert any("web page" in message or "token" in message for message in job.issues())
    assert pair["refresh_token"] == job.portal.access.refresh_token
    assert job.run().issues == 0
    assert job.differs(*COUNTS) == []


def test_rotated_elsewhere(job):
    """Another program has used up the refresh token: one sentence; a new one in the configuration, and all goes on."""
    job.run()
    job.portal.access.redeem(kept(job)["refresh_token"], keep=False)
    job.portal.expire_access_tokens()
    with pytest.raises(CredentialError, match=r"invalid_grant.*refresh token.* - authorise the application again"):
        job.run()
    job.given["refresh_token"] = job.portal.access.refresh_token

    assert job.run().issues == 0
    assert job.differs(*COUNTS) == []


def test_cut_off_between_renewal_and_use(job):
    """The pair is kept before it is used: the next run takes it, and asks the token server for nothing."""
    pairs = []

    def stop(_number: int) -> None:
        if pairs_of_portal := exchanges(job):
            pairs.append((pairs_of_portal, kept(job)["refresh_token"]))
            raise KeyboardInterrupt

    job.before = stop
    with pytest.raises(KeyboardInterrupt):
        job.run()

    assert pairs == [(1, job.portal.access.refresh_token)]
    assert job.run().issues == 0
    assert exchanges(job) == 1
    assert job.differs(*COUNTS) == []


def test_two_jobs_with_one_application(memory_job, tmp_path):
    """Two pipelines that share a token file, each renewing for both: neither throws the other out."""
    first = memory_job(COUNTS, auth="oauth2", token_file=str(tmp_path / "pair.json"))
    second = memory_job(COUNTS, auth="oauth2", token_file=str(tmp_path / "pair.json"))
    second.portal = first.portal
    for job in (first, second, first, second):
        expire_at(job, 2)
        assert job.run().issues == 0

    assert exchanges(first) == 5
    assert first.differs(*COUNTS) + second.differs(*COUNTS) == []
