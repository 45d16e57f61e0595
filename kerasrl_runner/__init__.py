"""Train, test and reuse keras-rl DQN agents from preset files.

Everything here is loaded when it is first used, so that `import kerasrl_runner` is light and
never touches TensorFlow.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kerasrl_runner.api import build, fit, resume, test
    from kerasrl_runner.preset import load_preset
    from kerasrl_runner.weights.keras_weights import load_model

__all__ = ["build", "fit", "load_model", "load_preset", "resume", "test"]

# Where a name comes from, if not from api.py.
_HOMES = {
    "load_model": "kerasrl_runner.weights.keras_weights",
    "load_preset": "kerasrl_runner.preset",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOMES.get(name, "kerasrl_runner.api")
    return getattr(importlib.import_module(home), name)
