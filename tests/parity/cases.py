"""What all engines are given in the parity tests: the cases, the transitions, the Keras agents."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerasrl_runner.parts.memory import SequentialMemory
from kerasrl_runner.parts.optimizers import build_optimizer
from kerasrl_runner.reference.priorities import Priorities
from kerasrl_runner.vendor import GreedyQPolicy, keras

UPDATES = 200
BATCH_SIZE, ACTIONS, FEATURES = 32, 3, 4
STORED_FIRST, CAPACITY = 300, 400  # the ring wraps on the way
GAMMA, TARGET_RATE, TARGET_INTERVAL, DELTA_CLIP = 0.95, 0.01, 7, 0.7
# With it no two Q values tie to float32's rounding, where Double DQN may choose either action: the
# closest two of any update differ by 2e-6. Other seeds have one tie or another.
STEPS_SEED = 8

# Name in a test's id -> Keras' optimizer and its arguments, as a preset has them. Keras computes a
# schedule in the type of its numbers, as Python's in float32; NumPy's are kept.
POLYNOMIAL = {
    "initial_learning_rate": np.float64(3e-3),
    "end_learning_rate": np.float64(1e-5),
    "decay_steps": 150,
    "power": 2.0,
}
EXPONENTIAL = {
    "initial_learning_rate": np.float64(2e-2),
    "decay_rate": np.float64(0.5),
    "decay_steps": 40,
}
OPTIMIZERS: dict[str, tuple[str, dict[str, Any]]] = {
    "Adam": ("Adam", {"learning_rate": 1e-3}),
    "SGD": ("SGD", {"learning_rate": 1e-2, "momentum": 0.9}),
    "RMSprop": ("RMSprop", {"learning_rate": 1e-3}),
    "RMSprop-centered-momentum": (
        "RMSprop",
        {"learning_rate": 1e-3, "rho": 0.95, "centered": True, "momentum": 0.9},
    ),
    "Adam-polynomial": ("Adam", {"learning_rate": {"PolynomialDecay": POLYNOMIAL}}),
    "Adam-clipnorm": (
        "Adam",
        {"learning_rate": 1e-3, "beta_1": 0.8, "epsilon": 1e-4, "clipnorm": 0.1},
    ),
    "Adam-amsgrad-clipvalue": (
        "Adam",
        {"learning_rate": 1e-3, "amsgrad": True, "beta_2": 0.99, "clipvalue": 0.05},
    ),
    "SGD-exponential-nesterov-global": (
        "SGD",
        {
            "learning_rate": {"ExponentialDecay": EXPONENTIAL},
            "momentum": 0.9,
            "nesterov": True,
            "global_clipnorm": 0.2,
        },
    ),
}


@dataclass(frozen=True)
class Case:
    """One setting of the grid."""

    huber: bool
    soft: bool
    double: bool
    dueling: str  # "" is none
    optimizer: str  # a key of OPTIMIZERS
    window_length: int = 1
    n_steps: int = 1
    prioritized: bool = False
    masked: bool = False

    @property
    def name(self) -> str:
        parts = ["huber" if self.huber else "mse", "soft" if self.soft else "hard"]
        parts += ["double"] * self.double + [self.dueling] * bool(self.dueling)
        parts += [f"window{self.window_length}"] * (self.window_length > 1)
        parts += [f"n{self.n_steps}"] * (self.n_steps > 1) + ["prioritized"] * self.prioritized
        parts += ["masked"] * self.masked
        return "-".join([*parts, self.optimizer])


def grid(*optimizers: str) -> list[Case]:
    """Every combination of the settings with these optimizers."""
    dueling = ("", "avg", "max", "naive")
    flags = (False, True)
    return [
        Case(*settings)
        for settings in itertools.product(flags, (True, False), flags, dueling, optimizers)
    ]


def pairs_of_settings(cases: Iterable[Case]) -> set[tuple[tuple[str, object], ...]]:
    """All pairs of settings that occur together in a case."""
    return {
        pair
        for case in cases
        for pair in itertools.combinations(dataclasses.asdict(case).items(), 2)
    }


GRID = grid("Adam", "SGD")


def priorities_of(case: Case) -> Priorities | None:
    """Those of the case's memory, if it has some: by half of the updates beta is 1."""
    return Priorities(CAPACITY, case.window_length, 0.6, 0.4, 400) if case.prioritized else None


def agent_of(
    case: Case,
    agent_class: type,
    gamma: float = GAMMA,
    batch_size: int = BATCH_SIZE,
    **arguments: object,
):
    """An agent with a network, a memory and an optimizer that are equal for equal cases."""
    keras.utils.set_random_seed(7)
    hidden = [keras.layers.Dense(16, activation="relu") for _ in range(2)]
    first = keras.layers.Flatten(input_shape=(case.window_length, FEATURES))
    agent = agent_class(
        keras.Sequential([first, *hidden, keras.layers.Dense(ACTIONS)]),
        GreedyQPolicy(),
        nb_actions=ACTIONS,
        memory=SequentialMemory(CAPACITY, case.window_length, generator=np.random.default_rng(3)),
        gamma=gamma,
        batch_size=batch_size,
        nb_steps_warmup=STORED_FIRST,
        target_model_update=TARGET_RATE if case.soft else TARGET_INTERVAL,
        delta_clip=DELTA_CLIP if case.huber else math.inf,
        enable_double_dqn=case.double,
        enable_dueling_network=bool(case.dueling),
        dueling_type=case.dueling or "avg",
        **({"n_steps": case.n_steps} if case.n_steps > 1 else {}),
        **arguments,
    )
    agent.compile(build_optimizer(*OPTIMIZERS[case.optimizer]))
    agent.memory.priorities = priorities_of(case)
    agent.training = True
    if case.masked:
        agent.memory.reserve(np.zeros(FEATURES, np.float32), masked_actions=ACTIONS)
    return agent


@dataclass(frozen=True)
class Step:
    """What happened in one env step; `last` is the observation that an episode ended with."""

    observation: np.ndarray
    action: int
    reward: float
    terminated: bool
    last: np.ndarray | None
    legal: np.ndarray  # [A] bool, of `observation`
    last_legal: np.ndarray  # [A] bool, of `last`


def steps() -> Iterator[Step]:
    """Steps without end of short episodes, one half of them terminated, one half truncated."""
    generator, of_masks = np.random.default_rng(STEPS_SEED), np.random.default_rng(STEPS_SEED)
    while True:
        masks = of_masks.random((2, ACTIONS)) < 0.5  # [2, A]
        masks[[0, 1], of_masks.integers(ACTIONS, size=2)] = True
        observation, last = generator.normal(size=(2, FEATURES)).astype(np.float32)
        fate = generator.random()
        yield Step(
            observation,
            int(generator.integers(ACTIONS)),
            float(generator.normal()),
            bool(fate < 0.07),
            last if fate < 0.14 else None,
            *masks,
        )


def drive(agent, updates: int = UPDATES) -> Iterator[list[float]]:
    """Feed a Keras agent the steps by hand; yield the metrics of each update."""
    done = 0
    for step in steps():
        agent.recent_observation, agent.recent_action = step.observation, step.action
        agent.recent_legal = (step.legal,)
        metrics = agent.backward(step.reward, step.terminated)
        agent.step += 1
        if not math.isnan(metrics[0]):
            done += 1
            yield metrics
        if step.last is not None:
            agent.memory.end_episode(step.last, step.last_legal)
        if done == updates:
            return


def probe() -> np.ndarray:
    """States [64, 1, 4] on which Q values are compared."""
    return np.random.default_rng(11).normal(size=(64, 1, FEATURES)).astype(np.float32)
