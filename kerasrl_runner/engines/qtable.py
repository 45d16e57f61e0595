"""Engine `qtable`: tabular Q-learning, for observations that are few enough to be listed.

A baseline: no network, no replay memory, no TensorFlow. The table is saved as the network that
computes it, a Dense without bias on one-hot observations, which any engine plays.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kerasrl_runner.engines.learner import TrainingState
from kerasrl_runner.engines.reference import NumpyLearner
from kerasrl_runner.engines.reference_agent import build_policy
from kerasrl_runner.environments.adapter import KerasRLEnvironment
from kerasrl_runner.environments.observations import build_indexer
from kerasrl_runner.errors import PresetError
from kerasrl_runner.preset.schema import Preset
from kerasrl_runner.reference.agent import Policy, choose_legal
from kerasrl_runner.reference.network import Network
from kerasrl_runner.reference.replay import ReplayMemory

MOST_VALUES = 1 << 27  # half a GiB, the most weights of a network too


@dataclass
class QTable:
    """Q-learning (Watkins 1989) on a table of values [S, A], zeros at first.

    The values are float32, as in the file: what was evaluated is what the file holds.
    """

    network: Network  # without hidden layers or bias: its only weight is the table
    policy: Policy
    rng: np.random.Generator
    memory: ReplayMemory  # stays empty: each transition is learned from once
    gamma: float
    learning_rate: float
    env_step: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        (self.values,) = self.network.weights  # [S, A]
        self.values[...] = 0.0  # [S, A]

    def q_values(self, state: Any) -> np.ndarray:
        """The values [A] of a window of one observation's row."""
        return self.values[state[0]]  # [A]

    def learn(
        self,
        state: int,
        action: int,
        reward: float,
        next_state: int,
        terminated: bool,
        next_legal: Any = None,
    ) -> float:
        """Learn from one env step between two rows; returns the TD error.

        A truncated episode is not terminated: the value of its last state counts. The action
        there is one of `next_legal` (bool [A]; None: any).
        """
        next_values = self.values[next_state]  # [A]
        if next_legal is not None:
            next_values = next_values[next_legal]  # [legal]
        next_value = 0.0 if terminated else next_values.item(next_values.argmax())
        value = self.values.item(state, action)
        # Sutton & Barto 2018, equation 6.8: Q(S, A) += alpha [R + gamma max_a Q(S', a) - Q(S, A)]
        td_error = reward + self.gamma * next_value - value
        self.values[state, action] = value + self.learning_rate * td_error
        self.env_step += 1
        return td_error


def build_learner(preset: Preset, environment: KerasRLEnvironment, seed: int) -> QTableLearner:
    """The preset's learner.

    Raises:
        PresetError: a preset of a network, observations that are not Discrete, or too many.
    """
    if preset.model is not None:
        raise PresetError(
            "model: the engine qtable has no network, and trains presets without [model], such as "
            "cartpole-table. Choose one of these, or another engine."
        )
    build_indexer(environment.observation_space)  # refuses what has no rows
    states, actions = int(environment.observation_space.n), int(environment.action_space.n)
    if states * actions > MOST_VALUES:
        raise PresetError(
            f"env.id: a table of {states:,} observations × {actions} actions is too large; "
            f"expected at most {MOST_VALUES:,} values. Use fewer bins, or a network."
        )
    rng = np.random.default_rng([seed, 2])  # as the reference engine's stream of actions
    network = Network(states, (), actions, np.random.default_rng(0), head_bias=False)
    policy, memory = build_policy(preset.policy, {}), ReplayMemory(3, (), rng)
    learning_rate = preset.agent.learning_rate or 0.1
    agent = QTable(network, policy, rng, memory, preset.agent.gamma, learning_rate)
    return QTableLearner(preset, environment, agent)


class QTableLearner(NumpyLearner):
    """A QTable in the project's environment, which it sees as rows of the table."""

    agent: QTable

    def __init__(self, preset: Preset, environment: KerasRLEnvironment, agent: QTable) -> None:
        super().__init__(preset, environment, agent)
        # From here on: a one-hot vector a step would take longer than all else.
        environment.encode = build_indexer(environment.observation_space)

    def state(self) -> TrainingState:
        rng = self.agent.rng.bit_generator.state
        scalars = {"env_step": self.env_steps, "episodes": self.episodes, "rng": rng}
        return TrainingState({"table": self.agent.values.copy()}, scalars)

    def restore(self, state: TrainingState) -> None:
        agent, scalars = self.agent, state.scalars
        agent.values[...] = state.arrays["table"]  # [S, A]
        agent.env_step, self.episodes = int(scalars["env_step"]), int(scalars["episodes"])
        agent.rng.bit_generator.state = scalars["rng"]

    def _train(self, env_steps: int) -> None:
        agent, environment = self.agent, self.environment
        policy: Any = agent.policy  # Each kind has an epsilon.
        while True:
            state, episode_over = environment.reset(), False
            while not episode_over:
                # Each env step is a learn call.
                count = self.episodes if policy.per == "episode" else agent.env_step
                values, legal = agent.values[state], environment.legal_actions  # [A], [A]
                action = choose_legal(policy, values, legal, count, agent.rng)
                next_state, reward, episode_over, _ = environment.step(action)
                ended, legal = environment.terminated, environment.legal_actions
                td_error = agent.learn(state, action, float(reward), next_state, ended, legal)
                state = next_state
                # The loss that the other engines log: half the square of the error.
                self.send_step(agent.env_step, 0.5 * td_error * td_error)
                if episode_over:
                    self.send_episode(agent.env_step, float(policy.epsilon(count)))
                if self.stop_training or agent.env_step >= env_steps:
                    return
