"""Where the token pair is kept: whole or not at all, for its owner only, under a lock that other processes respect."""

from __future__ import annotations

import json
import os
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


# --- links and rights -----------------------------------------------------------------------------------------------

needs_users = pytest.mark.skipif(os.name != "posix", reason="rights of users and groups")


@pytest.fixture
def volume(tmp_path):
    """A folder that a link leads into, as a container's volume."""
    folder = tmp_path / "volume"
    folder.mkdir(mode=0o700)
    return folder


@needs_users
@pytest.mark.parametrize("exists", [True, False])
def test_a_link_is_written_through(tmp_path, volume, exists):
    """The pair and the lock lie beside the link's target, and the link stays a link."""
    target, link = volume / "pair.json", tmp_path / "token.json"
    if exists:
        FileTokenStore(target).save(TokenPair("old", "old"))
    link.symlink_to(target)
    store = FileTokenStore(link)
    with store.lock():
        assert (volume / "pair.json.lock").exists()
        store.prepare()
        store.save(PAIR)

    assert link.is_symlink()
    assert FileTokenStore(target).load() == store.load() == PAIR
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert {path.name for path in volume.iterdir()} <= {"pair.json", "pair.json.lock"}
    assert {path.name for path in tmp_path.iterdir() if "token" in path.name} == {"token.json"}


@needs_users
def test_a_chain_of_relative_links_is_followed(tmp_path, volume):
    """As Kubernetes mounts: a link to a link, each relative to its own folder."""
    (volume / "data").mkdir(mode=0o700)
    (volume / "..data").symlink_to("data")
    (volume / "token.json").symlink_to("..data/token.json")
    (tmp_path / "token.json").symlink_to("volume/token.json")
    FileTokenStore(tmp_path / "token.json").save(PAIR)

    assert FileTokenStore(volume / "data" / "token.json").load() == PAIR
    assert (tmp_path / "token.json").is_symlink()


@needs_users
def test_a_reader_sees_whole_pairs_through_a_link(tmp_path, volume, monkeypatch):
    """What is written through a link is renamed over its target: nobody opens the target to write it."""
    target, link = volume / "pair.json", tmp_path / "token.json"
    FileTokenStore(target).save(TokenPair("old", "old"))
    link.symlink_to(target)
    before = target.stat().st_ino
    with target.open() as reader:
        FileTokenStore(link).save(PAIR)

        assert json.loads(reader.read())["access_token"] == "old"
    assert target.stat().st_ino != before


@needs_users
def test_a_volume_that_is_not_mounted(tmp_path):
    """A link into a folder that is not there is said, and no folder is made in its place."""
    link = tmp_path / "token.json"
    link.symlink_to(tmp_path / "volume" / "pair.json")
    with pytest.raises(ConfigError, match="cannot be stored"), FileTokenStore(link).lock():
        pass

    assert not (tmp_path / "volume").exists()


@needs_users
def test_links_in_a_circle(tmp_path):
    """Links that lead to each other are one sentence."""
    (tmp_path / "a.json").symlink_to("b.json")
    (tmp_path / "b.json").symlink_to("a.json")
    with pytest.raises(ConfigError), FileTokenStore(tmp_path / "a.json").lock():
        FileTokenStore(tmp_path / "a.json").save(PAIR)


@needs_users
@pytest.mark.parametrize("mode", [0o770, 0o720, 0o707, 0o777])
@pytest.mark.parametrize("act", ["lock", "load", "prepare"])
def test_a_folder_into_which_others_may_write(tmp_path, volume, mode, act):
    """Whoever may write into the folder may exchange the file: refused before anything is read or written."""
    store = FileTokenStore(volume / "pair.json")
    store.save(PAIR)
    volume.chmod(mode)
    with pytest.raises(ConfigError, match="others may write into the folder") as raised:
        store.lock().__enter__() if act == "lock" else getattr(store, act)()

    assert "chmod go-w" in raised.value.hint
    volume.chmod(0o755)  # others may look, which the file's own rights prevent
    assert store.load() == PAIR


@needs_users
@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_may_write(volume, mode):
    """A pair that others may have written is not used."""
    store = FileTokenStore(volume / "pair.json")
    store.save(PAIR)
    (volume / "pair.json").chmod(mode)
    with pytest.raises(ConfigError, match="others may write the file"):
        store.load()


@needs_users
@pytest.mark.skipif(getattr(os, "geteuid", lambda: 1)() != 0, reason="only root gives files away")
@pytest.mark.parametrize("whose", ["file", "folder", "link", "link to the folder"])
def test_what_belongs_to_another_user_is_refused(tmp_path, volume, whose):
    """An attacker's file, folder or link decides nothing, and is said which it is."""
    target, link, door = volume / "pair.json", tmp_path / "token.json", tmp_path / "door"
    FileTokenStore(target).save(PAIR)
    link.symlink_to(target)
    door.symlink_to(volume)
    place = {"file": target, "folder": volume, "link": link, "link to the folder": door}[whose]
    os.chown(place, 4711, 4711, follow_symlinks=False)
    path = {"link": link, "link to the folder": door / "pair.json"}.get(whose, target)
    store = FileTokenStore(path)
    for act in (store.load, store.prepare, lambda: store.lock().__enter__()):
        with pytest.raises(ConfigError, match="another user's") as raised:
            act()
        assert "another user's - token file" in str(raised.value)


@needs_users
@pytest.mark.skipif(getattr(os, "geteuid", lambda: 1)() != 0, reason="only root gives files away")
def test_an_attackers_link_writes_nothing_where_it_points(tmp_path, volume):
    """A link that was planted in a folder of everybody's leads nowhere."""
    everybody, victim = tmp_path / "tmp", volume / "victim.json"
    everybody.mkdir()
    everybody.chmod(0o1777)
    victim.write_text("precious")
    (everybody / "token.json").symlink_to(victim)
    os.chown(everybody / "token.json", 4711, 4711, follow_symlinks=False)
    store = FileTokenStore(everybody / "token.json")
    for act in (store.load, store.prepare, lambda: store.lock().__enter__()):
        with pytest.raises(ConfigError, match="not safe there"):
            act()

    assert victim.read_text() == "precious"
    assert {path.name for path in volume.iterdir()} == {"victim.json"}
