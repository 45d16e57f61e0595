"""Whether a window would be seen."""

from __future__ import annotations

import os
import sys

# Drivers of SDL that draw into memory.
_WINDOWLESS = ("dummy", "offscreen", "evdev", "kmsdrm", "")


def can_open_window() -> bool:
    """Whether this process can show a window to somebody.

    Without a display SDL silently draws into memory, so its driver is asked for.
    """
    if sys.platform.startswith("linux") and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        return False
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    try:
        import pygame

        pygame.display.init()
        driver = pygame.display.get_driver()
        pygame.display.quit()
    except Exception:  # pygame.error, or no pygame: environments that need it say so themselves
        return False
    return driver.lower() not in _WINDOWLESS
