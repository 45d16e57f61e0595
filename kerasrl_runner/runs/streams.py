"""Python's and NumPy's global random streams, which keras-rl draws from."""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Iterator

import numpy as np

from kerasrl_runner.errors import RunError

_in_use = threading.Lock()


@contextlib.contextmanager
def borrowed_streams() -> Iterator[None]:
    """Have the global random streams for one training or test, and put them back afterwards.

    Raises:
        RunError: another training or test of this process has them.
    """
    if not _in_use.acquire(blocking=False):
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
        _in_use.release()
