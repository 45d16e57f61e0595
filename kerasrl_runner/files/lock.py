"""One writer a run directory: a lock that the system takes back when its process dies."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from kerasrl_runner.errors import RunError, RunnerError

try:
    import fcntl
except ImportError as error:
    raise RunnerError(
        "kerasrl-runner runs on Linux and macOS: it needs file locks (fcntl) that this system does "
        "not have. On Windows, use it in WSL."
    ) from error

LOCK_NAME = "run.lock"
# A process that asks `is_locked` holds the lock itself for a moment, and writes nothing.
_PATIENCE_SECONDS = 0.5

_held: set[int] = set()  # descriptors of the locks that this process holds


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock.

    Raises:
        RunError: another process holds it, or the folder cannot be written.
    """
    try:
        descriptor = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise RunError(
            f"cannot write into {folder}: {error.strerror}. Let it be written to, or work on a "
            f"copy of it."
        ) from error
    _held.add(descriptor)
    try:
        _take(folder, descriptor)
        yield
    finally:
        if descriptor in _held:
            _held.discard(descriptor)
            os.close(descriptor)


def is_locked(folder: Path) -> bool:
    """Whether a living process, this one included, holds the folder's lock."""
    try:
        descriptor = os.open(folder / LOCK_NAME, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a file system without locks
        return False
    finally:
        os.close(descriptor)
    return False


def holds_lock(folder: Path) -> bool:
    """Whether this process holds the lock of the folder that is there now.

    False after the folder was deleted, moved or replaced, and in a forked child.
    """
    try:
        found = os.stat(folder / LOCK_NAME)
    except OSError:
        return False
    return any(os.path.samestat(os.fstat(descriptor), found) for descriptor in _held)


def _take(folder: Path, descriptor: int) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                raise RunError(
                    f"the run {folder} is being written by another process. Wait for it, or stop "
                    f"it."
                ) from error
        except OSError as error:
            raise RunError(
                f"cannot lock {folder}: {error.strerror}. Choose a folder of a file system that "
                f"has locks."
            ) from error
        time.sleep(0.02)


def _close_in_forked_child() -> None:
    """Give up the locks: an environment's worker may outlive the run, its lock must not."""
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_close_in_forked_child)
