"""The engines behind one face for the parity tests: learn, look at the weights, put them back."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from cases import (
    ACTIONS,
    BATCH_SIZE,
    CAPACITY,
    DELTA_CLIP,
    FEATURES,
    GAMMA,
    OPTIMIZERS,
    STORED_FIRST,
    TARGET_INTERVAL,
    TARGET_RATE,
    UPDATES,
    Case,
    agent_of,
    drive,
    priorities_of,
    steps,
)

from kerasrl_runner.agents.compiled import CompiledDQNAgent
from kerasrl_runner.reference import optimizers
from kerasrl_runner.reference.agent import GREEDY, Agent
from kerasrl_runner.reference.network import Dense, Network
from kerasrl_runner.reference.replay import ReplayMemory
from kerasrl_runner.reference.schedule import exponential_decay, polynomial_decay
from kerasrl_runner.vendor import keras

# Keras' slots in the order in which its legacy optimizers hold them.
SLOTS = {"Adam": ("m", "v"), "SGD": ("m",)}


class CompiledEngine:
    """CompiledDQNAgent; vectors [P] lie in Keras' order of weights."""

    def __init__(self, case: Case, dtype: str = "float32", **changed: Any) -> None:
        with floatx(dtype):
            self.agent = agent_of(case, CompiledDQNAgent, dtype=dtype, **changed)
        self.dtype = dtype

    def losses(self, updates: int = UPDATES) -> Iterator[float]:
        """Learn; the loss of each update."""
        with floatx(self.dtype):
            for metrics in drive(self.agent, updates):
                yield metrics[0]

    def online(self) -> np.ndarray:
        return self.agent._update.variables["online"].numpy()  # [P]

    def target(self) -> np.ndarray:
        return self.agent._update.variables["target"].numpy()  # [P]

    def q_values(self, states: np.ndarray) -> np.ndarray:
        return self.agent.compute_batch_q_values(list(states))  # [N, A]

    def put(self, online: np.ndarray, target: np.ndarray, slots: np.ndarray, step: int) -> None:
        """Take weights [P], optimizer slots [k, P] and the number of learn steps so far."""
        state = {**self.agent.variables(), "online": online, "target": target}
        for name in state:
            if name.startswith("optimizer/_variables/"):
                slot = int(name.rpartition("/")[2])
                state[name] = np.int64(step) if slot == 0 else slots[slot - 1]
        self.agent.set_variables(state)


class ReferenceEngine:
    """The reference agent with the settings of a case.

    With `weights` (Keras' list) it starts from those. `agent_class` is for mutants.
    """

    def __init__(
        self,
        case: Case,
        weights: list[np.ndarray] | None = None,
        *,
        dtype: str = "float32",
        agent_class: type[Agent] = Agent,
        **changed: Any,
    ) -> None:
        network = Network(
            case.window_length * FEATURES,
            [Dense(16, "relu"), Dense(16, "relu")],
            ACTIONS,
            np.random.default_rng(0),
            dueling=case.dueling or None,
            dtype=dtype,
        )
        if weights is not None:
            network.set_weights(weights)
        self.slots = SLOTS.get(case.optimizer, ())
        rng = np.random.default_rng(3)
        settings: dict[str, Any] = {
            "gamma": GAMMA,
            "batch_size": BATCH_SIZE,
            "warmup": STORED_FIRST,
            "target_rate": TARGET_RATE if case.soft else None,
            "target_interval": None if case.soft else TARGET_INTERVAL,
            "double": case.double,
            "n_steps": case.n_steps,
            "huber_clip": DELTA_CLIP if case.huber else math.inf,
        }
        self.agent = agent_class(
            network,
            reference_optimizer(case.optimizer),
            ReplayMemory(
                *(CAPACITY, (FEATURES,), rng, case.window_length),
                priorities=priorities_of(case),
                action_count=ACTIONS if case.masked else None,
            ),
            GREEDY,
            rng,
            **{**settings, **changed},
        )

    def losses(self, updates: int = UPDATES) -> Iterator[float]:
        """Learn; the loss of each update."""
        done = 0
        for step in steps():
            result = self.agent.observe(
                step.observation, step.action, step.reward, step.terminated, step.legal
            )
            if result is not None:
                done += 1
                yield result.loss
            if step.last is not None:
                self.agent.end_episode(step.last, step.last_legal)
            if done == updates:
                return

    def online(self) -> np.ndarray:
        return self.agent.online_network.parameters.copy()  # [P]

    def target(self) -> np.ndarray:
        return self.agent.target_network.parameters.copy()  # [P]

    def q_values(self, states: np.ndarray) -> np.ndarray:
        return self.agent.online_network.q_values(states.reshape(len(states), -1))  # [N, A]

    def put(self, online: np.ndarray, target: np.ndarray, slots: np.ndarray, step: int) -> None:
        """Take weights [P], optimizer slots [k, P] and the number of learn steps so far."""
        self.agent.online_network.parameters[...] = online
        self.agent.target_network.parameters[...] = target
        self.agent.optimizer.learn_step = step
        for name, slot in zip(self.slots, slots, strict=True):
            self.agent.optimizer.slots[name][...] = slot


def reference_optimizer(name: str) -> optimizers.Optimizer:
    """The reference's twin of the Keras optimizer of that name in OPTIMIZERS."""
    kind, arguments = OPTIMIZERS[name]
    rate = arguments["learning_rate"]
    if isinstance(rate, dict):
        ((schedule, values),) = rate.items()
        initial, steps = float(values["initial_learning_rate"]), values["decay_steps"]
        if schedule == "PolynomialDecay":
            end, power = float(values["end_learning_rate"]), values["power"]
            rate = polynomial_decay(initial, steps, end, power)
        else:
            rate = exponential_decay(initial, steps, float(values["decay_rate"]))
    return getattr(optimizers, kind)(**{**arguments, "learning_rate": rate})


@contextlib.contextmanager
def floatx(dtype: str) -> Iterator[None]:
    """Keras makes its weights and optimizers in this dtype."""
    before = keras.backend.floatx()
    keras.backend.set_floatx(dtype)
    try:
        yield
    finally:
        keras.backend.set_floatx(before)
