"""What only a try can tell, tried in a child process: it may crash, hang or be killed."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from kerasrl_runner.doctor.findings import Finding, broken, ok, pip_command, warning
from kerasrl_runner.files.places import runs_folder

if TYPE_CHECKING:
    from packaging.requirements import Requirement

# {path}: the child imports from where this process does; -c alone would add its own folder.
_PROGRAM = """
import sys
sys.path[:] = {path!r}
try:
    from kerasrl_runner.doctor import children
    children.{function}(*{arguments!r})
except Exception as error:
    # TensorFlow wraps an ImportError into advice; its cause says what is missing.
    while isinstance(error, ImportError) and (error.__cause__ or error.__context__):
        error = error.__cause__ or error.__context__
    sys.exit(f"{{type(error).__name__}}: {{' '.join(str(error).split())[:300]}}")
"""

# Remedies for a training that was killed by a signal.
_SIGNAL_REMEDIES = {
    "SIGILL": "TensorFlow's packages need a processor with AVX, which this one does not have.",
    "SIGKILL": "Most likely memory ran out, of which a training takes about 0.8 GB: close other "
    "programs or raise the container's limit.",
}


class Ended(NamedTuple):
    """How a child ended."""

    problem: str | None  # None: it ended well
    output: list[str]  # the lines of its stdout


def run_child(function: str, *arguments: str, limit_seconds: float) -> Ended:
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
        output, errors = _read_lines(stdout), _read_lines(stderr)
    last_error = errors[-1].removeprefix("error: ") if errors else ""
    if code is None:
        problem = f"no answer within {limit_seconds:g} s"
    elif code < 0:
        problem = f"killed by {signal.Signals(-code).name}{last_error and f': {last_error}'}"
    else:
        problem = last_error or f"exit code {code}"
    return Ended(None if code == 0 else problem, output)


def _read_lines(file: IO[str]) -> list[str]:
    file.seek(0)
    return [line.strip() for line in file if line.strip()]


def check_runs_folder() -> Finding:
    """Whether the runs folder, or the folder that it will be made in, takes files."""
    folder = runs_folder().absolute()
    existing = folder
    while not os.path.lexists(existing) and existing != existing.parent:
        existing = existing.parent
    try:
        with tempfile.NamedTemporaryFile(dir=existing, prefix=".kerasrl-doctor-") as file:
            file.write(bytes(2**16))
            file.flush()
    except OSError as error:
        return broken(
            f"{folder}: cannot write to {existing}: {error.strerror}",
            "Choose another folder by KERASRL_RUNS or --run-dir.",
        )
    free = shutil.disk_usage(existing).free / 1e9
    return ok(f"{folder} can be written to, {free:.1f} GB are free")


def check_display(limit_seconds: float) -> Finding:
    """Whether a window opens, beside TensorFlow as in a run."""
    remedy = "--visualize writes a video instead; a window needs a desktop session or ssh -X."
    displays = [name for name in ("DISPLAY", "WAYLAND_DISPLAY") if os.environ.get(name)]
    if sys.platform == "linux" and not displays:
        return warning("none: neither DISPLAY nor WAYLAND_DISPLAY is set", remedy)
    child = run_child("open_window", limit_seconds=limit_seconds)
    if child.problem is None and child.output == ["True"]:
        return ok("a window can be opened")
    values = "".join(f"{name}={os.environ[name]}: " for name in displays)
    return warning(f"{values}no window can be opened: {child.problem or 'refused'}", remedy)


def check_encoder(limit_seconds: float) -> Finding:
    """Whether imageio-ffmpeg's program writes a video."""
    with tempfile.TemporaryDirectory(prefix="kerasrl-doctor-") as folder:
        video = Path(folder) / "frame.mp4"
        child = run_child("encode_frame", str(video), limit_seconds=limit_seconds)
    if child.problem is None:
        return ok(f"ffmpeg {child.output[-1]} wrote a frame")
    again = pip_command("install", "--force-reinstall", "--no-deps", "imageio-ffmpeg")
    return broken(
        f"no video can be written: {child.problem}",
        f"Install it again: {again}; a .gif needs no ffmpeg: kerasrl-run test --video FILE.gif",
    )


def check_training(requirements: dict[str, Requirement], limit_seconds: float) -> Finding:
    """Whether the cartpole preset really trains here."""
    with tempfile.TemporaryDirectory(prefix="kerasrl-doctor-") as folder:
        child = run_child("train", str(Path(folder) / "run"), limit_seconds=limit_seconds)
    if child.problem is None:
        return ok(child.output[-1])
    stack = [str(requirements.get(name, name)) for name in ("tensorflow", "tf-keras", "keras-rl2")]
    remedy = (
        f"Repair what this and the lines above name. Where they name nothing, install the stack "
        f"again, best in a new virtual environment:\n"
        f"{pip_command('install', '--force-reinstall', *stack)}"
    )
    for name, cause in _SIGNAL_REMEDIES.items():
        if child.problem.startswith(f"killed by {name}"):
            remedy = cause
    stage = child.output[-1] if child.output else "starting Python"
    return broken(f"{stage}: {child.problem}", remedy)
