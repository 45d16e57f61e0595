"""The table of engines: from a preset to a learner, for the name that a user types."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kerasrl_runner.engines.learner import Learner
from kerasrl_runner.environments.adapter import KerasRLEnvironment
from kerasrl_runner.environments.make import build_environment
from kerasrl_runner.environments.seeds import TRAINING, check_seed
from kerasrl_runner.errors import PresetError, UsageError, suggest_name
from kerasrl_runner.preset import Preset, load_preset

_KERAS_PACKAGES = ("numpy", "gymnasium", "tensorflow", "tf-keras", "keras-rl2")
# Each engine with the packages whose other versions may compute other numbers. Its module has
# `build_learner`, of (preset, environment, seed).
ENGINES = {
    "compiled": _KERAS_PACKAGES,
    "keras-rl": _KERAS_PACKAGES,
    "reference": ("numpy", "gymnasium"),
    "qtable": ("numpy", "gymnasium"),
}
DEFAULT_ENGINE = "compiled"


def check_engine(name: str) -> None:
    """Raises UsageError for a name that is no engine's."""
    if name not in ENGINES:
        raise UsageError(
            f'there is no engine "{name}".{suggest_name(str(name), list(ENGINES))} '
            f"Known: {', '.join(ENGINES)}."
        )


def check_trainable(preset: Preset, engine: str) -> None:
    """Raises PresetError for a table's preset and an engine of networks, which only plays it."""
    if preset.model is None and engine != "qtable":
        raise PresetError(
            f"model: missing, and the engine {engine} trains a network. {preset.name} is for a "
            f'table: train it by --engine qtable (engine="qtable"), or give it a [model].'
        )


def build_learner(
    preset: Preset, seed: int, engine: str, environment: KerasRLEnvironment | None = None
) -> Learner:
    """The preset's learner of an engine, in `environment`, or in one for training.

    Raises:
        UsageError: no such engine.
        PresetError, EnvironmentFailed: the preset names what cannot be made.
    """
    check_engine(engine)
    # Imported when it is used, since most engines import TensorFlow.
    module = importlib.import_module(f"kerasrl_runner.engines.{engine.replace('-', '_')}")
    environment = environment or build_environment(preset, seed, TRAINING)
    learner: Learner = module.build_learner(preset, environment, seed)
    return learner


def build(
    preset: str | Path | Preset,
    seed: int = 0,
    engine: str = DEFAULT_ENGINE,
    **overrides: Mapping[str, Any],
) -> tuple[KerasRLEnvironment, Any]:
    """(environment, agent): the agent is compiled and ready for your own `agent.fit(environment)`.

    Seeds Python's, NumPy's and TensorFlow's global random streams, which keras-rl draws from.

    Args:
        overrides: sections to lay over the preset's, as of `fit`.

    Raises:
        UsageError, PresetError, EnvironmentFailed: as `build_learner`.
    """
    check_engine(engine)
    loaded = load_preset(preset, sections=overrides)
    check_trainable(loaded, engine)
    learner = build_learner(loaded, check_seed(seed), engine)
    return learner.environment, learner.agent
