"""The table of engines: from a preset to a learner, for the name that a user types."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from kerasrl_runner.engines.learner import Learner
from kerasrl_runner.environments.adapter import KerasRLEnvironment
from kerasrl_runner.environments.make import build_environment
from kerasrl_runner.environments.seeds import TRAINING
from kerasrl_runner.errors import UsageError, nearest
from kerasrl_runner.preset.schema import Preset


def _import_compiled() -> ModuleType:
    from kerasrl_runner.engines import compiled

    return compiled


def _import_keras_rl() -> ModuleType:
    from kerasrl_runner.engines import keras_rl

    return keras_rl


def _import_reference() -> ModuleType:  # without the five seconds of importing TensorFlow
    from kerasrl_runner.engines import reference

    return reference


# Each module has `build_agent`, `build_learner` and `build_player`, of (preset, environment, seed).
_ENGINES: dict[str, Callable[[], ModuleType]] = {
    "compiled": _import_compiled,
    "keras-rl": _import_keras_rl,
    "reference": _import_reference,
}
ENGINES = tuple(_ENGINES)
DEFAULT_ENGINE = ENGINES[0]


def check_engine(name: str) -> None:
    """Raises UsageError for a name that is no engine's."""
    if name not in _ENGINES:
        raise UsageError(
            f'there is no engine "{name}".{nearest(name, list(ENGINES))} '
            f"Known: {', '.join(ENGINES)}."
        )


def build_learner(
    preset: Preset, seed: int, engine: str, render_mode: str | None = None
) -> Learner:
    """The preset's learner of an engine.

    Raises:
        UsageError: no such engine.
        PresetError, EnvironmentFailed: the preset names what cannot be made.
    """
    check_engine(engine)
    environment = _training_environment(preset, seed, render_mode)
    learner: Learner = _ENGINES[engine]().build_learner(preset, environment, seed)
    return learner


def build_player(
    preset: Preset, environment: KerasRLEnvironment, seed: int, engine: str
) -> Learner:
    """The preset's learner for `test` alone, in an environment that is made already.

    Raises as `build_learner`.
    """
    check_engine(engine)
    player: Learner = _ENGINES[engine]().build_player(preset, environment, seed)
    return player


def build(
    preset: Preset, seed: int = 0, engine: str = DEFAULT_ENGINE
) -> tuple[KerasRLEnvironment, Any]:
    """The preset's environment and its agent, ready to be trained. Raises as `build_learner`."""
    check_engine(engine)
    environment = _training_environment(preset, seed)
    return environment, build_agent(preset, environment, seed, engine)


def build_agent(preset: Preset, environment: KerasRLEnvironment, seed: int, engine: str) -> Any:
    """The preset's agent of an engine, for an environment that is made already."""
    check_engine(engine)
    return _ENGINES[engine]().build_agent(preset, environment, seed)


def _training_environment(
    preset: Preset, seed: int, render_mode: str | None = None
) -> KerasRLEnvironment:
    environment = build_environment(preset, seed, TRAINING, render_mode)
    environment.nb_max_episode_steps = preset.fit.nb_max_episode_steps
    return environment
