"""Gradients against central differences; optimizers, schedules, initialisers against keras."""

import math
from typing import Any

import numpy as np
import pytest
from reference.parts import make_network

from kerasrl_runner.reference.network import (
    ACTIVATIONS,
    DUELING,
    INITIALIZERS,
    Activation,
    Dense,
    Network,
    initialize,
    td_loss,
)
from kerasrl_runner.reference.optimizers import Adam
from kerasrl_runner.reference.schedule import exponential_decay, polynomial_decay
from kerasrl_runner.vendor import keras


def central_differences(network: Network, x: np.ndarray, slope: np.ndarray) -> np.ndarray:
    gradient = np.zeros_like(network.parameters)
    for i, value in enumerate(network.parameters.copy()):
        step = 1e-6 * max(1.0, abs(value))
        ends = []
        for moved in (value + step, value - step):
            network.parameters[i] = moved
            ends.append((network.q_values(x) * slope).sum())
        network.parameters[i] = value
        gradient[i] = (ends[0] - ends[1]) / (2 * step)
    return gradient


@pytest.mark.parametrize("dueling", [None, *DUELING])
@pytest.mark.parametrize("activation", ["linear", *ACTIVATIONS])
def test_gradient_is_that_of_central_differences(activation: str, dueling: str | None) -> None:
    hidden = [Dense(5, activation), Dense(6, use_bias=False), Activation(activation)]
    network = make_network(3, hidden=hidden, dueling=dueling)
    network.parameters[...] += np.random.default_rng(1).normal(0, 0.1, network.parameters.shape)
    rng = np.random.default_rng(2)
    x, slope = rng.normal(size=(7, 4)), rng.normal(size=(7, 3))
    network.backward(network.trace(x), slope.copy())
    expected = central_differences(network, x, slope)
    assert np.linalg.norm(network.gradient - expected) < 1e-6 * np.linalg.norm(expected)


def test_gradient_through_activations_of_every_kind_in_a_row_and_input_unharmed() -> None:
    hidden = [Activation("relu"), Dense(5, "tanh"), Activation("relu"), Dense(6, "softplus")]
    network = make_network(3, hidden=[*hidden, Activation("relu"), Activation("elu")])
    x, slope = np.random.default_rng(2).normal(size=(2, 7, 4)), np.ones((7, 3))
    before = x[0].copy()
    network.backward(network.trace(x[0]), slope)
    np.testing.assert_array_equal(x[0], before)
    expected = central_differences(network, x[0], np.ones((7, 3)))
    assert np.linalg.norm(network.gradient - expected) < 1e-6 * np.linalg.norm(expected)


@pytest.mark.parametrize("dueling", [None, *DUELING])
def test_q_of_one_state_is_that_of_a_batch(dueling: str | None) -> None:
    network = make_network(dueling=dueling)
    x = np.random.default_rng(0).normal(size=(5, 4))
    np.testing.assert_allclose(
        [network.q_values(row) for row in x], network.q_values(x), rtol=1e-12
    )


def test_dueling_head_is_the_papers_formulas_one_sample_at_a_time() -> None:
    for kind, combine in {
        "naive": lambda v, a, all_a: v + a,
        "max": lambda v, a, all_a: v + a - max(all_a),
        "avg": lambda v, a, all_a: v + a - sum(all_a) / len(all_a),
    }.items():
        network = make_network(hidden=[], dueling=kind)
        kernel, bias = network.get_weights()
        x = np.random.default_rng(0).normal(size=(5, 4))
        for row, q in zip(x, network.q_values(x), strict=True):
            v, *advantages = row @ kernel + bias
            expected = [combine(v, a, advantages) for a in advantages]
            np.testing.assert_allclose(q, expected, rtol=1e-12)


def test_tied_maximum_shares_its_gradient() -> None:
    network = make_network(hidden=[], dueling="max")
    network.parameters[...] = 0
    network.backward(network.trace(np.ones((1, 4))), np.array([[1.0, 0.0, 0.0]]))
    np.testing.assert_allclose(network.weight_gradients[1], [1, 2 / 3, -1 / 3, -1 / 3])


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations_survive_large_inputs_without_a_warning(activation: str) -> None:
    with np.errstate(all="raise", under="ignore"):
        y = ACTIVATIONS[activation][0](np.array([-1e4, 0.0, 1e4], np.float32))
    assert np.isfinite(y).all()


def test_clone_is_equal_and_independent() -> None:
    network = make_network(dueling="avg")
    copy = network.clone()
    np.testing.assert_array_equal(copy.parameters, network.parameters)
    copy.parameters[...] = 0
    assert network.parameters.any()
    assert network.weights[0].any()
    assert not copy.weights[0].any()


@pytest.mark.parametrize(
    "changes",
    [
        {"hidden": [Dense(4, "swish")]},
        {"hidden": [Activation("softmax")]},
        {"hidden": [Dense(0)]},
        {"hidden": [Dense(4, kernel_initializer="orthogonal")]},
        {"dueling": "sum"},
        {"dtype": "float16"},
        {"action_count": 0},
        {"input_size": 0},
    ],
)
def test_what_it_does_not_have_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        make_network(**changes)


def test_half_square_and_huber_against_hand_computed_values() -> None:
    error = np.array([0.5, -0.5, 1.0, 3.0, -3.0])
    loss, slope = td_loss(error)
    np.testing.assert_allclose(loss, [0.125, 0.125, 0.5, 4.5, 4.5])
    np.testing.assert_allclose(slope, [-0.5, 0.5, -1, -3, 3])
    loss, slope = td_loss(error, clip=1.0)
    np.testing.assert_allclose(loss, [0.125, 0.125, 0.5, 2.5, 2.5])
    np.testing.assert_allclose(slope, [-0.5, 0.5, -1, -1, 1])
    loss, _ = td_loss(error, clip=2.0)
    np.testing.assert_allclose(loss, [0.125, 0.125, 0.5, 4.0, 4.0])


def test_adam_by_hand() -> None:
    network = make_network(hidden=[], input_size=1, action_count=1)
    network.parameters[...] = 1.0
    network.gradient[...] = 0.5
    adam = Adam(0.1, beta_1=0.875, beta_2=0.9921875, epsilon=1e-8)
    adam.update(network)
    # first step: the corrected moments are g and g^2, so that the change is rate * sign(g)
    np.testing.assert_allclose(network.parameters, 0.9, rtol=1e-6)
    network.gradient[...] = -0.25
    adam.update(network)
    m = (0.875 * 0.125 * 0.5 - 0.125 * 0.25) / (1 - 0.875**2)
    v = (0.9921875 * 0.0078125 * 0.25 + 0.0078125 * 0.0625) / (1 - 0.9921875**2)
    np.testing.assert_allclose(network.parameters, 0.9 - 0.1 * m / math.sqrt(v), rtol=1e-6)


def test_learning_rate_schedules_are_keras() -> None:
    schedules = keras.optimizers.schedules
    pairs = [
        (
            polynomial_decay(1e-3, 100, 1e-5, power=2.0),
            schedules.PolynomialDecay(1e-3, 100, 1e-5, power=2.0),
        ),
        (
            polynomial_decay(1e-3, 100, 1e-5, cycle=True),
            schedules.PolynomialDecay(1e-3, 100, 1e-5, cycle=True),
        ),
        (exponential_decay(1e-3, 50, 0.5), schedules.ExponentialDecay(1e-3, 50, 0.5)),
        (exponential_decay(1e-3, 50, 0.5, True), schedules.ExponentialDecay(1e-3, 50, 0.5, True)),
    ]
    for ours, theirs in pairs:
        for step in (0, 1, 49, 50, 99, 100, 101, 250):
            assert ours(step) == pytest.approx(float(theirs(step)), rel=1e-5), step


def test_only_one_way_of_clipping() -> None:
    with pytest.raises(ValueError, match="at most one"):
        Adam(clipnorm=1.0, clipvalue=1.0)


@pytest.mark.parametrize("name", INITIALIZERS)
def test_initializers_have_keras_spread_and_bounds(name: str) -> None:
    theirs = pytest.importorskip("tf_keras").initializers.get(name)((200, 300))
    ours = initialize(name, (200, 300), np.random.default_rng(0))
    theirs = np.asarray(theirs, np.float64)
    assert ours.mean() == pytest.approx(theirs.mean(), abs=0.003)
    assert ours.std() == pytest.approx(theirs.std(), rel=0.02)
    bound = 0.3 if name == "random_normal" else 0.02
    assert np.abs(ours).max() == pytest.approx(np.abs(theirs).max(), rel=bound)


def test_same_weights_give_the_same_q_values_in_keras() -> None:
    layers = pytest.importorskip("tf_keras").layers
    keras = pytest.importorskip("tf_keras").Sequential(
        [
            layers.Dense(7, "elu", input_shape=(4,)),
            layers.Dense(7, "softplus"),
            layers.Dense(7, "sigmoid", use_bias=False),
            layers.Activation("tanh"),
            layers.Dense(3),
        ]
    )
    hidden = [
        *(Dense(7, "elu"), Dense(7, "softplus")),
        *(Dense(7, "sigmoid", use_bias=False), Activation("tanh")),
    ]
    network = make_network(hidden=hidden, dtype="float32")
    network.set_weights(keras.get_weights())
    x = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    np.testing.assert_allclose(network.q_values(x), keras(x).numpy(), rtol=1e-5, atol=1e-6)
