"""From a preset to the DQNAgent of the engines `compiled` and `keras-rl`."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

import numpy as np

from kerasrl_runner.agents.compiled import CompiledDQNAgent
from kerasrl_runner.agents.guarded import GuardedDQNAgent
from kerasrl_runner.environments.adapter import KerasRLEnvironment
from kerasrl_runner.environments.observations import encoder
from kerasrl_runner.errors import PresetError, UsageError
from kerasrl_runner.keras_rl import (
    BoltzmannGumbelQPolicy,
    EpsGreedyQPolicy,
    GreedyQPolicy,
    keras,
    tf,
)
from kerasrl_runner.parts.memory import SequentialMemory
from kerasrl_runner.parts.model import build_q_network
from kerasrl_runner.parts.optimizers import build_optimizer
from kerasrl_runner.parts.policies import (
    BoltzmannQPolicy,
    LinearAnnealedPolicy,
    MaxBoltzmannQPolicy,
)
from kerasrl_runner.preset.schema import Policy, Preset

# TensorFlow starts as many as it is told: thousands take minutes and gigabytes.
_MOST_THREADS = 256
_POLICIES = {
    "EpsGreedyQPolicy": EpsGreedyQPolicy,
    "GreedyQPolicy": GreedyQPolicy,
    "BoltzmannQPolicy": BoltzmannQPolicy,
    "MaxBoltzmannQPolicy": MaxBoltzmannQPolicy,
    "BoltzmannGumbelQPolicy": BoltzmannGumbelQPolicy,
}


def build_model(preset: Preset, environment: KerasRLEnvironment) -> Any:
    """The preset's Sequential from states [B, W, *observation] to Q values [B, A]."""
    _, shape = encoder(environment.observation_space, preset.env.observation_scale)
    return build_q_network(
        [(layer.name, layer.arguments) for layer in preset.model.layers],
        (preset.memory.window_length, *shape),
        int(environment.action_space.n),
        preset.agent.dueling_type if preset.agent.enable_dueling_network else None,
    )


def build_keras_agent(
    preset: Preset, environment: KerasRLEnvironment, seed: int, engine: str
) -> GuardedDQNAgent:
    """The preset's agent of an engine, compiled in Keras' sense.

    Seeds Python's, NumPy's and TensorFlow's global streams, which keras-rl draws from.

    Raises:
        PresetError: settings that the engine, Keras or this machine's memory cannot take.
    """
    if engine == "compiled":
        set_threads()
    keras.utils.set_random_seed(seed)
    settings = preset.agent
    memory = SequentialMemory(
        preset.memory.limit, preset.memory.window_length, generator=np.random.default_rng(seed)
    )
    memory.reserve(environment.example())
    if engine == "compiled":
        agent_class: Any = partial(
            CompiledDQNAgent, gradient_steps=settings.gradient_steps, seed=seed
        )
    elif settings.gradient_steps > 1:
        raise PresetError(
            f"agent.gradient_steps: engine {engine} updates once at a time; expected 1, received "
            f"{settings.gradient_steps}. Use --engine compiled."
        )
    else:
        agent_class = GuardedDQNAgent
    agent = agent_class(
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
        agent.compute_q_values(memory.get_recent_state(environment.example()))
    except (TypeError, ValueError) as error:  # what Keras takes and only then cannot use
        raise PresetError(f"optimizer.{name} or model.layers: {error}") from error
    return agent


def set_threads() -> None:
    """Let TensorFlow use KERASRL_THREADS threads, 1 if it is not set, unless it runs already.

    At the size of a DQN more threads only wait for each other (benchmarks/README.md).
    """
    text = os.environ.get("KERASRL_THREADS") or "1"
    if not (text.isdecimal() and int(text) <= _MOST_THREADS):
        raise UsageError(
            f"KERASRL_THREADS: expected a number of threads up to {_MOST_THREADS}, received {text}."
        )
    threads = int(text)
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    except RuntimeError:  # TensorFlow was used before: its threads are as they are
        pass


def tensorflow_threads() -> dict[str, int]:
    """TensorFlow's threads within an operation and between them; 0 is its own choice."""
    threading = tf.config.threading
    return {
        "intra_op": threading.get_intra_op_parallelism_threads(),
        "inter_op": threading.get_inter_op_parallelism_threads(),
    }


def _policy(policy: Policy) -> Any:
    name, arguments = policy.chosen
    if name == "LinearAnnealedPolicy":
        values = dict(arguments)
        return LinearAnnealedPolicy(**{**values, "inner_policy": _policy(arguments.inner_policy)})
    return _POLICIES[name](**dict(arguments))
