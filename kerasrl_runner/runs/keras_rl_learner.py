"""An agent of keras-rl's kind as a run's learner: the vendor's loop, told as events."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasrl_runner.agents.guarded import GuardedDQNAgent
from kerasrl_runner.build.keras_agents import tensorflow_threads
from kerasrl_runner.environments.adapter import KerasRLEnvironment
from kerasrl_runner.files.weights_file import WeightsFile
from kerasrl_runner.keras_rl import Callback
from kerasrl_runner.parts.memory import SequentialMemory
from kerasrl_runner.parts.policies import exploration
from kerasrl_runner.runs.events import EpisodeEvent, Listener, StepEvent
from kerasrl_runner.runs.learner import TrainingState


class KerasRLLearner:
    """A DQNAgent of the engines `compiled` and `keras-rl`; satisfies `Learner`."""

    def __init__(self, environment: KerasRLEnvironment, agent: GuardedDQNAgent) -> None:
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

    def __init__(self, learner: KerasRLLearner, listeners: Sequence[Listener]) -> None:
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
