"""What a script changes between two steps counts, or an error says why not (docs/compiled.md).

One state, always: its Q values are (1, 0), the target network's (2, 5), the reward 1, gamma 0.5. So
the TD error of the greedy action is 1 + 0.5 * 5 - 1 = 2.5, and the loss half its square.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from agents.support import constant

from kerasrl_runner.keras_rl import (
    Callback,
    DQNAgent,
    GreedyQPolicy,
    SequentialMemory,
    VendorDQNAgent,
    keras,
)

K = keras.backend
BOTH = pytest.mark.parametrize("agent_class", [DQNAgent, VendorDQNAgent])
NEVER = 10**9
UNCHANGED, NONE = 3.125, math.nan


class SecondAction(GreedyQPolicy):
    def select_action(self, q_values: np.ndarray) -> int:
        return 1


class Script(Callback):
    """Changes something after the eighth step, and writes down what comes of the next three."""

    def __init__(self, change: Any) -> None:
        super().__init__()
        self.change = change
        self.losses: list[float] = []
        self.actions: list[int] = []
        self.seen = 0

    def on_step_end(self, step: int, logs: Any = None) -> None:
        self.seen += 1
        if self.seen > 8:
            self.losses.append(float(logs["metrics"][0]))
            self.actions.append(int(logs["action"]))
        if self.seen == 3:
            self.model.target_model.set_weights([np.array([[2.0, 5.0]])])
        if self.seen == 8:
            self.change(self.model)


def q_network(q_values: tuple[float, float] = (1.0, 0.0)) -> Any:
    keras.Sequential()
    head = keras.layers.Dense(2, use_bias=False)
    model = keras.Sequential([keras.layers.Flatten(input_shape=(1, 1)), head])
    model.set_weights([np.array([q_values])])
    return model


def make(agent_class: Any, model: Any = None, optimizer: Any = None, **arguments: Any) -> Any:
    settings = {"gamma": 0.5, "batch_size": 3, "nb_steps_warmup": 3, "target_model_update": NEVER}
    agent = agent_class(
        model or q_network(),
        GreedyQPolicy(),
        nb_actions=2,
        memory=SequentialMemory(100, 1),
        **{**settings, **arguments},
    )
    agent.compile(optimizer or keras.optimizers.SGD(0.0))
    return agent


def run(agent: Any, change: Any) -> Script:
    script = Script(change)
    agent.fit(constant(), 11, callbacks=[script], verbose=0, nb_max_episode_steps=9)
    return script


def assigned(**values: Any) -> Any:
    return lambda agent: [setattr(agent, name, value) for name, value in values.items()]


def given(*q_values: float) -> Any:
    return lambda agent: agent.model.set_weights([np.array([q_values])])


# Of each change: the agent's arguments, the change, the next three losses.
CHANGES = {
    "nothing": ({}, assigned(), [UNCHANGED] * 3),
    "gamma": ({}, assigned(gamma=0.0), [0.0] * 3),
    "enable_double_dqn": ({}, assigned(enable_double_dqn=True), [0.5] * 3),
    "train_interval": ({}, assigned(train_interval=2), [UNCHANGED, NONE, UNCHANGED]),
    "nb_steps_warmup": ({}, assigned(nb_steps_warmup=50), [NONE] * 3),
    "batch_size": ({}, assigned(batch_size=64), [NONE] * 3),
    "memory": (
        {},
        lambda agent: setattr(agent, "memory", SequentialMemory(9, 1)),
        [NONE, UNCHANGED, UNCHANGED],
    ),
    "model": ({}, given(2, 0), [1.125] * 3),
    "target_model": (
        {},
        lambda agent: agent.target_model.set_weights([np.zeros((1, 2))]),
        [0.0] * 3,
    ),
}
# Of these, keras-rl's graph holds the value at which it was built.
BUILT_IN = {
    "delta_clip": ({}, assigned(delta_clip=1.0), [2.0] * 3),
    "soft to soft": (
        {"target_model_update": 1e-9},
        assigned(target_model_update=0.5),
        [UNCHANGED, 0.78125, 0.1953125],
    ),
    "soft to hard": (
        {"target_model_update": 1e-9},
        assigned(target_model_update=1),
        [UNCHANGED, 0.125, 0.125],
    ),
    "hard to soft": ({}, assigned(target_model_update=0.5), [UNCHANGED, 0.78125, 0.1953125]),
}


@BOTH
@pytest.mark.parametrize("name", CHANGES)
def test_a_change_counts_from_the_next_step(agent_class, name):
    arguments, change, losses = CHANGES[name]
    assert run(make(agent_class, **arguments), change).losses == pytest.approx(losses, nan_ok=True)


@pytest.mark.parametrize("name", BUILT_IN)
def test_what_keras_rl_builds_into_its_graph_asks_for_another_compile(name):
    arguments, change, losses = BUILT_IN[name]
    assert run(make(DQNAgent, **arguments), change).losses == pytest.approx(losses)
    with pytest.raises(ValueError, match=r"part of keras-rl's graph.*agent\.compile\(optimizer\)"):
        run(make(VendorDQNAgent, **arguments), change)


@BOTH
def test_a_batch_of_another_size_is_drawn(agent_class):
    agent = make(agent_class)
    draw, sizes = agent.memory.sample_batch, []
    agent.memory.sample_batch = lambda size, *rest, **named: (
        sizes.append(size) or draw(size, *rest, **named)
    )
    assert run(agent, assigned(batch_size=5)).losses == [UNCHANGED] * 3
    assert sizes[-4:] == [3, 5, 5, 5]


@BOTH
def test_another_policy_acts_from_the_next_step(agent_class):
    assert run(make(agent_class), assigned(policy=SecondAction())).actions == [1, 1, 1]


def test_weights_that_the_passed_model_is_given_count_from_the_next_episode(tmp_path):
    model = q_network()
    q_network((2, 0)).save_weights(tmp_path / "w.h5")
    script = run(make(DQNAgent, model), lambda _: model.load_weights(tmp_path / "w.h5"))
    assert script.losses == [UNCHANGED, 1.125, 1.125]
    np.testing.assert_array_equal(model.get_weights()[0], [[2, 0]])


def test_weights_between_two_fits_are_the_next_ones_start():
    model = q_network()
    agent = make(DQNAgent, model)
    run(agent, assigned())
    model.set_weights([np.array([[3.0, 7.0]])])
    np.testing.assert_array_equal(agent.model.get_weights()[0], [[3, 7]])
    agent.fit(constant(), 1, verbose=0)
    np.testing.assert_array_equal(agent.compute_q_values([np.ones(1)]), [3, 7])


@BOTH
def test_compiling_again_keeps_the_weights_and_starts_optimizer_and_target_anew(agent_class):
    agent = make(agent_class, optimizer=keras.optimizers.SGD(0.5, momentum=0.9))
    run(agent, assigned())
    q_values = agent.compute_q_values([np.ones(1)])
    agent.compile(keras.optimizers.SGD(0.25), metrics=["mae"])
    script = Script(assigned())
    script.seen = 8
    agent.fit(constant(), 2, callbacks=[script], verbose=0)
    td_error = 1 + 0.5 * q_values.max() - q_values[0]
    assert script.losses == pytest.approx([td_error**2 / 2, (0.75 * td_error) ** 2 / 2], rel=1e-5)


NO_RATE = {
    "nothing": lambda optimizer, agent: None,
    "nought": lambda optimizer, agent: K.set_value(optimizer.lr, 0.0),
}
RATES = {
    "set_value": lambda optimizer, agent: K.set_value(optimizer.lr, 0.5),
    "learning_rate": lambda optimizer, agent: setattr(optimizer, "learning_rate", 0.5),
    "lr": lambda optimizer, agent: setattr(optimizer, "lr", K.get_value(optimizer.lr) + 0.5),
    "agent": lambda optimizer, agent: K.set_value(agent.optimizer.lr, 0.5),
}


@BOTH
@pytest.mark.parametrize(
    ("kind", "way"),
    [*(("new", way) for way in RATES), ("used", "set_value"), ("legacy", "set_value"),
     ("legacy", "lr")],
)  # fmt: skip
def test_a_learning_rate_that_a_callback_sets_is_followed(agent_class, kind, way):
    keras.Sequential()
    optimizer = (keras.optimizers.legacy if kind == "legacy" else keras.optimizers).SGD(lr=0.0)
    if kind == "used":
        make(DQNAgent, optimizer=optimizer).fit(constant(), 8, verbose=0)
    script = run(make(agent_class, optimizer=optimizer), lambda agent: RATES[way](optimizer, agent))
    assert script.losses == [UNCHANGED, 0.78125, 0.1953125]


@BOTH
def test_a_rate_that_a_schedule_sets_is_no_number_to_be_changed(agent_class):
    keras.Sequential()
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([99], [0.5, 0.25])

    def fit_with(way: str) -> list[float]:
        optimizer = keras.optimizers.SGD(schedule)
        agent = make(agent_class, optimizer=optimizer)
        return run(agent, lambda agent: {**RATES, **NO_RATE}[way](optimizer, agent)).losses

    with pytest.raises(TypeError, match="created with a `LearningRateSchedule`"):
        fit_with("learning_rate")
    if agent_class is VendorDQNAgent:
        with pytest.raises(ValueError, match="schedule's rate"):
            fit_with("nought")
    else:
        assert fit_with("nought") == fit_with("nothing")


@BOTH
@pytest.mark.parametrize("kind", [keras.optimizers.SGD, keras.optimizers.legacy.SGD])
def test_decay_divides_the_rate_by_one_more_each_update(agent_class, kind):
    keras.Sequential()
    agent = make(agent_class, optimizer=kind(lr=0.5, decay=1.0))
    script = Script(assigned())
    script.seen = 8
    agent.fit(constant(), 6, callbacks=[script], verbose=0)
    losses = [loss for loss in script.losses if not math.isnan(loss)]
    # gamma * max Q of the target, a copy of the start, is 0.5: Q goes from 1 towards 1.5.
    assert losses == pytest.approx(
        [0.125, 0.125 * 0.5**2, 0.125 * (0.5 * 0.75) ** 2, 0.125 * (0.5 * 0.75 * 5 / 6) ** 2]
    )


def test_a_value_out_of_its_range_is_refused_at_the_next_update():
    with pytest.raises(ValueError, match="gamma: expected 0 to 1, received 2"):
        run(make(DQNAgent), assigned(gamma=2))
