"""Runs an old script as `python OLD.py …` would have run it."""

from __future__ import annotations

import atexit
import gc
import os
import re
import runpy
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from kerasrl_runner.errors import EXIT_FAILED, EnvironmentFailed
from kerasrl_runner.old_scripts.reading import read_statements
from kerasrl_runner.old_scripts.shims import SHIMS, find_shims

# Frames of these files are none of the script's.
_OURS = ("<frozen ", str(Path(__file__).resolve().parents[1]) + os.sep)
# What an error's text says, and the way out.
_REMEDIES = {
    r"No module named '(\w+)'": r"If \1 is a package of that name: pip install \1",
    r"No module named '(\w+)(\.[\w.]+)'": r"The installed \1 has no \1\2; an older one may have.",
    r"Keyword argument not under|argument: '(?:units|filters|rate)'": "It is written for Keras 1.",
    r"inhomogeneous shape": "NumPy 1.24 makes no array of unlike parts: np.array(…, dtype=object)",
    r"module 'tensorflow\S*' has no attribute": "It is of TensorFlow 1: tf.compat.v1 may have it.",
}


def explain_script(script: Path) -> str:
    """What to change in the script so that it runs by itself. Raises UsageError."""
    return "\n".join(
        f"{os.path.relpath(statement.path, script.parent)}:{statement.line}: {statement.text}\n"
        f"    {instead}"
        for _, statement, instead in find_shims(read_statements(script))
    )


def run_script(script: Path, arguments: Sequence[str]) -> None:
    """Run the script in this process; returns where it ends well.

    Raises:
        UsageError: no such file, or no Python 3; nothing has run.
        SystemExit: the script's own, or 1 after the traceback of what it raised.
    """
    statements = read_statements(script)
    needed = {shim for shim, *_ in find_shims(statements)}

    from kerasrl_runner.engines.keras_agents import set_threads
    from kerasrl_runner.old_scripts.modules import install

    set_threads()
    install("\n".join(statement.text for statement in statements))
    for shim in SHIMS:
        if shim in needed and shim.runs_as:
            print(shim.runs_as, file=sys.stderr)
    # The command's own shortcut at the end would leave what the script holds.
    atexit.unregister(gc.freeze)
    sys.argv = [str(script), *arguments]
    folder = script.resolve().parent
    sys.path[0] = str(folder)
    # In a checkout of keras-rl with modules of its own, these are found.
    sys.modules["rl"].__path__.append(str(folder / "rl"))
    try:
        runpy.run_path(str(script), run_name="__main__")
    except Exception as error:
        _print_traceback(error)
        sys.exit(EXIT_FAILED)


def _print_traceback(error: BaseException) -> None:
    """The script's own traceback, without our frames, and where it is known the remedy."""
    outer: list[traceback.FrameSummary] = []
    cause = error.__cause__ if isinstance(error, EnvironmentFailed) else None
    if isinstance(cause, SystemExit):  # as an environment ends when its window is closed
        raise cause
    if cause and any(
        not f.filename.startswith(_OURS) for f in traceback.extract_tb(cause.__traceback__)
    ):
        outer = traceback.extract_tb(error.__traceback__)
        error = cause  # the environment is the script's
    told = traceback.TracebackException.from_exception(error, compact=True)
    part: traceback.TracebackException | None = told
    while part is not None:
        frames = [f for f in [*outer, *part.stack] if not f.filename.startswith(_OURS)]
        part.stack = traceback.StackSummary.from_list(frames)
        part, outer = part.__cause__ or part.__context__, []
    print("".join(told.format()), end="", file=sys.stderr)
    told_last = str(told)
    for pattern, remedy in _REMEDIES.items():
        if match := re.search(pattern, told_last):
            print(match.expand(remedy), file=sys.stderr)
