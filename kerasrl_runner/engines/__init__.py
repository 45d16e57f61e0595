"""The table of engines: from a preset to a learner, for the name that a user types."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from kerasrl_runner.engines.learner import Learner
from kerasrl_runner.environments.adapter import KerasRLEnvironment
from kerasrl_runner.environments.make import build_environment
from kerasrl_runner.environments.seeds import TRAINING, check_seed
from kerasrl_runner.errors import UsageError, nearest
from kerasrl_runner.preset.read import choose_preset
from kerasrl_runner.preset.schema import Preset

_KERAS_PACKAGES = ("numpy", "gymnasium", "tensorflow", "tf-keras", "keras-rl2")
# Each engine with the packages whose other versions may compute other numbers. Its module has
# `build_agent` and `build_learner`, of (preset, environment, seed).
_ENGINES = {
    "compiled": _KERAS_PACKAGES,
    "keras-rl": _KERAS_PACKAGES,
    "reference": ("numpy", "gymnasium"),
}
ENGINES = tuple(_ENGINES)
DEFAULT_ENGINE = ENGINES[0]


def check_engine(name: str) -> None:
    """Raises UsageError for a name that is no engine's."""
    if name not in _ENGINES:
        raise UsageError(
            f'there is no engine "{name}".{nearest(str(name), list(ENGINES))} '
            f"Known: {', '.join(ENGINES)}."
        )


def packages_of(engine: str) -> tuple[str, ...]:
    """The packages whose versions decide what the engine computes."""
    return _ENGINES[engine]


def _import_engine(name: str) -> ModuleType:
    """The engine's module, imported when it is used, since most import TensorFlow."""
    check_engine(name)
    return importlib.import_module(f"kerasrl_runner.engines.{name.replace('-', '_')}")


def build_learner(
    preset: Preset, seed: int, engine: str, render_mode: str | None = None
) -> Learner:
    """The preset's learner of an engine.

    Raises:
        UsageError: no such engine.
        PresetError, EnvironmentFailed: the preset names what cannot be made.
    """
    check_engine(engine)
    environment = _build_training_environment(preset, seed, render_mode)
    learner: Learner = _import_engine(engine).build_learner(preset, environment, seed)
    return learner


def build_player(
    preset: Preset, environment: KerasRLEnvironment, seed: int, engine: str
) -> Learner:
    """The preset's learner for `test` alone, in an environment that is made already.

    Raises as `build_learner`.
    """
    check_engine(engine)
    player: Learner = _import_engine(engine).build_player(preset, environment, seed)
    return player


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
    seed, chosen = check_seed(seed), choose_preset(preset, overrides)
    environment = _build_training_environment(chosen, seed)
    return environment, build_agent(chosen, environment, seed, engine)


def build_agent(preset: Preset, environment: KerasRLEnvironment, seed: int, engine: str) -> Any:
    """The preset's agent of an engine, for an environment that is made already."""
    return _import_engine(engine).build_agent(preset, environment, seed)


def _build_training_environment(
    preset: Preset, seed: int, render_mode: str | None = None
) -> KerasRLEnvironment:
    environment = build_environment(preset, seed, TRAINING, render_mode)
    environment.nb_max_episode_steps = preset.fit.nb_max_episode_steps
    return environment
