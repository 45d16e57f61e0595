"""What only a try can tell, tried in a child process: it may crash, hang or be killed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from kerasrl_runner.doctor.children import TRAINING
from kerasrl_runner.doctor.findings import Finding, broken, ok, pip, warning
from kerasrl_runner.doctor.packages import reinstall_stack
from kerasrl_runner.doctor.tried import Tried

# {path}: the child imports from where this process does, also where -c would add its own folder.
_PROGRAM = """
import sys
sys.path[:] = {path!r}
try:
    from kerasrl_runner.doctor import children
    children.{function}(*{arguments!r})
except Exception as error:
    # What an import failed of is said at its bottom; TensorFlow wraps it in advice.
    while isinstance(error, ImportError) and (error.__cause__ or error.__context__):
        error = error.__cause__ or error.__context__
    sys.exit(f"{{type(error).__name__}}: {{' '.join(str(error).split())[:300]}}")
"""


@dataclass(frozen=True)
class Ended:
    """How a child ended."""

    problem: str | None  # None: well
    killed_by: str | None  # the name of a signal
    said: list[str]  # the lines of its stdout


def in_a_child(function: str, *arguments: str, limit_seconds: float) -> Ended:
    """Call a function of children.py in a process of its own, which never outlives this call."""
    program = _PROGRAM.format(path=sys.path, function=function, arguments=arguments)
    # Files, not pipes: a grandchild that hangs would hold a pipe open.
    with (
        tempfile.TemporaryFile("w+", errors="replace") as stdout,
        tempfile.TemporaryFile("w+", errors="replace") as stderr,
    ):
        child = subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )
        try:
            code: int | None = child.wait(limit_seconds)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        said, errors = (_lines(file) for file in (stdout, stderr))
    last = errors[-1].removeprefix("error: ") if errors else ""
    if code is None:
        return Ended(f"no answer within {limit_seconds:g} s", None, said)
    if code < 0:
        name = signal.Signals(-code).name
        return Ended(f"killed by {name}{last and f': {last}'}", name, said)
    return Ended((last or f"exit code {code}") if code else None, None, said)


def _lines(file: IO[str]) -> list[str]:
    file.seek(0)
    return [line.strip() for line in file if line.strip()]


def display(limit_seconds: float) -> Finding:
    """Whether a window would be seen."""
    ended = in_a_child("window", limit_seconds=limit_seconds)
    remedy = "--visualize writes a video instead; a window needs a desktop session or ssh -X."
    if ended.said == ["True"]:
        return ok("a window can be opened")
    names = [name for name in ("DISPLAY", "WAYLAND_DISPLAY") if os.environ.get(name)]
    if not names:
        return warning("none: neither DISPLAY nor WAYLAND_DISPLAY is set", remedy)
    values = ", ".join(f"{name}={os.environ[name]}" for name in names)
    return warning(f"{values}, and no window opens there: {ended.problem or 'refused'}", remedy)


def encoder(limit_seconds: float) -> Finding:
    """Whether imageio-ffmpeg's program writes a video."""
    with tempfile.TemporaryDirectory(prefix="kerasrl-doctor-") as folder:
        video = Path(folder) / "frame.mp4"
        ended = in_a_child("encode", str(video), limit_seconds=limit_seconds)
        if ended.problem is None and video.is_file() and video.stat().st_size:
            return ok(f"ffmpeg {ended.said[-1]} wrote a frame")
    chosen = os.environ.get("IMAGEIO_FFMPEG_EXE")
    again = pip("install", "--force-reinstall", "--no-deps", "imageio-ffmpeg")
    return broken(
        f"no video can be written{f' by IMAGEIO_FFMPEG_EXE={chosen}' if chosen else ''}: "
        f"{ended.problem or 'the file stayed empty'}",
        f"{'unset IMAGEIO_FFMPEG_EXE' if chosen else f'Install it again: {again}'}; "
        f"a .gif needs no ffmpeg: kerasrl-run test --video FILE.gif",
    )


def training(tried: Tried, limit_seconds: float) -> Finding:
    """Whether the cartpole preset really trains here."""
    with tempfile.TemporaryDirectory(prefix="kerasrl-doctor-") as folder:
        ended = in_a_child("train", str(Path(folder) / "run"), limit_seconds=limit_seconds)
    if ended.problem is None:
        return ok(ended.said[-1])
    stage = ended.said[-1] if ended.said else "starting Python"
    return broken(f"{stage}: {ended.problem}", _training_remedy(tried, ended, stage))


def _training_remedy(tried: Tried, ended: Ended, stage: str) -> str:
    if ended.killed_by == "SIGILL":
        return "TensorFlow's packages need a processor with AVX; this one stopped at them."
    if ended.killed_by == "SIGKILL":
        return "Most likely memory ran out: close other programs or raise the container's limit."
    if stage == TRAINING:
        return "Mend what this and the lines above name, then run kerasrl-run doctor again."
    return (
        f"Mend what the lines above name. Where they name nothing, install the stack again, best "
        f"in a new virtual environment:\n{reinstall_stack(tried)}"
    )
