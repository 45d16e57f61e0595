"""Videos from frames, written beside their place and then renamed."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path

import imageio
import imageio_ffmpeg
import numpy as np

from kerasrl_runner.errors import RunError, UsageError
from kerasrl_runner.files.atomic import replacing


def check_video_path(path: Path) -> None:
    """Raises UsageError for a suffix that is no video format of ours."""
    if path.suffix not in (".mp4", ".gif"):
        raise UsageError(f"{path}: expected a video file that ends in .mp4 or .gif.")


@contextlib.contextmanager
def video(path: Path, frames_per_second: float) -> Iterator[Callable[[np.ndarray], None]]:
    """Yield a function that adds one frame, [height, width, 3] uint8; the file appears at the end.

    All frames are of one size. A file that was there before is replaced only by a video that can
    be played.

    Raises:
        RunError: the file cannot be written, or no frame was added.
    """
    frames = 0
    with replacing(path) as temporary:
        temporary.touch()  # a folder that cannot be written to is noticed before anything is played
        gif = io.BytesIO()  # a writer to a full disk would try again, and say so, at its deletion
        if path.suffix == ".gif":
            duration = 1000 / frames_per_second  # milliseconds
            writer = imageio.get_writer(gif, format=".gif", duration=duration, loop=0)
        else:
            # imageio would scale frames to multiples of 16; the codec needs even sizes alone.
            even = ["-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2"]
            writer = imageio.get_writer(
                temporary, fps=frames_per_second, macro_block_size=1, output_params=even
            )

        def add(frame: np.ndarray) -> None:
            nonlocal frames
            frames += 1
            try:
                writer.append_data(frame)
            except (OSError, RuntimeError) as error:  # ffmpeg is not there, or has ended
                raise _encoder_failure(path) from error

        with contextlib.closing(writer):  # its own exit leaves ffmpeg running after an error
            yield add
        if not frames:
            raise RunError(f"cannot write {path}: the environment drew no frame.")
        if path.suffix == ".gif":
            temporary.write_bytes(gif.getvalue())
        elif _count_frames(temporary) < frames:  # imageio does not look at ffmpeg's exit code
            raise _encoder_failure(path)


def _count_frames(path: Path) -> int:
    """How many frames of the .mp4 can be played; 0 where it is no video at all."""
    try:
        return int(imageio_ffmpeg.count_frames_and_secs(path)[0])
    except RuntimeError:
        return 0


def _encoder_failure(path: Path) -> RunError:
    return RunError(
        f"cannot write {path}: ffmpeg ended before the video was complete. A full disk is the "
        f"usual cause; kerasrl-run doctor says whether ffmpeg works. A .gif needs no ffmpeg."
    )
