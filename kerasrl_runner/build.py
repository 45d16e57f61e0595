"""The composition root: from a preset to an environment and an agent, for any engine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from kerasrl_runner.agents.guarded import GuardedDQNAgent
from kerasrl_runner.environments.adapter import KerasRLEnvironment
from kerasrl_runner.environments.make import make_environment
from kerasrl_runner.environments.observations import encoder
from kerasrl_runner.environments.seeds import TRAINING, episode_seeds
from kerasrl_runner.errors import PresetError
from kerasrl_runner.keras_rl import BoltzmannGumbelQPolicy, EpsGreedyQPolicy, GreedyQPolicy, keras
from kerasrl_runner.parts.imports import make_importable
from kerasrl_runner.parts.memory import SequentialMemory
from kerasrl_runner.parts.model import build_q_network
from kerasrl_runner.parts.optimizers import build_optimizer
from kerasrl_runner.parts.policies import (
    BoltzmannQPolicy,
    LinearAnnealedPolicy,
    MaxBoltzmannQPolicy,
)
from kerasrl_runner.preset.schema import Policy, Preset

_POLICIES = {
    "EpsGreedyQPolicy": EpsGreedyQPolicy,
    "GreedyQPolicy": GreedyQPolicy,
    "BoltzmannQPolicy": BoltzmannQPolicy,
    "MaxBoltzmannQPolicy": MaxBoltzmannQPolicy,
    "BoltzmannGumbelQPolicy": BoltzmannGumbelQPolicy,
}


def build(
    preset: Preset, seed: int = 0, render_mode: str | None = None
) -> tuple[KerasRLEnvironment, GuardedDQNAgent]:
    """The preset's environment and its keras-rl agent, compiled, ready for `agent.fit`.

    Seeds Python's, NumPy's and TensorFlow's global streams, which keras-rl draws from.

    Raises:
        PresetError, EnvironmentFailed: the preset names what cannot be made.
    """
    keras.utils.set_random_seed(seed)
    environment = build_environment(preset, seed, TRAINING, render_mode)
    environment.nb_max_episode_steps = preset.fit.nb_max_episode_steps
    return environment, build_agent(preset, environment, seed)


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


def build_model(preset: Preset, environment: KerasRLEnvironment) -> Any:
    """The preset's Sequential from states [B, W, *observation] to Q values [B, A]."""
    _, shape = encoder(environment.observation_space, preset.env.observation_scale)
    return build_q_network(
        [(layer.name, layer.arguments) for layer in preset.model.layers],
        (preset.memory.window_length, *shape),
        int(environment.action_space.n),
        preset.agent.dueling_type if preset.agent.enable_dueling_network else None,
    )


def build_agent(preset: Preset, environment: KerasRLEnvironment, seed: int) -> GuardedDQNAgent:
    """A compiled agent of engine keras-rl."""
    settings = preset.agent
    try:
        memory = SequentialMemory(
            preset.memory.limit,
            preset.memory.window_length,
            generator=np.random.default_rng(seed),
        )
    except (MemoryError, ValueError) as error:
        raise PresetError(
            f"memory.limit: {preset.memory.limit} entries do not fit into this machine: {error}. "
            f"Lower the limit."
        ) from error
    agent = GuardedDQNAgent(
        build_model(preset, environment),
        policy=_policy(preset.policy),
        enable_double_dqn=settings.enable_double_dqn,
        nb_actions=int(environment.action_space.n),
        memory=memory,
        gamma=settings.gamma,
        batch_size=settings.batch_size,
        nb_steps_warmup=settings.nb_steps_warmup,
        train_interval=settings.train_interval,
        target_model_update=settings.target_model_update,
        delta_clip=settings.delta_clip,
    )
    name, arguments = preset.optimizer.chosen
    optimizer = build_optimizer(name, arguments)
    try:
        agent.compile(optimizer)
    except (TypeError, ValueError) as error:  # what Keras takes and only then cannot use
        raise PresetError(f"optimizer.{name}: {error}") from error
    return agent


def _policy(policy: Policy) -> Any:
    name, arguments = policy.chosen
    if name == "LinearAnnealedPolicy":
        values = dict(arguments)
        return LinearAnnealedPolicy(**{**values, "inner_policy": _policy(arguments.inner_policy)})
    return _POLICIES[name](**dict(arguments))
