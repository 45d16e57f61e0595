"""What both engines are given in the parity tests: the cases, the agents, the transitions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from kerasrl_runner.keras_rl import GreedyQPolicy, keras
from kerasrl_runner.parts.memory import SequentialMemory

UPDATES = 200
BATCH_SIZE, ACTIONS, FEATURES = 32, 3, 4
STORED_FIRST = 300


@dataclass(frozen=True)
class Case:
    """One setting of the grid."""

    huber: bool
    soft: bool
    double: bool
    dueling: str  # "" is none
    optimizer: str

    @property
    def name(self) -> str:
        parts = ["huber" if self.huber else "mse", "soft" if self.soft else "hard"]
        parts += ["double"] * self.double + [self.dueling] * bool(self.dueling)
        return "-".join([*parts, self.optimizer])


GRID = [
    Case(*settings)
    for settings in itertools.product(
        (False, True), (True, False), (False, True), ("", "avg", "max", "naive"), ("Adam", "SGD")
    )
]


def agent_of(case: Case, agent_class: type, gamma: float = 0.95, **arguments: object):
    """An agent with a network, a memory and an optimizer that are equal for equal cases."""
    keras.utils.set_random_seed(7)
    hidden = [keras.layers.Dense(16, activation="relu") for _ in range(2)]
    model = keras.Sequential(
        [keras.layers.Flatten(input_shape=(1, FEATURES)), *hidden, keras.layers.Dense(ACTIONS)]
    )
    agent = agent_class(
        model,
        GreedyQPolicy(),
        nb_actions=ACTIONS,
        memory=SequentialMemory(2_000, 1, generator=np.random.default_rng(3)),
        gamma=gamma,
        batch_size=BATCH_SIZE,
        nb_steps_warmup=STORED_FIRST,
        target_model_update=0.01 if case.soft else 7,
        delta_clip=0.7 if case.huber else math.inf,
        enable_double_dqn=case.double,
        enable_dueling_network=bool(case.dueling),
        dueling_type=case.dueling or "avg",
        **arguments,
    )
    rate = 1e-3 if case.optimizer == "Adam" else 1e-2
    momentum = {"momentum": 0.9} if case.optimizer == "SGD" else {}
    agent.compile(getattr(keras.optimizers, case.optimizer)(learning_rate=rate, **momentum))
    agent.training = True
    return agent


def drive(agent, updates: int = UPDATES) -> Iterator[list[float]]:
    """Feed the agent the same transitions by hand; yield the metrics of each update."""
    generator = np.random.default_rng(5)
    done = 0
    while done < updates:
        agent.recent_observation = generator.normal(size=FEATURES).astype(np.float32)
        agent.recent_action = int(generator.integers(ACTIONS))
        terminal = bool(generator.random() < 0.1)
        metrics = agent.backward(float(generator.normal()), terminal)
        agent.step += 1
        if not math.isnan(metrics[0]):
            done += 1
            yield metrics
        if terminal:  # the vendor's extra call after an episode
            agent.recent_observation = generator.normal(size=FEATURES).astype(np.float32)
            agent.backward(0.0, False)


def probe() -> np.ndarray:
    """States [64, 1, 4] on which Q values are compared."""
    return np.random.default_rng(11).normal(size=(64, 1, FEATURES)).astype(np.float32)
