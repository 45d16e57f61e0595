"""What probes.py calls in processes of their own: here, and only here, the stack is imported."""

from __future__ import annotations

import importlib
import time
from pathlib import Path

# Learning starts at 500; the rest takes about two seconds on the machine that was tried.
_ENV_STEPS = 2_000


def open_window() -> None:
    """Print whether a window can be opened beside TensorFlow, whose libraries may disturb it."""
    importlib.import_module("kerasrl_runner.vendor")
    from kerasrl_runner.environments.rendering import can_open_window

    print(can_open_window())


def encode_frame(path: str) -> None:
    """Write a video of one frame, then print ffmpeg's version."""
    import imageio_ffmpeg
    import numpy as np

    from kerasrl_runner.pictures.video import video

    with video(Path(path), frames_per_second=30) as add_frame:
        add_frame(np.zeros((64, 64, 3), np.uint8))  # [height, width, 3]
    print(imageio_ffmpeg.get_ffmpeg_version())


def train(run_directory: str) -> None:
    """Train the shipped cartpole preset for a moment.

    Each line on stdout is the stage that begins, the last one the result.
    """
    print("importing TensorFlow and keras-rl", flush=True)
    began = time.perf_counter()
    importlib.import_module("kerasrl_runner.vendor")
    imported_seconds = time.perf_counter() - began
    print("training cartpole", flush=True)
    from kerasrl_runner.preset import load_preset
    from kerasrl_runner.runs.training import fit

    preset = load_preset("cartpole", ["evaluate.every_steps=0"])
    result = fit(preset, steps=_ENV_STEPS, run_dir=run_directory)
    print(
        f"TensorFlow and keras-rl import in {imported_seconds:.1f} s; cartpole trains at "
        f"{result.env_steps_per_second:.0f} env steps/s"
    )
