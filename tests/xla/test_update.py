"""The compiled update gives what the naive one gives, whatever it is made of."""

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
    adam,
    bound_program,
    compare,
    compiled,
    convolutional,
    distance,
    embedding,
    layers,
    learn,
    mlp,
    optimizers,
    recurrent,
    settings,
    transitions,
)

from kerasrl_runner.agents.xla import parameters, programs
from kerasrl_runner.agents.xla.acting import CompiledForward, forward_for
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
def test_equals_the_naive_update_over_200_steps(loss, target, double, optimizer):
    assert compare(mlp, optimizer, updates=200, **loss, **target, **double) < TOLERANCE


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
    assert compare(mlp, adam(), updates=20, naive=theirs, **ours) > 1e4 * TOLERANCE


def test_an_ignored_terminal_flag_is_seen():
    data = transitions(np.random.default_rng(0))
    update, online, _ = compiled(mlp, adam()())
    learn(update, [(*data[:4], np.zeros(BATCH, bool))])
    naive = NaiveUpdate(mlp(), mlp(), adam()(), **settings())
    naive(*data)
    assert distance(online, naive.online) > 1e4 * TOLERANCE


# Keras computes a schedule in the type of its numbers, as Python's in float32, where XLA rounds the
# last bit otherwise; NumPy's are kept.


@pytest.mark.parametrize(
    "optimizer",
    [
        adam(learning_rate=SCHEDULE),
        adam(clipnorm=0.05),
        adam(global_clipnorm=0.05),
        adam(clipvalue=0.01),
        adam(amsgrad=True),
        adam(use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=5),
        lambda: optimizers.AdamW(0.01, weight_decay=0.1),
        lambda: optimizers.Nadam(0.01),
        lambda: optimizers.Adagrad(0.05),
        lambda: optimizers.Lion(0.001),
        lambda: optimizers.SGD(0.05, nesterov=True, momentum=0.5, clipnorm=0.1),
        lambda: optimizers.Adafactor(0.01),
    ],
)
def test_every_optimizer_steps_as_on_separate_variables(optimizer):
    assert compare(mlp, optimizer) < TOLERANCE


def test_weights_that_are_spared_from_weight_decay_are_spared():
    def optimizer():
        spared = optimizers.AdamW(0.01, weight_decay=0.1)
        spared.exclude_from_weight_decay(var_names=["bias"])
        return spared

    assert compare(mlp, optimizer) < TOLERANCE
    assert programs.optimizer_key(optimizer()) is None  # its program is no one else's


@pytest.mark.parametrize(
    ("optimizer", "changes"),
    [
        (adam(learning_rate=SCHEDULE), {"double": True}),
        (adam(clipnorm=0.05), {"target_model_update": 7}),
        (lambda: optimizers.RMSprop(0.003, global_clipnorm=0.05), {"delta_clip": 0.7}),
    ],
)
def test_a_large_network_learns_on_separate_variables(monkeypatch, optimizer, changes):
    monkeypatch.setattr(parameters, "_FLAT_LIMIT", 10)
    assert not compiled(mlp, optimizer(), **changes)[0].parameters.are_flat
    assert compare(mlp, optimizer, **changes) < TOLERANCE
    rng = np.random.default_rng(0)
    data = [transitions(rng) for _ in range(6)]
    runs = [compiled(mlp, optimizer(), **changes) for _ in range(3)]
    for (update, *_), steps in zip(runs, (1, 3, 1), strict=True):
        learn(update, data, steps)
    assert distance(runs[1][1], runs[0][1]) < 1e-12
    assert distance(runs[2][1], runs[0][1]) == 0
    assert bound_program(runs[2][0]).program is bound_program(runs[0][0]).program


@pytest.mark.parametrize("updates", [3])
@pytest.mark.parametrize("steps", [1, 5])
def test_a_loop_of_any_length_equals_single_calls(steps, updates):
    rng = np.random.default_rng(0)
    data = [transitions(rng) for _ in range(steps * updates)]
    (one, online, target), (many, online_2, target_2) = (
        compiled(mlp, adam(learning_rate=SCHEDULE)()) for _ in range(2)
    )
    metrics, metrics_2 = learn(one, data), learn(many, data, steps)
    np.testing.assert_allclose(metrics_2, metrics, rtol=1e-12)
    assert distance(online_2, online) < 1e-12
    assert distance(target_2, target) < 1e-12


@pytest.mark.parametrize(
    "build",
    [
        lambda: mlp(Gate),
        lambda: mlp(lambda: layers.BatchNormalization(momentum=0.8)),
        lambda: mlp(kernel_regularizer=keras.regularizers.L2(0.01)),
        lambda: mlp(activity_regularizer=keras.regularizers.L2(0.01)),
        lambda: mlp(kernel_constraint=keras.constraints.MaxNorm(0.8)),
        lambda: mlp(lambda: layers.Dense(6, trainable=False)),
        lambda: mlp(lambda: layers.Dense(6, use_bias=False), layers.LeakyReLU),
        lambda: mlp(layers.Normalization),  # it has a whole number among its weights
    ],
    ids="custom batchnorm weight-penalty activity-penalty limit frozen no-bias whole".split(),
)
@pytest.mark.parametrize("changes", [{"double": True}, {"target_model_update": 7}])
def test_every_kind_of_layer(build, changes):
    assert compare(build, adam(), **changes) < TOLERANCE


@pytest.mark.parametrize("kind", [layers.LSTM, layers.GRU])
def test_a_recurrent_layer_learns(kind):
    assert compare(lambda: recurrent(kind), adam(), updates=20, double=True) < TOLERANCE


@pytest.mark.parametrize("flat", [True, False])
@pytest.mark.parametrize("changes", [{"double": True}, {"target_model_update": 7}])
def test_an_embedding_learns(monkeypatch, flat, changes):
    if not flat:
        monkeypatch.setattr(parameters, "_FLAT_LIMIT", 10)
    assert compiled(embedding, adam()())[0].parameters.are_flat == flat
    assert compare(embedding, adam(), **changes) < TOLERANCE


def test_batchnorm_with_gradient_steps():
    rng = np.random.default_rng(0)
    data = [transitions(rng) for _ in range(6)]
    runs = [compiled(lambda: mlp(layers.BatchNormalization), adam()()) for _ in range(2)]
    learn(runs[0][0], data)
    learn(runs[1][0], data, 3)
    assert distance(runs[0][1], runs[1][1]) < 1e-12
    assert distance(runs[0][2], runs[1][2]) < 1e-12


def test_frames_stay_bytes():
    shape = (10, 10, 2)
    update, online, target = compiled(
        convolutional, optimizers.SGD(0.1), "float32", shape, state_dtype="uint8"
    )
    naive = NaiveUpdate(convolutional(), convolutional(), optimizers.SGD(0.1), **settings())
    rng = np.random.default_rng(0)
    data = [transitions(rng, shape, frames=True) for _ in range(10)]
    assert update.new_batch().states.dtype == np.uint8
    learn(update, data[:6])
    learn(update, data[6:], 4)
    for states, actions, rewards, next_states, terminated in data:
        naive(np.float32(states), actions, np.float32(rewards), np.float32(next_states), terminated)
    assert distance(online, naive.online) < 1e-5
    assert distance(target, naive.target) < 1e-5
    forward = forward_for(update, online)
    assert isinstance(forward, CompiledForward)
    np.testing.assert_allclose(
        forward.q_values(data[0][0][0]), online(np.float32(data[0][0][:1]))[0], rtol=1e-4
    )
