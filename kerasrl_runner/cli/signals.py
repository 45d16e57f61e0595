"""Ctrl-C and SIGTERM: the first stops at the next step, the second at once."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from kerasrl_runner.errors import EXIT_INTERRUPTED

# After a second signal this long is left to what runs; then the process ends in the middle of it.
GRACE_SECONDS = 1.0
_HINT = b"\nStopping when the environment's step has ended; a second Ctrl-C stops at once.\n"
_SIGNALS = (signal.SIGINT, signal.SIGTERM)

# The handlers that were there before ours, outermost first: a forked child takes the first back.
_before: list[dict[int, Any]] = []


@contextlib.contextmanager
def stopping(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` at the first signal; raise KeyboardInterrupt at the second.

    Where that is not heeded (a step that computes in C, or that catches it), the process ends
    with exit code 130 after `GRACE_SECONDS`.
    Outside the main thread, where Python takes no signals, nothing changes.
    """
    asked = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        stop()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with _handling(handle), _watched(chances=2):
        yield


class Interrupted(BaseException):
    """A signal before there was anything to keep.

    Not a KeyboardInterrupt: where C code runs Python (imports of TensorFlow do), CPython takes
    that for unhandled whatever becomes of it, and ends the process by SIGINT instead of 130.
    """


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Raise Interrupted at a signal; `stopping` within it takes over.

    Where that is not heeded (a call into TensorFlow), the process ends as there.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with _handling(_interrupt), _watched(chances=1):
        yield


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise Interrupted


@contextlib.contextmanager
def _handling(handler: Callable[[int, FrameType | None], Any]) -> Iterator[None]:
    # None stands for a handler that was not set from Python and cannot be set from here.
    before: dict[int, Any] = {
        number: signal.signal(number, handler) or signal.SIG_DFL for number in _SIGNALS
    }
    _before.append(before)
    try:
        yield
    finally:
        for number, kept in _before.pop().items():
            signal.signal(number, kept)


@contextlib.contextmanager
def _watched(chances: int) -> Iterator[None]:
    """End the process where the last of so many signals is not heeded.

    It needs a thread: Python's own handlers wait until a call into C returns.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    outer = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    over = threading.Event()
    watcher = threading.Thread(target=_watch, args=(reader, over, chances), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        signal.set_wakeup_fd(outer)
        os.write(writer, b"\0")  # closing it would not wake the thread: a fork may hold it as well
        watcher.join()
        os.close(reader)
        os.close(writer)


def _watch(reader: int, over: threading.Event, chances: int) -> None:
    for _ in range(1, chances):
        _await_signal(reader)
        if over.is_set():
            return
        if not select.select([reader], [], [], GRACE_SECONDS)[0]:
            os.write(2, _HINT)  # print could be in the middle of a line of its own
    _await_signal(reader)
    if not over.wait(GRACE_SECONDS):
        os.write(2, b"interrupted\n")
        os._exit(EXIT_INTERRUPTED)


def _await_signal(reader: int) -> None:
    """Until one of ours came, or the 0 of the end."""
    while os.read(reader, 1)[0] not in (0, *_SIGNALS):
        pass


def _in_forked_child() -> None:
    """An environment's worker is not the run: it ends at the first SIGTERM, and wakes nobody."""
    if _before:
        signal.set_wakeup_fd(-1)
        for number, kept in _before[0].items():
            signal.signal(number, kept)


if hasattr(os, "register_at_fork"):  # not on Windows, where commands end in a sentence
    os.register_at_fork(after_in_child=_in_forked_child)
