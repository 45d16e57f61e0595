"""The compiled update gives what the naive one gives, whatever the network is made of."""

from __future__ import annotations

import math

import numpy as np
import pytest
from naive_update import NaiveUpdate
from xla_cases import (
    BATCH,
    GRID,
    SCHEDULE,
    TOLERANCE,
    Gate,
    Remembering,
    adam,
    branched,
    compare,
    compiled,
    convolutional,
    distance,
    embedding,
    functional,
    layers,
    learn,
    mlp,
    optimizers,
    recurrent,
    settings,
    transitions,
)

from kerasrl_runner.agents.xla.keras_networks import KerasNetworks
from kerasrl_runner.agents.xla.plain import PlainNetworks, is_elementwise, plain_steps
from kerasrl_runner.vendor import keras

# One of each setting with one of each other is enough for the fast suite.
_FAST = (0, 5, 7, 14, 16, 21)


@pytest.mark.parametrize(
    ("loss", "target", "double", "optimizer"),
    [
        pytest.param(*case, marks=[] if index in _FAST else pytest.mark.slow, id=str(index))
        for index, case in enumerate(GRID)
    ],
)
def test_equals_the_naive_update(loss, target, double, optimizer):
    assert compare(mlp, optimizer, updates=40, **loss, **target, **double) < TOLERANCE


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"gamma": 0.95 * 0.99}, {"gamma": 0.95}),
        ({}, {"target_is_late": True}),
        ({"delta_clip": 0.7}, {"delta_clip": math.inf}),
        ({"double": True}, {"double": False}),
    ],
)
def test_the_comparison_can_fail(ours, theirs):
    assert compare(mlp, adam(), naive=theirs, **ours) > 1e4 * TOLERANCE


def test_an_ignored_terminal_flag_is_seen():
    data = transitions(np.random.default_rng(0))
    update, online, _ = compiled(mlp, adam()())
    learn(update, [(*data[:4], np.zeros(BATCH, bool))])
    naive = NaiveUpdate(mlp(), mlp(), adam()(), **settings())
    naive(*data)
    assert distance(online, naive.online) > 1e4 * TOLERANCE


def slow(*case):
    return pytest.param(*case, marks=pytest.mark.slow)


def sparing_adamw():
    optimizer = optimizers.AdamW(0.01, weight_decay=0.1)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer


@pytest.mark.parametrize(
    ("optimizer", "tier"),
    [
        (adam(learning_rate=SCHEDULE), PlainNetworks),
        (adam(clipnorm=0.05, amsgrad=True), PlainNetworks),
        (adam(use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=5), PlainNetworks),
        (lambda: optimizers.SGD(0.05, nesterov=True, momentum=0.5, clipnorm=0.1), PlainNetworks),
        (lambda: optimizers.RMSprop(0.003, global_clipnorm=0.05), PlainNetworks),
        (lambda: optimizers.Nadam(0.01, clipvalue=0.01), PlainNetworks),
        (sparing_adamw, KerasNetworks),
        slow(lambda: optimizers.Adagrad(0.05), PlainNetworks),
        slow(lambda: optimizers.Lion(0.001), PlainNetworks),
        slow(lambda: optimizers.Adafactor(0.01), KerasNetworks),
    ],
)
def test_every_optimizer_steps_as_on_separate_variables(optimizer, tier):
    assert is_elementwise(optimizer()) == (tier is PlainNetworks)
    assert compare(mlp, optimizer) < TOLERANCE


PLAIN = {
    "dueling": functional,
    "no bias": lambda: mlp(lambda: layers.Dense(6, use_bias=False)),
    "activation": lambda: mlp(lambda: layers.Activation("selu")),
}
# Several kinds in one network, since each network is a program to compile.
OTHERS = {
    "custom, averages, frozen": lambda: mlp(
        Gate,
        lambda: layers.BatchNormalization(momentum=0.8),
        lambda: layers.Dense(6, trainable=False),
    ),
    "assigning, whole number": lambda: mlp(
        Remembering, lambda: layers.SpectralNormalization(layers.Dense(5)), layers.Normalization
    ),
    "penalties, constraint": lambda: mlp(
        kernel_regularizer=keras.regularizers.L2(0.01),
        activity_regularizer=keras.regularizers.L2(0.01),
        kernel_constraint=keras.constraints.MaxNorm(0.8),
    ),
    "LSTM": lambda: recurrent(layers.LSTM),
    "GRU": lambda: recurrent(layers.GRU),
    "embedding": embedding,
}
CHANGES = ({"double": True}, {"target_model_update": 7})


@pytest.mark.parametrize(("kind", "changes"), [(k, CHANGES[i % 2]) for i, k in enumerate(PLAIN)])
def test_plain_stacks_learn_on_one_vector(kind, changes):
    assert plain_steps(PLAIN[kind]()) is not None
    assert compare(PLAIN[kind], adam(), **changes) < TOLERANCE


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        slow(kind, CHANGES[i % 2]) if kind == "GRU" else (kind, CHANGES[i % 2])
        for i, kind in enumerate(OTHERS)
    ],
)
def test_every_other_network_learns_on_its_own_variables(kind, changes):
    assert compare(OTHERS[kind], adam(), **changes) < TOLERANCE


@pytest.mark.parametrize(
    "build",
    [
        branched,
        lambda: mlp(layers.ReLU),
        lambda: mlp(lambda: layers.Activation("gelu")),
        lambda: mlp(lambda: layers.Dense(6, trainable=False)),
        lambda: mlp(kernel_regularizer=keras.regularizers.L2(0.01)),
        lambda: mlp(lambda: layers.Dropout(0.5, noise_shape=(1, 6))),
        *OTHERS.values(),
    ],
)
def test_what_is_no_plain_stack_is_left_to_keras(build):
    assert plain_steps(build()) is None


@pytest.mark.parametrize(("steps", "build"), [(1, mlp), (3, mlp), (2, branched)])
def test_weights_scale_each_loss_and_td_errors_are_returned(steps, build):
    rng = np.random.default_rng(0)
    data = [(*transitions(rng), rng.random(BATCH)) for _ in range(6)]
    changes = {"delta_clip": 0.7}
    update, online, _ = compiled(build, adam()(), gradient_steps=steps, weighted=True, **changes)
    naive = NaiveUpdate(build(), build(), adam()(), **settings(**changes))
    metrics = learn(update, data)  # [6, 3 + B]
    for row, transition in zip(metrics, data, strict=True):
        np.testing.assert_allclose(row[:3], naive(*transition), rtol=TOLERANCE)
        np.testing.assert_allclose(row[3:], naive.td_errors, rtol=TOLERANCE)
    assert distance(online, naive.online) < TOLERANCE


@pytest.mark.parametrize("extra", [(), (layers.BatchNormalization,)])
def test_gradient_steps_of_one_call_equal_single_calls(extra):
    rng = np.random.default_rng(0)
    data = [transitions(rng) for _ in range(6)]
    (one, online, target), (many, online_2, target_2) = (
        compiled(lambda: mlp(*extra), adam(learning_rate=SCHEDULE)(), gradient_steps=steps)
        for steps in (1, 3)
    )
    np.testing.assert_allclose(learn(many, data), learn(one, data), rtol=1e-12)
    assert distance(online_2, online) < 1e-12
    assert distance(target_2, target) < 1e-12


def test_a_soft_rate_of_one_is_no_target_network():
    update, online, target = compiled(mlp, adam()(), gradient_steps=3)
    update.configure(update.settings._replace(soft_rate=1.0))
    rng, alone = np.random.default_rng(0), mlp()
    naive = NaiveUpdate(alone, alone, adam()(), **settings(target_model_update=1))
    data = [transitions(rng) for _ in range(12)]
    expected = [naive(*one) for one in data]
    np.testing.assert_allclose(learn(update, data), expected, rtol=1e-9)
    assert distance(online, alone) < TOLERANCE
    assert distance(target, online) == 0


def test_frames_stay_bytes():
    shape = (10, 10, 2)
    update, online, target = compiled(
        convolutional, optimizers.SGD(0.1), "float32", (shape, "uint8"), gradient_steps=2
    )
    naive = NaiveUpdate(convolutional(), convolutional(), optimizers.SGD(0.1), **settings())
    rng = np.random.default_rng(0)
    data = [transitions(rng, shape, frames=True) for _ in range(6)]
    assert update.batch.states.dtype == np.uint8
    learn(update, data)
    for states, actions, rewards, next_states, terminated in data:
        naive(np.float32(states), actions, np.float32(rewards), np.float32(next_states), terminated)
    assert distance(online, naive.online) < 1e-5
    assert distance(target, naive.target) < 1e-5
    np.testing.assert_allclose(
        update.networks.q_values(data[0][0][0]), online(np.float32(data[0][0][:1]))[0], rtol=1e-4
    )
