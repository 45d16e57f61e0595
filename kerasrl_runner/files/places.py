"""The working folder, the runs folder, and the folders of shipped presets and weights."""

from __future__ import annotations

import os
from pathlib import Path

from kerasrl_runner.errors import RunError

_PACKAGE = Path(__file__).resolve().parent.parent


def working_folder() -> str:
    """Raises RunError where it was deleted."""
    try:
        return os.getcwd()
    except FileNotFoundError as error:
        raise RunError(
            "the working folder was deleted. Change to a folder that exists, by cd."
        ) from error


def runs_folder() -> Path:
    """KERASRL_RUNS, or runs/ in the working folder."""
    return Path(os.environ.get("KERASRL_RUNS") or "runs")


def shipped_folder(kind: str) -> Path:
    """The folder of shipped `kind` ("presets" or "weights").

    A wheel carries them as package data; a checkout or an editable install, where that folder
    does not exist, has them at the repository's root.
    """
    packaged = _PACKAGE / "data" / kind
    return packaged if packaged.is_dir() else _PACKAGE.parent / kind
