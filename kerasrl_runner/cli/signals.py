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

# Seconds that a step may go on after the second signal; then the process ends in the midst of it.
GRACE_SECONDS = 1.0
_HINT = b"\nStopping when the environment's step has ended; a second Ctrl-C stops at once.\n"
_SIGNALS = (signal.SIGINT, signal.SIGTERM)

# The handlers that ours replaced, outermost first. A forked child takes the first ones back.
_replaced: list[dict[int, Any]] = []
# The signals that a thread blocked before it forks, to be put back after.
_masks: list[set[int | signal.Signals]] = []


@contextlib.contextmanager
def stopping(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` at the first signal; raise KeyboardInterrupt at the second.

    Where that has no effect (a step that computes in C, or that catches it), the process ends
    with exit code 130 after `GRACE_SECONDS`.
    Outside the main thread, where Python handles no signals, nothing changes.
    """
    is_second = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal is_second
        if is_second:
            raise KeyboardInterrupt
        is_second = True
        stop()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with _handling(handle), _watching(signals=2):
        yield


class Interrupted(BaseException):
    """A signal before there was anything to keep.

    Not a KeyboardInterrupt: where that passes through C code that runs Python (an import of
    TensorFlow does), CPython ends the process by SIGINT instead of with exit code 130, even if it
    is caught.
    """


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Raise Interrupted at a signal; `stopping` within it takes over.

    Where that has no effect (a call into TensorFlow), the process ends as there.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with _handling(_interrupt), _watching(signals=1):
        try:
            yield
        except Exception as error:
            cause: BaseException | None = error
            while cause is not None:  # a library that was cut off may fail in a way of its own
                if isinstance(cause, Interrupted):
                    raise Interrupted from error
                cause = cause.__context__
            raise


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise Interrupted


@contextlib.contextmanager
def _handling(handler: Callable[[int, FrameType | None], Any]) -> Iterator[None]:
    # None stands for a handler that was not set from Python and cannot be set from here.
    before: dict[int, Any] = {
        number: signal.signal(number, handler) or signal.SIG_DFL for number in _SIGNALS
    }
    _replaced.append(before)
    try:
        yield
    finally:
        for number, kept in _replaced.pop().items():
            signal.signal(number, kept)


@contextlib.contextmanager
def _watching(signals: int) -> Iterator[None]:
    """End the process where the last of so many signals has no effect.

    It needs a thread: Python's own handlers wait until a call into C returns.
    """
    process = os.getpid()
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    outer = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    over = threading.Event()
    watcher = threading.Thread(target=_watch, args=(reader, over, signals), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        if os.getpid() == process:  # A forked child on its way out has no such thread.
            over.set()
            signal.set_wakeup_fd(outer)
            # Closing the pipe would not wake the thread, since a forked child may hold it open.
            os.write(writer, b"\0")
            watcher.join()
            os.close(reader)
            os.close(writer)


def _watch(reader: int, over: threading.Event, signals: int) -> None:
    for _ in range(1, signals):
        _await_signal(reader)
        if over.is_set():
            return
        if not select.select([reader], [], [], GRACE_SECONDS)[0]:
            os.write(2, _HINT)  # The main thread may be in the midst of a print.
    _await_signal(reader)
    if not over.wait(GRACE_SECONDS):
        os.write(2, b"interrupted\n")
        os._exit(EXIT_INTERRUPTED)


def _await_signal(reader: int) -> None:
    """Wait for a signal, or for the 0 that says that the watching is over."""
    while os.read(reader, 1)[0] not in (0, *_SIGNALS):
        pass


def _block_before_fork() -> None:
    """Let no signal reach a child before it has taken the signals back: it would stop the run."""
    _masks.append(signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS if _replaced else ()))


def _unblock_after_fork() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _masks.pop())


def _restore_in_forked_child() -> None:
    """Take the signals back: an environment's worker is not the run, and ends at one SIGTERM."""
    if _replaced:
        signal.set_wakeup_fd(-1)
        for number, kept in _replaced[0].items():
            signal.signal(number, kept)
    _unblock_after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows, where commands end in a sentence
    os.register_at_fork(
        before=_block_before_fork,
        after_in_parent=_unblock_after_fork,
        after_in_child=_restore_in_forked_child,
    )
