"""Where runs are written; light enough for what must work without NumPy."""

from __future__ import annotations

import os
from pathlib import Path


def runs_folder() -> Path:
    """KERASRL_RUNS, or runs/ in the working folder."""
    return Path(os.environ.get("KERASRL_RUNS") or "runs")
