"""What went wrong first."""

from __future__ import annotations

from collections.abc import Callable


class Attempts:
    """Runs one act after the other, whatever failed before, and keeps the first error.

    The errors after the first may only be its consequences.
    """

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.interrupted = False

    def run(self, act: Callable[[], None]) -> bool:
        """Run `act`; returns whether it came to its end."""
        try:
            act()
        except KeyboardInterrupt:
            self.interrupted = True
        except Exception as error:
            self.error = self.error or error
        else:
            return True
        return False
