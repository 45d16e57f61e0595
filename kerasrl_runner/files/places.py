"""Where runs are written, and where the shipped presets and weights are."""

from __future__ import annotations

import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


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
