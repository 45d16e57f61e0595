"""Small agents for tests: built as a keras-rl script builds its own."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

from kerasrl_runner.keras_rl import Callback, SequentialMemory, keras
from kerasrl_runner.keras_rl import VendorDQNAgent as DQNAgent

NEVER = 10**9  # as a train_interval or a warm-up: nothing is ever learned


class IdleAgent(DQNAgent):
    """Never asks its network, so that tests of counting can take many thousand steps."""

    def compute_q_values(self, state: Any) -> np.ndarray:
        return np.zeros(self.nb_actions)


class AfterEachStep(Callback):
    """Calls `act(agent)` after each step, or after one of them, counted from 0."""

    def __init__(self, act: Any, only: int | None = None) -> None:
        super().__init__()
        self._act, self._only, self._seen = act, only, 0

    def on_step_end(self, step: int, logs: Any = None) -> None:
        if self._only in (None, self._seen):
            self._act(self.model)
        self._seen += 1


def constant(**arguments: Any) -> gymnasium.Env:
    """One observation, one reward, no end of its own."""
    return gymnasium.make("gyms:Constant-v0", **arguments)


def q_network(
    observation: tuple[int, ...] = (1,), actions: int = 2, window: int = 1, hidden: Any = ()
) -> Any:
    """Flatten, the hidden layers and a linear head."""
    return keras.Sequential(
        [
            keras.layers.Flatten(input_shape=(window, *observation)),
            *hidden,
            keras.layers.Dense(actions),
        ]
    )


def make_agent(
    model: Any = None,
    *,
    observation: tuple[int, ...] = (1,),
    units: int = 0,
    agent_class: Any = DQNAgent,
    optimizer: Any = None,
    limit: int = 1_000,
    window: int = 1,
    seed: int = 0,
    **arguments: Any,
) -> Any:
    """A compiled agent of two actions that learns from the sixth entry on, four at a time.

    Without a `model` it has one hidden layer of `units`, if any, of weights drawn from the seed.
    """
    keras.utils.set_random_seed(seed)
    if model is None:
        hidden = [keras.layers.Dense(units, activation="relu")] if units else []
        model = q_network(observation, window=window, hidden=hidden)
    settings = {
        "nb_actions": int(model.output_shape[-1]),
        "memory": SequentialMemory(limit=limit, window_length=window),
        "nb_steps_warmup": 6,
        "batch_size": 4,
        "target_model_update": 1e-2,
        **arguments,
    }
    agent = agent_class(model, **settings)
    agent.compile(optimizer or keras.optimizers.Adam(learning_rate=1e-3))
    return agent


def weights_of(agent: Any) -> list[np.ndarray]:
    """The online network's weights."""
    return [value for layer in agent.exported_weights().layers for _, value in layer.weights]


def equal_weights(left: Any, right: Any) -> bool:
    """Whether two lists of arrays are equal bit for bit."""
    return len(left) == len(right) and all(map(np.array_equal, left, right))


def learn_steps(agent: Any) -> list[int]:
    """A list that fills with `agent.step` at every learn step."""
    taken: list[int] = []
    model = agent.trainable_model

    def train_on_batch(*arguments: Any, **keywords: Any) -> Any:
        taken.append(agent.step)
        return type(model).train_on_batch(model, *arguments, **keywords)

    model.train_on_batch = train_on_batch
    return taken


def stored_transitions(memory: Any) -> list[tuple[Any, ...]]:
    """Every transition that the memory can sample, windows of 1, oldest first, as in Trail."""
    found = []
    for index in range(memory.nb_entries - 1):
        try:
            batch = memory.sample_batch(1, [index])
        except ValueError:  # a closing entry starts no transition
            continue
        found.append(
            (
                tuple(batch.state[0, -1]),
                int(batch.action[0]),
                float(batch.reward[0]),
                tuple(batch.next_state[0, -1]),
                bool(batch.terminated[0]),
            )
        )
    return found
