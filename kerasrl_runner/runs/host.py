"""What a run or a test has of the program that starts it: console, signals, random streams."""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np

from kerasrl_runner.errors import RunError

# Called with a function that stops the work at its next step; entered around the work.
Stopping = Callable[[Callable[[], None]], AbstractContextManager[None]]

_streams_in_use = threading.Lock()


def without_signals(stop: Callable[[], None]) -> AbstractContextManager[None]:
    """The library's way: Ctrl-C is the caller's KeyboardInterrupt."""
    return contextlib.nullcontext()


@dataclass(frozen=True)
class Console:
    """What whoever starts a run sees of it, and how they stop it."""

    progress: bool = False  # a line on stderr, where that is a terminal
    render: bool = False  # the training in a window
    say: Callable[[str], None] = lambda message: None
    stopping: Stopping = without_signals


@contextlib.contextmanager
def borrowed_streams() -> Iterator[None]:
    """Have Python's and NumPy's global random streams for one training or test; put them back.

    Raises:
        RunError: another training or test of this process has them.
    """
    if not _streams_in_use.acquire(blocking=False):
        raise RunError(
            "another training or test is going on in this process, and keras-rl draws from random "
            "streams that a process has once. Wait for it, or use a process of its own."
        )
    python_state, numpy_state = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)
        _streams_in_use.release()
