"""Windows and pictures of an environment."""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np


def prepare_window() -> None:
    """Set what SDL reads from the process's environment variables before it opens a window.

    Without it the process dies by SIGSEGV where Mesa draws by LLVM: TensorFlow's libraries export
    LLVM symbols of their own, which the OpenGL driver would then call.
    """
    os.environ.setdefault("SDL_FRAMEBUFFER_ACCELERATION", "0")
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")


def can_open_window() -> bool:
    """Whether this process can show a window to somebody: it opens a hidden one.

    Without a display SDL silently draws into memory, so its driver is asked for.
    """
    if sys.platform.startswith("linux") and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        return False
    prepare_window()
    try:
        import pygame

        pygame.display.init()
        pygame.display.set_mode((64, 64), flags=pygame.HIDDEN)
        driver = pygame.display.get_driver()
        pygame.display.quit()
    except Exception:  # pygame.error, or no pygame: environments that need it say so themselves
        return False
    return driver not in ("dummy", "offscreen")


def set_window_caption(caption: str) -> None:
    """Name the window that pygame has open; an environment that draws by other means has none."""
    pygame = sys.modules.get("pygame")
    if pygame is not None and pygame.display.get_surface() is not None:
        pygame.display.set_caption(caption)


def to_rgb(rendered: Any) -> np.ndarray:
    """What `render` returned, as a frame [height, width, 3] of uint8.

    A gray picture's values are repeated, and an alpha channel is left out.

    Raises:
        ValueError: it is not one picture, or its values are not whole numbers from 0 to 255.
    """
    try:
        frame = np.asarray(rendered)
        received = f"a {type(rendered).__name__} of shape {frame.shape} and dtype {frame.dtype}"
    except ValueError:  # lists of unlike lengths
        frame, received = np.empty(0), f"a {type(rendered).__name__} of unlike parts"
    if frame.ndim == 2:
        frame = np.stack([frame] * 3, axis=-1)  # [height, width, 3]
    if frame.ndim == 3 and frame.shape[2] in (3, 4) and frame.size and frame.dtype.kind in "iu":
        frame = frame[:, :, :3]
        if frame.dtype == np.uint8 or (frame.min() >= 0 and frame.max() <= 255):
            return frame.astype(np.uint8, copy=False)
        received = f"values from {frame.min()} to {frame.max()}"
    raise ValueError(
        f"expected a picture, an array [height, width, 3] of uint8; received "
        f"{'None' if rendered is None else received}"
    )
