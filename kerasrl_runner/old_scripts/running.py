"""Runs an old script as `python OLD.py …` would have run it."""

from __future__ import annotations

import runpy
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from kerasrl_runner.errors import EXIT_FAILED, EnvironmentFailed
from kerasrl_runner.old_scripts.reading import read_statements
from kerasrl_runner.old_scripts.shims import announce, explain, find_shims

_PACKAGE = Path(__file__).resolve().parents[1]


def explain_script(script: Path) -> str:
    """What to change in the script so that it runs by itself. Raises UsageError."""
    return "\n".join(explain(find_shims(read_statements(script)), script))


def run_script(script: Path, arguments: Sequence[str]) -> None:
    """Run the script in this process; returns where it ends well.

    Raises:
        UsageError: no such file, or no Python 3; nothing has run.
        SystemExit: the script's own, or 1 after the traceback of what it raised.
    """
    statements = read_statements(script)
    found = find_shims(statements)
    import gymnasium

    from kerasrl_runner.old_scripts.modules import install
    from kerasrl_runner.vendor import keras

    install("\n".join(statement.text for statement in statements))
    for line in announce(found, {"gymnasium": gymnasium.__version__, "keras": keras.__version__}):
        print(line, file=sys.stderr)
    sys.argv = [str(script), *arguments]
    sys.path[0] = str(script.parent.resolve())
    try:
        runpy.run_path(str(script), run_name="__main__")
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException as error:
        _print_traceback(error, script)
        sys.exit(EXIT_FAILED)


def _print_traceback(error: BaseException, script: Path) -> None:
    """The script's own traceback, without our frames, and where we know it a line of remedy."""
    if isinstance(error, EnvironmentFailed) and error.__cause__ is not None:
        error = error.__cause__  # the environment is the script's
    told = traceback.TracebackException.from_exception(error, compact=True)
    part: traceback.TracebackException | None = told
    while part is not None:
        part.stack = traceback.StackSummary.from_list(
            [frame for frame in part.stack if not _is_ours(frame.filename)]
        )
        part = part.__cause__ or part.__context__
    print("".join(told.format()), end="", file=sys.stderr)
    remedy = find_remedy(error)
    if remedy:
        print(remedy, file=sys.stderr)


def _is_ours(filename: str) -> bool:
    return filename.startswith(("<frozen ", str(_PACKAGE)))


def find_remedy(error: BaseException) -> str | None:
    """One line for a cause that is known."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"Install what the script imports: pip install {error.name.partition('.')[0]}"
    return None
