"""Where the token pair is kept: whole or not at all, for its owner only, under a lock that other processes respect."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bitrix24_source.errors import ConfigError, UnavailableError
from bitrix24_source.rest.token_store import FileTokenStore, TokenPair, fingerprint

PAIR = TokenPair("acc3ss", "refr3sh", fingerprint("first"))


@pytest.fixture
def store(tmp_path: Path) -> FileTokenStore:
    return FileTokenStore(tmp_path / "tokens" / "portal.json")


def kept(store: FileTokenStore) -> FileTokenStore:
    with store.lock():
        store.prepare()
        store.save(PAIR)
    return store


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_nothing_kept_yet(store):
    """Before the first exchange there is no pair, and reading makes no file."""
    assert store.load() is None
    assert not store.path.parent.exists()


def test_kept_and_found(store):
    """What was saved is what another store on the same path loads."""
    kept(store)

    assert FileTokenStore(str(store.path)).load() == PAIR


def test_home_is_understood(tmp_path):
    """A path with ~ is below the home folder, as people write it."""
    kept(FileTokenStore("~/bitrix24.json"))

    assert (tmp_path / "home" / "bitrix24.json").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_readable_by_its_owner_only(store):
    """File and lock are 0600 and a new folder is 0700, also after the file was replaced."""
    kept(kept(store))

    assert mode(store.path) == 0o600
    assert mode(Path(f"{store.path}.lock")) == 0o600
    assert mode(store.path.parent) == 0o700


def test_no_traces(store):
    """Rehearsals and saves leave nothing beside the pair and its lock."""
    for _ in range(3):
        kept(store)

    assert {"portal.json"} <= {path.name for path in store.path.parent.iterdir()} <= {"portal.json", "portal.json.lock"}


def test_a_rehearsal_changes_nothing(store):
    """`prepare` proves that a pair could be written and leaves the kept one as it is."""
    kept(store)
    before = store.path.read_bytes()
    store.prepare()

    assert store.path.read_bytes() == before


def test_readers_see_whole_pairs(store):
    """Whoever reads while another writes sees the old pair or the new one, never half of one."""
    kept(store)
    pairs = [TokenPair(f"a{n}" * 500, f"r{n}" * 500) for n in range(40)]
    writer = threading.Thread(target=lambda: [store.save(pair) for pair in pairs])
    writer.start()
    seen = []
    while writer.is_alive():
        seen.append(store.load())
    writer.join()

    assert store.load() == pairs[-1]
    assert set(seen) <= {PAIR, *pairs}


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b'"text"', b"{}", b'{"access_token": "a"}', b"\xff\xfe", b'{"access_token": null, "refresh_token": null}',
     b'{"access_token": "a", "refresh_token": ["r"]}'],
)  # fmt: skip
def test_a_file_that_holds_no_pair(store, content):
    """A damaged file is one sentence that names it; it is neither overwritten nor taken for empty."""
    store.path.parent.mkdir()
    store.path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        store.load()

    assert str(caught.value).startswith(
        f"the stored OAuth token cannot be read (it is not a token file) - token file {store.path} - "
    )
    assert store.path.read_bytes() == content


def test_older_files_without_a_root_are_read(store):
    """A pair without the fingerprint of its origin is still a pair."""
    store.path.parent.mkdir()
    store.path.write_text(json.dumps({"access_token": "a", "refresh_token": "r"}))

    assert store.load() == TokenPair("a", "r", "")


def test_a_folder_in_place_of_the_file(store):
    """A path that is a folder is found when reading, before anything is exchanged."""
    store.path.mkdir(parents=True)
    with pytest.raises(ConfigError, match="the stored OAuth token cannot be read"):
        store.load()


def blocked_parent(store: FileTokenStore) -> None:
    store.path.parent.write_text("a file where a folder should be")


def blocked_lock(store: FileTokenStore) -> None:
    Path(f"{store.path}.lock").mkdir(parents=True)


@pytest.mark.parametrize("block", [blocked_parent, blocked_lock])
def test_a_place_that_cannot_be_written(store, block):
    """Where no pair could be kept, taking the lock already says so, with the setting that names another place."""
    block(store)
    with pytest.raises(ConfigError) as caught, store.lock():
        pass

    assert str(caught.value).startswith("the OAuth token cannot be stored (")
    assert "the credentials' token_file" in str(caught.value)


def test_a_full_disk(store):
    """When there is no room for a pair the rehearsal says so, and the kept pair stays whole."""
    resource = pytest.importorskip("resource")
    kept(store)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, before[1]))
    try:
        with pytest.raises(ConfigError, match=r"cannot be stored \(File too large\)"):
            store.prepare()
        with pytest.raises(ConfigError, match=r"cannot be stored \(File too large\)"):
            store.save(TokenPair("x" * 100, "y" * 100))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert store.load() == PAIR


HOLDER = """
import sys
from bitrix24_source.rest.token_store import FileTokenStore, TokenPair
store = FileTokenStore(sys.argv[1])
with store.lock():
    print("held", flush=True)
    sys.stdin.readline()
    store.save(TokenPair("theirs", "theirs too"))
"""


def test_another_process_is_respected(store):
    """While another process holds the lock nobody else gets it, and what it saved is what is found afterwards."""
    hasty = FileTokenStore(store.path, lock_seconds=0.05)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(store.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(UnavailableError) as caught, hasty.lock():
            pytest.fail("The lock was given to two processes.")
        holder.communicate("go\n")

    assert str(caught.value).startswith("another process has been renewing the OAuth token for too long - token file ")
    with hasty.lock():
        assert hasty.load() == TokenPair("theirs", "theirs too")


def test_a_killed_process_leaves_no_lock(store):
    """The lock of a process that was killed is free at once, and the pair before it is still there."""
    kept(store)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(store.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        holder.kill()

    with FileTokenStore(store.path, lock_seconds=5).lock():
        assert store.load() == PAIR


def test_lock_is_released_after_an_error(store):
    """An error while the lock is held frees it."""
    with pytest.raises(KeyError), store.lock():
        raise KeyError
    with FileTokenStore(store.path, lock_seconds=0).lock():
        pass


def test_nothing_shows_a_token(store):
    """Neither a pair nor a store has a token in its repr."""
    assert "acc3ss" not in f"{PAIR!r}{PAIR}"
    assert "refr3sh" not in f"{PAIR!r}{PAIR}"
    assert repr(store) == f"FileTokenStore({str(store.path)!r})"


def test_fingerprints_tell_apart_and_betray_nothing():
    """Equal tokens have equal fingerprints, others do not, and none contains its token."""
    assert fingerprint("first") == fingerprint("first") != fingerprint("second")
    assert "first" not in fingerprint("first")
