"""Small parts that the tests of the reference agent share."""

from typing import Any

import numpy as np

from kerasrl_runner.reference.agent import Agent, EpsilonGreedy
from kerasrl_runner.reference.network import Dense, Network
from kerasrl_runner.reference.optimizers import SGD, Adam
from kerasrl_runner.reference.replay import Batch, ReplayMemory
from kerasrl_runner.reference.schedule import constant


def make_network(seed: int = 0, **changes: Any) -> Network:
    arguments: dict[str, Any] = {
        "input_size": 4,
        "hidden": [Dense(5, "tanh"), Dense(6, "relu")],
        "action_count": 3,
        "dtype": "float64",
    }
    return Network(**{**arguments, **changes}, rng=np.random.default_rng(seed))


def make_agent(network: Network | None = None, seed: int = 0, **changes: Any) -> Agent:
    network = network or make_network()
    rng = np.random.default_rng(seed)
    arguments: dict[str, Any] = {
        "network": network,
        "optimizer": SGD(0.1) if network.dtype == np.float64 else Adam(1e-3),
        "memory": ReplayMemory(200, (network.input_size,), rng),
        "policy": EpsilonGreedy(constant(0.1)),
        "rng": rng,
        "batch_size": 8,
        "warmup": 20,
        "gamma": 0.9,
        "target_rate": 0.01 if "target_interval" not in changes else None,
    }
    return Agent(**{**arguments, **changes})


def make_batch(size: int = 8, observation: int = 4, actions: int = 3, seed: int = 0) -> Batch:
    rng = np.random.default_rng(seed)
    return Batch(
        rng.normal(size=(size, 1, observation)),
        rng.integers(actions, size=size),
        rng.normal(size=size),
        rng.normal(size=(size, 1, observation)),
        np.arange(size) % 3 == 0,
    )


class TwoStates:
    """Two states, one-hot: action s in state s pays 1, the other 0; cut after 10 steps."""

    def __init__(self, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.seeds: list[int] = []

    def _observation(self) -> np.ndarray:
        self.state = int(self.rng.integers(2))
        return np.eye(2, dtype=np.float32)[self.state]

    def reset(self, *, seed: int) -> tuple[np.ndarray, dict[str, Any]]:
        self.seeds.append(seed)
        self.steps = 0
        return self._observation(), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        reward = float(action == self.state)
        self.steps += 1
        return self._observation(), reward, False, self.steps == 10, {}
