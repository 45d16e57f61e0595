"""Whether an environment can be shown, and a window would be seen."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from kerasrl_runner.environments.make import render_modes
from kerasrl_runner.errors import EnvironmentFailed
from kerasrl_runner.preset.modules import make_importable
from kerasrl_runner.preset.schema import Preset

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


def check_rendering(preset: Preset, render_mode: str | None) -> None:
    """Raises EnvironmentFailed where the preset's environment does not offer the mode."""
    make_importable([Path(os.getcwd()), preset.folder])
    if render_mode is None:
        return
    offered = render_modes(preset.env)
    if render_mode not in offered:
        raise EnvironmentFailed(
            f"{preset.env.id} cannot be shown: it offers the render modes "
            f"{', '.join(offered) or 'none'}, and {render_mode} is needed. Leave out --visualize."
        )
