"""The composition root: from a preset to an environment and an agent, for any engine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from kerasrl_runner.environments.adapter import KerasRLEnvironment
from kerasrl_runner.environments.make import make_environment
from kerasrl_runner.environments.observations import encoder
from kerasrl_runner.environments.seeds import TRAINING, episode_seeds
from kerasrl_runner.parts.imports import make_importable
from kerasrl_runner.preset.schema import Preset

ENGINES = ("compiled", "keras-rl", "reference")


def build(
    preset: Preset,
    seed: int = 0,
    engine: str = ENGINES[0],
    render_mode: str | None = None,
) -> tuple[KerasRLEnvironment, Any]:
    """The preset's environment and its agent, ready to be trained.

    A DQNAgent, compiled in Keras' sense, for the engines `compiled` and `keras-rl`, and a
    `reference.agent.Agent` for `reference`, which imports no TensorFlow.

    Raises:
        PresetError, EnvironmentFailed: the preset names what cannot be made.
    """
    environment = build_environment(preset, seed, TRAINING, render_mode)
    environment.nb_max_episode_steps = preset.fit.nb_max_episode_steps
    return environment, build_agent(preset, environment, seed, engine)


def build_environment(
    preset: Preset, seed: int, stream: int, render_mode: str | None = None
) -> KerasRLEnvironment:
    """The preset's environment; episode k is reset with seed k of (seed, stream)."""
    make_importable([Path(os.getcwd()), preset.folder])
    env = make_environment(preset.env, render_mode)
    encode, _ = encoder(env.observation_space, preset.env.observation_scale)
    return KerasRLEnvironment(
        env,
        encode=encode,
        reward_scale=preset.env.reward_scale,
        seeds=episode_seeds(seed, stream),
    )


def build_agent(preset: Preset, environment: KerasRLEnvironment, seed: int, engine: str) -> Any:
    """The preset's agent of an engine; seeds every random stream that it draws from.

    Raises:
        PresetError: settings that the engine, Keras or this machine's memory cannot take.
    """
    if engine == "reference":  # without the five seconds that TensorFlow takes to be imported
        from kerasrl_runner.build.reference_agent import build_reference_agent

        return build_reference_agent(preset, environment, seed)
    from kerasrl_runner.build.keras_agents import build_keras_agent

    return build_keras_agent(preset, environment, seed, engine)
