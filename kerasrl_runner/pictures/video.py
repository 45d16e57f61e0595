"""Videos from frames, written beside their place and then renamed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import imageio
import numpy as np

from kerasrl_runner.errors import UsageError
from kerasrl_runner.files.atomic import replacing

SUFFIXES = (".mp4", ".gif")


def check_video_path(path: Path) -> None:
    """Raises UsageError for a suffix that is no video format of ours."""
    if path.suffix not in SUFFIXES:
        raise UsageError(f"{path}: expected a video file that ends in {' or '.join(SUFFIXES)}.")


@contextlib.contextmanager
def video(path: Path, frames_per_second: float) -> Iterator[Callable[[np.ndarray], None]]:
    """Yield a function that adds one frame, [height, width, 3] uint8; the file appears at the end.

    Raises:
        UsageError: an unknown suffix.
        RunError: the file cannot be written.
    """
    check_video_path(path)
    with replacing(path) as temporary:
        if path.suffix == ".gif":
            writer = imageio.get_writer(temporary, duration=1000 / frames_per_second, loop=0)
        else:
            # imageio would scale frames to multiples of 16; the codec needs even sizes alone.
            writer = imageio.get_writer(temporary, fps=frames_per_second, macro_block_size=1)
        with contextlib.closing(writer):  # its own exit leaves ffmpeg running after an error
            yield lambda frame: writer.append_data(_even(np.asarray(frame)))


def _even(frame: np.ndarray) -> np.ndarray:
    """Repeat the last row or column where a size is odd."""
    height, width = frame.shape[:2]
    return np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
