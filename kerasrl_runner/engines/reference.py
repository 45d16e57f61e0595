"""Engine `reference`: the agent from scratch as a run's learner."""

from __future__ import annotations

import abc
import contextlib
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasrl_runner.engines.greedy import play
from kerasrl_runner.engines.learner import Learner, Listener, TrainingState
from kerasrl_runner.engines.reference_agent import build_agent
from kerasrl_runner.environments.adapter import KerasRLEnvironment
from kerasrl_runner.errors import divergence_error
from kerasrl_runner.preset.schema import Preset
from kerasrl_runner.reference import loop
from kerasrl_runner.reference.agent import Agent
from kerasrl_runner.reference.replay import ReplayMemory
from kerasrl_runner.weights.file import WeightsFile
from kerasrl_runner.weights.reference_weights import reference_weights, set_reference_weights

_COLUMNS = ("observations", "actions", "rewards", "terminated", "closing", "age", "legal")


def build_learner(preset: Preset, environment: KerasRLEnvironment, seed: int) -> ReferenceLearner:
    """The preset's learner. Raises PresetError for what the reference agent does not have."""
    return ReferenceLearner(preset, environment, build_agent(preset, environment, seed))


class NumpyLearner(Learner):
    """What the engines without TensorFlow share: they differ in how an agent learns and is kept."""

    def __init__(self, preset: Preset, environment: KerasRLEnvironment, agent: Any) -> None:
        super().__init__(environment, agent)
        self.threads = {}
        self.stop_training = False
        self.replay = _Entries(agent.memory)
        self._preset = preset
        self._observation_shape = environment.example().shape

    @property
    def env_steps(self) -> int:
        return self.agent.env_step

    def q_values(self, state: list[np.ndarray]) -> np.ndarray:
        q_values = self.agent.q_values(state)
        if not math.isfinite(q_values.sum()):
            raise divergence_error(f"the Q values became {q_values}", self.env_steps)
        return q_values

    def train(self, env_steps: int, listeners: Sequence[Listener]) -> None:
        self.stop_training = self.interrupted = False
        self.listeners = listeners
        try:
            if self.env_steps < env_steps:
                self._train(env_steps)
        except KeyboardInterrupt:
            # The weights are whole: an update changes them by one NumPy operation, its last.
            self.interrupted = True

    def test(self, episodes: int, max_episode_steps: int) -> None:
        self.stop_training = False
        self.environment.nb_max_episode_steps = max_episode_steps
        play(
            self.environment,
            self.q_values,
            self.window_length,
            episodes,
            stop=lambda: self.stop_training,
        )

    def exported_weights(self) -> WeightsFile:
        return reference_weights(self._preset, self._observation_shape, self.agent.network)

    def set_weights(self, weights: WeightsFile) -> None:
        set_reference_weights(self._preset, self._observation_shape, self.agent.network, weights)

    @abc.abstractmethod
    def _train(self, env_steps: int) -> None:
        """Train until `env_steps` env steps in all were done, or `stop_training`."""


class ReferenceLearner(NumpyLearner):
    """reference.agent.Agent in the project's environment."""

    agent: Agent

    def set_weights(self, weights: WeightsFile) -> None:
        super().set_weights(weights)
        self.agent.copy_to_target()

    def state(self) -> TrainingState:
        agent = self.agent
        arrays = {
            "online": agent.online_network.parameters.copy(),
            "target": agent.target_network.parameters.copy(),
            **{f"optimizer/{name}": slot.copy() for name, slot in agent.optimizer.slots.items()},
        }
        if agent.memory.priorities:
            arrays |= agent.memory.priorities.state_dict()
        scalars = {
            "env_step": agent.env_step,
            "learn_call": agent.learn_call,
            "episode": agent.episode,
            "learn_step": agent.optimizer.learn_step,
            "memory_rng": agent.memory.rng.bit_generator.state,
            "agent_rng": agent.rng.bit_generator.state,
        }
        return TrainingState(arrays, scalars)

    def restore(self, state: TrainingState) -> None:
        agent, scalars = self.agent, state.scalars
        arrays, prefix = state.arrays, "optimizer/"
        agent.online_network.parameters[...] = arrays["online"]
        agent.target_network.parameters[...] = arrays["target"]
        agent.optimizer.slots = {
            k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)
        }
        if agent.memory.priorities:
            agent.memory.priorities.load_state_dict(arrays)
        agent.env_step, agent.episode = int(scalars["env_step"]), int(scalars["episode"])
        agent.learn_call = int(scalars["learn_call"])
        self.episodes = agent.episode
        agent.optimizer.learn_step = int(scalars["learn_step"])
        agent.memory.rng.bit_generator.state = scalars["memory_rng"]
        agent.rng.bit_generator.state = scalars["agent_rng"]

    def _train(self, env_steps: int) -> None:
        seeds = self.environment.seeds
        assert seeds is not None
        policy: Any = self.agent.policy  # Each kind has an epsilon.
        events = loop.train(_FiveValues(self.environment), self.agent, seeds)
        with contextlib.closing(events):
            for event in events:
                if isinstance(event, loop.StepEvent):
                    loss = None if event.learned is None else event.learned.loss
                    if loss is not None and not math.isfinite(loss):
                        raise divergence_error(f"the loss became {loss}", self.env_steps)
                    self.send_step(event.env_step, loss)
                    if event.terminated or event.truncated:
                        continue  # The event of its episode's end comes next.
                else:
                    epsilon = float(policy.epsilon(self.agent.policy_count))  # the newest step's
                    self.send_episode(event.env_step, epsilon)
                if self.stop_training or event.env_step >= env_steps:
                    break


class _FiveValues:
    """The project's environment, checked and scaled, with Gymnasium's five values a step."""

    def __init__(self, environment: KerasRLEnvironment) -> None:
        self._environment = environment

    def reset(self, seed: int) -> tuple[np.ndarray, dict[str, Any]]:
        environment = self._environment
        observation = environment.reset()
        assert seed == environment.episode_seed
        return observation, {"action_mask": environment.legal_actions}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        environment = self._environment
        observation, reward, _, _ = environment.step(action)
        info = {"action_mask": environment.legal_actions}
        return observation, reward, environment.terminated, environment.truncated, info


class _Entries:
    """The reference replay memory as a row of entries."""

    def __init__(self, memory: ReplayMemory) -> None:
        self._memory = memory
        self.capacity = memory.capacity
        columns = {name: getattr(memory, name) for name in _COLUMNS}
        self._columns = {name: c for name, c in columns.items() if c is not None}

    @property
    def appended(self) -> int:
        return self._memory.appended

    def entries(self, first: int) -> dict[str, np.ndarray]:
        at = np.arange(first, self.appended) % self.capacity  # [N]
        return {name: column[at] for name, column in self._columns.items()}

    def refill(self, appended: int, entries: dict[str, np.ndarray]) -> None:
        memory = self._memory
        count = len(next(iter(entries.values())))
        at = np.arange(appended - count, appended) % self.capacity  # [N]
        for name, column in self._columns.items():
            if entries[name].shape[1:] != column.shape[1:] or entries[name].dtype != column.dtype:
                raise ValueError(f"replay memory: {name} is of another shape or dtype")
            column[at] = entries[name]
        memory.appended = appended
        memory.episode_length = 0
