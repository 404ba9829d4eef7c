"""Stores the latest OAuth token pair, so that neither a crash nor another process loses it.

A refresh token can be used once: if a new pair is issued and not stored, the connection is lost. The file is therefore
written atomically, is readable by its owner only, and is guarded by a lock between processes.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import json
import logging
import os
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import asdict, astuple, dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

import filelock

from ..errors import Bitrix24Error, ConfigError, UnavailableError

T = TypeVar("T")
log = logging.getLogger("bitrix24_source")


LOCK_SECONDS = 180.0
EXIT_SECONDS = 90.0
"""how long a process waits at exit for a token renewal in progress: as long as one request may take"""


@dataclass(frozen=True)
class TokenPair:
    """An access token, the refresh token that replaces it, and a fingerprint of the configured one."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    root: str = field(default="", repr=False)
    """fingerprint of the configured refresh token; if it changes, the application was authorised anew"""


class TokenStore(Protocol):
    """The interface of a token store. Pass your own where files do not persist, as in a container."""

    def lock(self) -> AbstractContextManager[None]:
        """Returns a lock that is held while a pair is read, exchanged and saved; other processes wait."""

    def load(self) -> TokenPair | None:
        """Returns the latest pair, None if there is none yet."""

    def prepare(self) -> None:
        """Raises when `save` could not succeed. Called before the old refresh token is given away."""

    def save(self, pair: TokenPair) -> None:
        """Stores the pair durably. The pair is used only after this has returned."""


def fingerprint(token: str) -> str:
    """Returns a hash by which tokens are compared without storing them."""
    return hashlib.sha256(token.encode()).hexdigest()


def run_uninterrupted(work: Callable[[], T]) -> T:
    """Runs `work` in a thread of its own and waits for it: Ctrl-C interrupts the waiting, not the work."""
    done: Future[T] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised again where the result is asked for
            done.set_exception(error)

    threading.Thread(target=run, name="bitrix24-tokens", daemon=True).start()
    return done.result()


@contextlib.contextmanager
def delay_exit() -> Iterator[None]:
    """Delays the exit of the process until the block has ended, but by no more than `EXIT_SECONDS`."""
    done = threading.Event()

    def wait() -> None:
        log.warning("Waiting for the OAuth token that is being renewed: without it the next run cannot connect")
        done.wait(EXIT_SECONDS)

    atexit.register(wait)
    try:
        yield
    finally:
        atexit.unregister(wait)
        done.set()


class FileTokenStore:
    """One pair in one JSON file, mode 0600, replaced atomically; a lock file beside it.

    A symbolic link, for instance into a volume, is followed: file and lock are beside its target. Files, folders and links
    that other users could replace are rejected.
    """

    def __init__(self, path: str | os.PathLike[str], lock_seconds: float = LOCK_SECONDS) -> None:
        self.path = Path(path).expanduser()
        self._lock_seconds = lock_seconds

    @property
    def _target(self) -> Path:
        return Path(os.path.realpath(self.path))

    def __repr__(self) -> str:
        return f"FileTokenStore({str(self.path)!r})"

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        self._make_folder()
        self._require_own_place()
        lock = filelock.FileLock(f"{self._target}.lock", timeout=self._lock_seconds, mode=0o600)
        failure: Bitrix24Error | None = None
        try:
            lock.acquire()
        except filelock.Timeout:
            failure = UnavailableError(
                "another process has been renewing the OAuth token for too long",
                f"token file {self.path}",
                "end the process that hangs, then run again",
            )
        except OSError as error:
            failure = self._unwritable(error.strerror or type(error).__name__)
        if failure:
            raise failure
        try:
            yield
        finally:
            lock.release()

    def load(self) -> TokenPair | None:
        self._require_own_place()
        try:
            kept = json.loads(self._target.read_text(encoding="utf-8"))
            pair = TokenPair(kept["access_token"], kept["refresh_token"], kept.get("root", ""))
        except FileNotFoundError:
            return None
        except OSError as error:
            reason = error.strerror or type(error).__name__
        except (ValueError, KeyError, TypeError):
            reason = "it is not a token file"
        else:
            if all(isinstance(text, str) for text in astuple(pair)):
                return pair
            reason = "it is not a token file"
        raise ConfigError(
            f"the stored OAuth token cannot be read ({reason})",
            f"token file {self.path}",
            "check the file's owner and rights; delete it only if you have a new refresh token",
        )

    def prepare(self) -> None:
        self._make_folder()
        self._require_own_place()
        self._write(b"", keep=False)

    def save(self, pair: TokenPair) -> None:
        self._write(json.dumps(asdict(pair)).encode(), keep=True)

    def _make_folder(self) -> None:
        """Creates the file's folder. The folder of a link's target is not created: a volume may not be mounted."""
        reason = ""
        try:
            if self.path.is_symlink():
                self._target.parent.stat()
            else:
                self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            reason = error.strerror or type(error).__name__
        if reason:
            raise self._unwritable(reason)

    def _write(self, content: bytes, *, keep: bool) -> None:
        """Writes a temporary file and renames it: a reader sees the old pair or the new one, never a part of one."""
        reason, target = "", self._target
        try:
            handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")  # mkstemp: mode 0600
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(content or b"x" * 4096)  # a trial write needs as much space as a real one
                    file.flush()
                    os.fsync(file.fileno())
                if keep:
                    Path(name).replace(target)
            finally:
                Path(name).unlink(missing_ok=True)
        except OSError as error:
            reason = error.strerror or type(error).__name__
        if reason:
            raise self._unwritable(reason)

    def _require_own_place(self) -> None:
        """Raises if other users could replace, or have created, the file, its folder, or a link on the way."""
        if not hasattr(os, "geteuid"):  # Windows, where folders of a user are the user's
            return
        for reason in _weak_places(self.path.absolute()):
            raise ConfigError(
                f"the OAuth token is not safe there: {reason}",
                f"token file {self.path}",
                "give file and folder to the user who runs this, chmod go-w both, or name another file in the credentials' token_file",
            )

    def _unwritable(self, reason: str) -> ConfigError:
        return ConfigError(
            f"the OAuth token cannot be stored ({reason})",
            f"token file {self.path}",
            "make the folder writable, or name another file in the credentials' token_file",
        )


_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_MOST_LINKS = 40  # as the kernel


def _weak_places(path: Path) -> Iterator[str]:
    """Yields the reasons, in words, why other users could control what is read or written under a path."""
    for _ in range(_MOST_LINKS):
        for part in (path, *path.parents):
            if part.is_symlink() and not _is_trusted(part.lstat()):
                yield f"the link {part} is another user's"
        with contextlib.suppress(FileNotFoundError):
            folder = path.parent.stat()
            if not _is_trusted(folder):
                yield f"the folder {path.parent} is another user's"
            if folder.st_mode & _BY_OTHERS:
                yield f"others may write into the folder {path.parent}"
        if not path.is_symlink():
            break
        path = path.parent / path.readlink()
    else:
        yield "its links lead in a circle"
    with contextlib.suppress(OSError):
        file = path.stat()
        if not _is_trusted(file):
            yield "the file is another user's"
        if file.st_mode & _BY_OTHERS:
            yield "others may write the file"


def _is_trusted(status: os.stat_result) -> bool:
    """Returns whether a file, folder or link belongs to this user or to the administrator."""
    return status.st_uid in (0, os.geteuid())
