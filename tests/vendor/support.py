"""The vendor's own code at work, so that a test can show the defect it guards against."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from agents.support import q_network

from kerasrl_runner.vendor import keras, rl_core, rl_dqn, rl_memory, tf


@contextlib.contextmanager
def graph_mode() -> Iterator[None]:
    """A graph and session for the vendor's training path."""
    with tf.Graph().as_default() as graph, tf.compat.v1.Session(graph=graph).as_default():
        keras.Sequential()
        yield
    keras.Sequential()


def vendor_agent(model: Any = None, *, optimizer: Any = None, **arguments: Any) -> Any:
    """rl.agents.DQNAgent as it comes; call it inside `graph_mode`."""
    settings = {
        "nb_actions": 2,
        "memory": rl_memory.SequentialMemory(limit=1_000, window_length=1),
        "nb_steps_warmup": 6,
        "batch_size": 4,
        "target_model_update": 100,
        **arguments,
    }
    agent = rl_dqn.DQNAgent(model or q_network(), **settings)
    agent.compile(optimizer or keras.optimizers.legacy.Adam(learning_rate=1e-3), metrics=[])
    return agent


class VendorLoop(rl_core.Agent):
    """An agent that does nothing, for what the vendor's fit and test do around it."""

    compiled = True

    metrics_names = ()

    def forward(self, observation: Any) -> int:
        return 0

    def backward(self, reward: float, terminal: bool) -> list[float]:
        return []


class OldGym:
    """What keras-rl takes for an environment: four values a step."""

    def __init__(self, length: int | None = None, info: Any = None, reward: Any = 1.0) -> None:
        self.length, self.info, self.reward = length, info or {}, reward
        self.steps = 0

    def reset(self) -> np.ndarray:
        self.steps = 0
        return np.ones(1, np.float32)

    def step(self, action: int) -> Any:
        self.steps += 1
        return np.ones(1, np.float32), self.reward, self.steps == self.length, self.info
