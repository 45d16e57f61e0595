"""Train, test and reuse keras-rl DQN agents from preset files.

Everything here is loaded when it is first used, so that `import kerasrl_runner` is light and
never touches TensorFlow.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kerasrl_runner.engines import build
    from kerasrl_runner.preset import load_preset
    from kerasrl_runner.runs.testing import test
    from kerasrl_runner.runs.training import fit, resume
    from kerasrl_runner.weights.keras_weights import load_model

__all__ = ["build", "fit", "load_model", "load_preset", "resume", "test"]

_HOMES = {
    "build": "engines",
    "fit": "runs.training",
    "load_model": "weights.keras_weights",
    "load_preset": "preset",
    "resume": "runs.training",
    "test": "runs.testing",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
