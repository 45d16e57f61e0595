"""What the engines `compiled` and `keras-rl` share: a preset's DQNAgent, and its learner."""

from __future__ import annotations

import math
import os
import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kerasrl_runner.agents.base import BaseDQNAgent
from kerasrl_runner.engines.learner import Learner, Listener, TrainingState, build_priorities
from kerasrl_runner.environments.adapter import KerasRLEnvironment
from kerasrl_runner.errors import PresetError, UsageError
from kerasrl_runner.parts.memory import SequentialMemory
from kerasrl_runner.parts.model import build_q_network
from kerasrl_runner.parts.optimizers import build_optimizer
from kerasrl_runner.parts.policies import (
    BoltzmannQPolicy,
    ExponentialAnnealedPolicy,
    LinearAnnealedPolicy,
    MaxBoltzmannQPolicy,
    exploration,
)
from kerasrl_runner.preset.schema import InnerPolicy, Preset
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

# TensorFlow starts as many threads as it is asked for: thousands take minutes and gigabytes.
_MOST_THREADS = 256
_POLICIES = {
    "EpsGreedyQPolicy": EpsGreedyQPolicy,
    "GreedyQPolicy": GreedyQPolicy,
    "BoltzmannQPolicy": BoltzmannQPolicy,
    "MaxBoltzmannQPolicy": MaxBoltzmannQPolicy,
    "BoltzmannGumbelQPolicy": BoltzmannGumbelQPolicy,
    "LinearAnnealedPolicy": LinearAnnealedPolicy,
    "ExponentialAnnealedPolicy": ExponentialAnnealedPolicy,
}


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
    example = environment.example()
    action_count = int(environment.action_space.n)
    memory.reserve(example, masked_actions=action_count * environment.action_mask)
    memory.priorities = build_priorities(preset)
    network = build_q_network(
        [(layer.name, layer.arguments) for layer in preset.layers],
        (preset.memory.window_length, *example.shape),
        action_count,
        settings.dueling_type if settings.enable_dueling_network else None,
        head_bias=preset.model is not None,
    )
    agent = agent_class(
        network,
        policy=_build_policy(preset.policy),
        enable_double_dqn=settings.enable_double_dqn,
        nb_actions=action_count,
        memory=memory,
        gamma=settings.gamma,
        batch_size=settings.batch_size,
        nb_steps_warmup=settings.nb_steps_warmup,
        train_interval=settings.train_interval,
        # Copied after each single update, the target network is the online one.
        target_model_update=settings.target_model_update if settings.target_network else 1,
        delta_clip=settings.delta_clip,
    )
    agent.observation_scale = preset.env.observation_scale
    name, arguments = preset.optimizer.chosen
    optimizer = build_optimizer(name, arguments)
    try:
        agent.compile(optimizer)
        agent.compute_q_values(memory.get_recent_state(example))
    except (TypeError, ValueError) as error:  # Keras finds some wrong arguments only in use.
        raise PresetError(f"optimizer.{name} or model.layers: {error}") from error
    return agent


def set_threads(default: int = 1) -> None:
    """Let TensorFlow use KERASRL_THREADS threads or the default, unless it runs already."""
    text = os.environ.get("KERASRL_THREADS") or str(min(default, _MOST_THREADS))
    if not (text.isdecimal() and int(text) <= _MOST_THREADS):
        raise UsageError(
            f"KERASRL_THREADS: expected a number of threads up to {_MOST_THREADS}, received {text}."
        )
    threads = int(text)
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    except RuntimeError:  # TensorFlow was used before, and its threads can no longer change.
        pass


def _build_policy(policy: InnerPolicy) -> Any:
    name, arguments = policy.chosen
    built = {key: _build_policy(v) if isinstance(v, InnerPolicy) else v for key, v in arguments}
    return _POLICIES[name](**built)


class KerasLearner(Learner):
    """A DQNAgent of the engines `compiled` and `keras-rl`."""

    agent: BaseDQNAgent
    replay: SequentialMemory

    def __init__(self, environment: KerasRLEnvironment, agent: BaseDQNAgent) -> None:
        super().__init__(environment, agent)
        self.replay = agent.memory
        self.threads = {  # 0 is TensorFlow's own choice.
            "intra_op": tf.config.threading.get_intra_op_parallelism_threads(),
            "inter_op": tf.config.threading.get_inter_op_parallelism_threads(),
        }

    @property
    def stop_training(self) -> bool:
        return self.agent.stop_training

    @stop_training.setter
    def stop_training(self, value: bool) -> None:
        self.agent.stop_training = value

    @property
    def env_steps(self) -> int:
        return self.agent.step

    def q_values(self, state: list[np.ndarray]) -> np.ndarray:
        return self.agent.compute_q_values(state)

    def prepare(self) -> None:
        self.agent.prepare_learning()

    def train(self, env_steps: int, listeners: Sequence[Listener]) -> None:
        remaining = env_steps - self.env_steps
        self.listeners = listeners
        try:
            self.agent.fit(self.environment, remaining, callbacks=[_EventCallback(self)], verbose=0)
        finally:
            self.interrupted = self.agent.interrupted

    def test(self, episodes: int, max_episode_steps: int) -> None:
        self.agent.test(
            self.environment,
            episodes,
            visualize=False,
            nb_max_episode_steps=max_episode_steps,
            verbose=0,
        )
        self.interrupted = self.agent.interrupted

    def exported_weights(self) -> WeightsFile:
        return self.agent.exported_weights()

    def set_weights(self, weights: WeightsFile) -> None:
        self.agent.set_weights(weights)

    def state(self) -> TrainingState:
        arrays = {f"variables/{k}": v for k, v in self.agent.variables().items()}
        for number, policy in enumerate(self._policies()):
            if getattr(policy, "action_counts", None) is not None:  # BoltzmannGumbelQPolicy's
                arrays[f"policy/{number}"] = policy.action_counts.copy()
        if self.replay.priorities is not None:
            arrays |= self.replay.priorities.state_dict()
        # keras-rl's policies draw from NumPy's global stream, its initializers from Python's.
        numpy_stream: Any = np.random.get_state(legacy=False)
        arrays["numpy_key"] = numpy_stream["state"].pop("key")
        version, python_key, gauss = random.getstate()
        arrays["python_key"] = np.array(python_key, np.uint64)
        scalars = {
            "env_steps": self.agent.step,
            "learn_call": self.agent.learn_call,
            "episodes": self.episodes,
            "numpy": numpy_stream,
            "python": [version, gauss],
            "memory_rng": self.replay.generator.bit_generator.state,
        }
        return TrainingState(arrays, scalars)

    def restore(self, state: TrainingState) -> None:
        arrays, scalars = state.arrays, state.scalars
        prefix = "variables/"
        self.agent.set_variables(
            {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
        )
        for number, policy in enumerate(self._policies()):
            if f"policy/{number}" in arrays:
                policy.action_counts = arrays[f"policy/{number}"].copy()
        if self.replay.priorities is not None:
            self.replay.priorities.load_state_dict(arrays)
        self.agent.step = int(scalars["env_steps"])
        self.agent.learn_call = int(scalars["learn_call"])
        self.episodes = int(scalars["episodes"])
        inner = {**scalars["numpy"]["state"], "key": arrays["numpy_key"]}
        np.random.set_state({**scalars["numpy"], "state": inner})
        version, gauss = scalars["python"]
        random.setstate((version, tuple(arrays["python_key"].tolist()), gauss))
        self.replay.generator.bit_generator.state = scalars["memory_rng"]

    def _policies(self) -> list[Any]:
        policy = self.agent.policy
        inner = getattr(policy, "inner_policy", None)
        return [policy] if inner is None else [policy, inner]


class _EventCallback(Callback):
    """Turns keras-rl's callbacks into the learner's events."""

    def __init__(self, learner: KerasLearner) -> None:
        super().__init__()
        self._learner = learner

    def on_step_end(self, step: int, logs: dict[str, Any] | None = None) -> None:
        loss = float((logs or {})["metrics"][0])
        # The vendor counts the step only after its callbacks.
        self._learner.send_step(self._learner.env_steps + 1, None if math.isnan(loss) else loss)

    def on_episode_end(self, episode: int, logs: dict[str, Any] | None = None) -> None:
        learner = self._learner
        learner.send_episode(learner.env_steps, exploration(learner.agent.policy))
