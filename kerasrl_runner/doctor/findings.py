"""What a check found, and the command or the advice that repairs it."""

from __future__ import annotations

import shlex
import sys
from typing import NamedTuple

OK, WARNING, BROKEN = "ok", "warning", "broken"


class Finding(NamedTuple):
    """A status, what was found, and how to repair it: None where all is well."""

    status: str
    found: str
    remedy: str | None = None


def ok(found: str) -> Finding:
    return Finding(OK, found)


def warning(found: str, remedy: str) -> Finding:
    """Something untried or missing that a training can do without."""
    return Finding(WARNING, found, remedy)


def broken(found: str, remedy: str) -> Finding:
    """Something without which a command fails."""
    return Finding(BROKEN, found, remedy)


def pip_command(*arguments: str) -> str:
    """The pip command for this very Python, which need not be the shell's."""
    return shlex.join([sys.executable, "-m", "pip", *arguments])
