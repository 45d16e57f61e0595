"""What the engines `compiled` and `keras-rl` share: a preset's DQNAgent, and its learner."""

from __future__ import annotations

import math
import os
import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kerasrl_runner.agents.base import BaseDQNAgent
from kerasrl_runner.engines.learner import EpisodeEvent, Listener, StepEvent, TrainingState
from kerasrl_runner.environments.adapter import KerasRLEnvironment
from kerasrl_runner.environments.observations import encoder
from kerasrl_runner.errors import PresetError, UsageError
from kerasrl_runner.parts.memory import SequentialMemory
from kerasrl_runner.parts.model import build_q_network
from kerasrl_runner.parts.optimizers import build_optimizer
from kerasrl_runner.parts.policies import (
    BoltzmannQPolicy,
    LinearAnnealedPolicy,
    MaxBoltzmannQPolicy,
    exploration,
)
from kerasrl_runner.preset.schema import Policy, Preset
from kerasrl_runner.vendor import (
    BoltzmannGumbelQPolicy,
    Callback,
    EpsGreedyQPolicy,
    GreedyQPolicy,
    keras,
    start_quietly,
    tf,
)
from kerasrl_runner.weights.file import WeightsFile

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
    agent_class: Callable[..., BaseDQNAgent],
    preset: Preset,
    environment: KerasRLEnvironment,
    seed: int,
) -> BaseDQNAgent:
    """The preset's agent of that class, compiled in Keras' sense.

    Seeds Python's, NumPy's and TensorFlow's global streams, which keras-rl draws from.

    Raises:
        PresetError: settings that the engine, Keras or this machine's memory cannot take.
    """
    start_quietly()
    keras.utils.set_random_seed(seed)
    settings = preset.agent
    memory = SequentialMemory(
        preset.memory.limit, preset.memory.window_length, generator=np.random.default_rng(seed)
    )
    memory.reserve(environment.example())
    agent = agent_class(
        build_model(preset, environment),
        policy=_build_policy(preset.policy),
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


def _build_policy(policy: Policy) -> Any:
    name, arguments = policy.chosen
    if name == "LinearAnnealedPolicy":
        values = dict(arguments)
        return LinearAnnealedPolicy(
            **{**values, "inner_policy": _build_policy(arguments.inner_policy)}
        )
    return _POLICIES[name](**dict(arguments))


class KerasLearner:
    """A DQNAgent of the engines `compiled` and `keras-rl`; satisfies `Learner`."""

    def __init__(self, environment: KerasRLEnvironment, agent: BaseDQNAgent) -> None:
        self.environment = environment
        self.episodes = 0
        self._agent = agent

    @property
    def window_length(self) -> int:
        length: int = self._agent.memory.window_length
        return length

    @property
    def stop_training(self) -> bool:
        return self._agent.stop_training

    @stop_training.setter
    def stop_training(self, value: bool) -> None:
        self._agent.stop_training = value

    @property
    def env_steps(self) -> int:
        return self._agent.step

    @property
    def interrupted(self) -> bool:
        return self._agent.interrupted

    @property
    def replay(self) -> SequentialMemory:
        memory: SequentialMemory = self._agent.memory
        return memory

    @property
    def threads(self) -> dict[str, int]:
        return tensorflow_threads()

    def q_values(self, state: list[np.ndarray]) -> np.ndarray:
        return self._agent.compute_q_values(state)

    def train(self, env_steps: int, listeners: Sequence[Listener]) -> None:
        left = env_steps - self.env_steps
        bridge = _Bridge(self, listeners)
        self._agent.fit(self.environment, left, callbacks=[bridge], verbose=0)

    def exported_weights(self) -> WeightsFile:
        return self._agent.exported_weights()

    def set_weights(self, weights: WeightsFile) -> None:
        self._agent.set_weights(weights)

    def state(self) -> TrainingState:
        arrays = {f"variables/{k}": v for k, v in self._agent.variables().items()}
        for number, policy in enumerate(self._policies()):
            if getattr(policy, "action_counts", None) is not None:  # BoltzmannGumbelQPolicy's
                arrays[f"policy/{number}"] = policy.action_counts.copy()
        # keras-rl's policies draw from NumPy's global stream, its initializers from Python's.
        numpy_stream: Any = np.random.get_state(legacy=False)
        arrays["numpy_key"] = numpy_stream["state"].pop("key")
        version, python_key, gauss = random.getstate()
        arrays["python_key"] = np.array(python_key, np.uint64)
        numbers = {
            "env_steps": self._agent.step,
            "episodes": self.episodes,
            "numpy": numpy_stream,
            "python": [version, gauss],
            "memory_rng": self.replay.generator.bit_generator.state,
        }
        return TrainingState(arrays, numbers)

    def restore(self, state: TrainingState) -> None:
        arrays, numbers = state.arrays, state.numbers
        prefix = "variables/"
        self._agent.set_variables(
            {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
        )
        for number, policy in enumerate(self._policies()):
            if f"policy/{number}" in arrays:
                policy.action_counts = arrays[f"policy/{number}"].copy()
        self._agent.step = int(numbers["env_steps"])
        self.episodes = int(numbers["episodes"])
        inner = {**numbers["numpy"]["state"], "key": arrays["numpy_key"]}
        np.random.set_state({**numbers["numpy"], "state": inner})
        version, gauss = numbers["python"]
        random.setstate((version, tuple(arrays["python_key"].tolist()), gauss))
        self.replay.generator.bit_generator.state = numbers["memory_rng"]

    def _policies(self) -> list[Any]:
        policy = self._agent.policy
        inner = getattr(policy, "inner_policy", None)
        return [policy] if inner is None else [policy, inner]


class _Bridge(Callback):
    """keras-rl's callbacks as step and episode events."""

    def __init__(self, learner: KerasLearner, listeners: Sequence[Listener]) -> None:
        super().__init__()
        self._learner = learner
        self._listeners = listeners
        self._losses: list[float] = []

    def on_step_end(self, step: int, logs: dict[str, Any] | None = None) -> None:
        loss = float((logs or {})["metrics"][0])
        learned = not math.isnan(loss)
        if learned:
            self._losses.append(loss)
        # The vendor counts the step only after its callbacks.
        event = StepEvent(self._learner.env_steps + 1, loss if learned else None)
        for listener in self._listeners:
            listener.on_step(event)

    def on_episode_end(self, episode: int, logs: dict[str, Any] | None = None) -> None:
        learner, environment = self._learner, self._learner.environment
        event = EpisodeEvent(
            episode=learner.episodes,
            env_steps=learner.env_steps,
            episode_return=environment.episode_return,
            episode_length=environment.episode_length,
            terminated=environment.terminated,
            epsilon=exploration(learner._agent.policy),
            loss=sum(self._losses) / len(self._losses) if self._losses else None,
        )
        self._losses.clear()
        learner.episodes += 1
        for listener in self._listeners:
            listener.on_episode(event)
