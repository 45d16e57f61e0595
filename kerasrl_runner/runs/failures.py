"""What went wrong first."""

from __future__ import annotations

from typing import Any


class FirstFailure:
    """A context manager, entered for one act after the other: each is tried, whatever failed
    before, and the first failure is kept, since those after it may come of it."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.interrupted = False

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: Any
    ) -> bool:
        if isinstance(error, Exception):
            self.failure = self.failure or error
        elif isinstance(error, KeyboardInterrupt):
            self.interrupted = True
        else:
            return False
        return True
