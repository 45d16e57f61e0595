"""The reference agent gives the compiled engine's weights, both in float64, and Keras' Q values."""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from cases import ACTIONS, OPTIMIZERS, Case, grid, pairs_of_settings, steps
from engines import CompiledEngine, ReferenceEngine

from kerasrl_runner.engines import build_learner
from kerasrl_runner.parts.memory import SequentialMemory
from kerasrl_runner.parts.model import build_q_network
from kerasrl_runner.preset import load_preset
from kerasrl_runner.reference.agent import Agent
from kerasrl_runner.reference.priorities import Priorities
from kerasrl_runner.reference.replay import ReplayMemory
from kerasrl_runner.weights.file import read_weights

SHIPPED = Path(__file__).parents[2] / "weights" / "cartpole.h5"
TOLERANCE = 1e-10  # of the largest |weight|, after 200 updates in a row; seen: 1e-15
MISTAKE = 1e-3  # what a wrong agent differs by at least
Q_TOLERANCE = 1e-6  # of the largest |Q|, float32

GRID = grid("Adam", "SGD", "RMSprop")
# Each pair of settings occurs; the whole grid is among the slow tests.
PAIRS = [9, 13, 17, 18, 27, 44, 52, 74, 79, 83, 84, 94]
OTHERS = [
    Case(False, True, False, "", "RMSprop-centered-momentum"),
    Case(True, False, True, "", "Adam-polynomial"),
    Case(False, True, False, "avg", "Adam-clipnorm"),
    Case(True, True, False, "", "Adam-amsgrad-clipvalue"),
    Case(False, False, False, "", "SGD-exponential-nesterov-global"),
    Case(False, True, True, "max", "Adam", window_length=3),
    Case(False, False, False, "", "Adam", window_length=2, n_steps=5),
    Case(True, False, False, "", "SGD", window_length=3, prioritized=True),
    Case(False, True, True, "avg", "Adam", n_steps=3, prioritized=True),
    Case(False, True, False, "", "Adam", window_length=2, masked=True),
    Case(True, False, True, "", "SGD", n_steps=3, prioritized=True, masked=True),
]
RAINBOW, MASKED, MASKED_RAINBOW = OTHERS[-3:]
SOFT, HARD = Case(False, True, True, "max", "Adam"), Case(True, False, True, "", "Adam")


class Outcome(NamedTuple):
    """What 200 updates left behind."""

    weights_before: list[np.ndarray]
    losses: list[float]
    online: np.ndarray  # [P]
    target: np.ndarray  # [P]
    memory_generator: dict[str, Any]


@functools.cache
def compiled(case: Case, **changed: Any) -> Outcome:
    engine = CompiledEngine(case, dtype="float64", **changed)
    before = engine.agent.model.get_weights()
    losses = list(engine.losses())
    state = engine.agent.memory.generator.bit_generator.state
    return Outcome(before, losses, engine.online(), engine.target(), state)


def reference(case: Case, **changed: Any) -> Outcome:
    before = compiled(case).weights_before
    engine = ReferenceEngine(case, before, dtype="float64", **changed)
    losses = list(engine.losses())
    state = engine.agent.memory.rng.bit_generator.state
    return Outcome(before, losses, engine.online(), engine.target(), state)


def difference(ours: Outcome, theirs: Outcome) -> float:
    """The largest of the weights, relative to the largest weight."""
    return max(
        np.abs(mine - other).max() / np.abs(other).max()
        for mine, other in ((ours.online, theirs.online), (ours.target, theirs.target))
    )


def assert_same(ours: Outcome, theirs: Outcome) -> None:
    assert difference(ours, theirs) <= TOLERANCE
    np.testing.assert_allclose(ours.losses, theirs.losses, rtol=TOLERANCE, atol=TOLERANCE)
    assert ours.memory_generator == theirs.memory_generator


@pytest.mark.parametrize("case", [*(GRID[i] for i in PAIRS), *OTHERS], ids=lambda case: case.name)
def test_equal_weights_after_200_updates_in_a_row(case):
    assert_same(reference(case), compiled(case))


def test_several_updates_of_one_call_draw_by_the_priorities_before_them():
    changed = {"gradient_steps": 2, "train_interval": 2}
    ours, theirs = reference(RAINBOW, **changed), compiled(RAINBOW, **changed)
    assert difference(ours, theirs) <= TOLERANCE
    assert ours.memory_generator == theirs.memory_generator
    assert difference(ours, compiled(RAINBOW)) > MISTAKE


@pytest.mark.slow
@pytest.mark.parametrize(
    "case", [c for i, c in enumerate(GRID) if i not in PAIRS], ids=lambda case: case.name
)
def test_equal_weights_over_the_rest_of_the_grid(case):
    assert_same(reference(case), compiled(case))


class WithoutTarget(Agent):
    """Its target network is the online one, the same object."""

    def __post_init__(self):
        super().__post_init__()
        self.target_network = self.online_network


ONE, EPISODE = {"batch_size": 1}, {"train_interval": "episode", "batch_size": 4}
NAIVE = {"agent_class": WithoutTarget, "target_rate": None, "target_interval": 1}
# What is changed in the reference and in compiled.
RULES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "batches of one": (ONE, ONE),
    "once an episode": (EPISODE, EPISODE),
    "no target network": (
        {"target_rate": 1.0, "target_interval": None},
        {"target_network": False},
    ),
    "naively without one": (NAIVE, {"target_network": False}),
}


@pytest.mark.parametrize("case", [SOFT, HARD], ids=lambda case: case.name)
@pytest.mark.parametrize("rule", RULES)
def test_equal_weights_by_other_rules_of_learning(rule, case):
    ours, theirs = RULES[rule]
    assert_same(reference(case, **ours), compiled(case, **theirs))
    assert difference(reference(case, **ours), compiled(case)) > MISTAKE


def test_all_pairs_of_settings_and_all_optimizers_occur_in_the_fast_cases():
    fast = [GRID[index] for index in PAIRS]
    assert pairs_of_settings(fast) == pairs_of_settings(GRID)
    assert {case.optimizer for case in (*fast, *OTHERS)} == set(OPTIMIZERS)


class IgnoresTerminals(Agent):
    def td_target(self, reward, next_state, terminated, *others):
        return super().td_target(reward, next_state, np.zeros_like(terminated), *others)


class IgnoresWeights(Agent):
    def learn(self, batch=None):
        return super().learn((batch or self._sample())._replace(weight=1.0))


class IgnoresMasks(Agent):
    def learn(self, batch=None):
        return super().learn((batch or self._sample())._replace(next_legal=None))


class ForgetsTheTarget(Agent):
    def copy_to_target(self):
        pass


@pytest.mark.parametrize(
    ("case", "changed"),
    [
        (SOFT, {"gamma": 0.95 * 0.99}),
        (SOFT, {"target_rate": 1.0}),
        (SOFT, {"target_rate": 0.011}),
        (SOFT, {"agent_class": IgnoresTerminals}),
        (SOFT, {"double": False}),
        (SOFT, {"huber_clip": 0.7}),
        (HARD, {"gamma": 0.95 * 0.99}),
        (HARD, {"target_interval": 1}),
        (HARD, {"agent_class": IgnoresTerminals}),
        (HARD, {"agent_class": ForgetsTheTarget}),
        (RAINBOW, {"n_steps": 2}),
        (RAINBOW, {"agent_class": IgnoresWeights}),
        (MASKED, {"agent_class": IgnoresMasks}),
        (MASKED_RAINBOW, {"agent_class": IgnoresMasks}),
    ],
    ids=lambda value: value.name if isinstance(value, Case) else str(*value),
)
def test_a_wrong_agent_is_caught(case, changed):
    assert difference(reference(case, **changed), compiled(case)) > MISTAKE


@pytest.mark.parametrize("window_length", [1, 3])
@pytest.mark.parametrize("prioritized", [False, True])
@pytest.mark.parametrize("n_steps", [1, 3])
def test_equal_seeds_draw_equal_transitions(window_length, prioritized, n_steps):
    capacity, random = 60, np.random.default_rng(1)
    theirs = SequentialMemory(capacity, window_length, generator=np.random.default_rng(9))
    theirs.reserve(np.zeros(4, np.float32), masked_actions=ACTIONS)
    ours = ReplayMemory(
        capacity, (4,), np.random.default_rng(9), window_length, action_count=ACTIONS
    )
    if prioritized:
        for memory in (theirs, ours):
            memory.priorities = Priorities(capacity, window_length, 0.6, 0.4, 90)
    ahead = {"n_steps": n_steps, "gamma": 0.9}
    for number, step in zip(range(3 * capacity), steps(), strict=False):
        entry = step.observation, step.action, step.reward, step.terminated
        theirs.append(*entry, legal=step.legal)
        ours.append(*entry, step.legal)
        if step.last is not None:
            theirs.end_episode(step.last, step.last_legal)
            ours.end_episode(step.last, step.last_legal)
        if number > window_length:
            expected, drawn = theirs.sample_batch(16, **ahead), ours.sample(16, **ahead)
            for name in expected._fields:
                np.testing.assert_allclose(
                    getattr(drawn, name), getattr(expected, name), rtol=1e-15 * (name == "reward")
                )
            if prioritized:
                weights = theirs.priorities.weights(expected.place)
                np.testing.assert_array_equal(drawn.weight, weights)
                td_error = random.normal(size=16)
                theirs.priorities.update(expected.place, td_error)
                ours.priorities.update(drawn.place, td_error)


def test_shipped_weights_have_the_q_values_that_keras_gives_them():
    preset = load_preset("cartpole")
    learner = build_learner(preset, 0, "reference")
    learner.set_weights(read_weights(SHIPPED))
    layers = [(layer.name, layer.arguments) for layer in preset.model.layers]
    model = build_q_network(layers, (1, 4), 2)
    model.load_weights(str(SHIPPED))
    states = np.random.default_rng(2).uniform(-1, 1, (256, 1, 4)).astype(np.float32)
    theirs = np.asarray(model(states))  # [B, A]
    ours = np.stack([learner.q_values(list(state)) for state in states])  # [B, A]
    assert np.abs(ours - theirs).max() <= Q_TOLERANCE * np.abs(theirs).max()
    learner.environment.close()
