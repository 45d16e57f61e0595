"""Keras optimizers and their legacy twins."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

from kerasrl_runner.engines import build
from kerasrl_runner.errors import PresetError
from kerasrl_runner.parts.optimizers import (
    build_optimizer,
    legacy_optimizer,
    new_style_optimizer,
)
from kerasrl_runner.preset import load_preset
from kerasrl_runner.vendor import keras, tf

DECAY = {"initial_learning_rate": 0.5, "decay_steps": 10, "end_learning_rate": 0.1}


def test_a_learning_rate_may_be_a_schedule() -> None:
    optimizer = build_optimizer("Adam", {"learning_rate": {"PolynomialDecay": DECAY}})
    schedule = legacy_optimizer(optimizer).learning_rate
    assert isinstance(schedule, keras.optimizers.schedules.PolynomialDecay)
    assert [float(schedule(step)) for step in (0, 5, 10, 99)] == pytest.approx([0.5, 0.3, 0.1, 0.1])


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("Adam", {"learning_rate": 0.25, "beta_1": 0.8, "beta_2": 0.9, "epsilon": 0.5}),
        ("Adam", {"amsgrad": True}),
        ("SGD", {"learning_rate": 0.25, "momentum": 0.5, "nesterov": True}),
        ("RMSprop", {"learning_rate": 0.25, "rho": 0.5, "centered": True}),
        ("Adagrad", {"initial_accumulator_value": 0.5}),
        ("Adadelta", {"rho": 0.5}),
        ("Adamax", {"beta_1": 0.5}),
        ("Nadam", {"beta_2": 0.5}),
        ("Ftrl", {"l1_regularization_strength": 0.5}),
        ("Adam", {"clipnorm": 0.5}),
        ("Adam", {"clipvalue": 0.5}),
        ("SGD", {"global_clipnorm": 0.5}),
    ],
)
def test_the_legacy_twin_has_equal_settings(name: str, arguments: dict[str, Any]) -> None:
    twin = legacy_optimizer(build_optimizer(name, arguments))
    assert isinstance(twin, getattr(keras.optimizers.legacy, name))
    config = twin.get_config()
    assert {key: config[key] for key in arguments} == arguments


def test_the_twin_is_fresh() -> None:
    optimizer = keras.optimizers.legacy.SGD(0.25)
    twin = legacy_optimizer(optimizer)
    assert twin is not optimizer
    assert twin.get_config() == optimizer.get_config()


@pytest.mark.parametrize("argument", [{"weight_decay": 0.01}, {"use_ema": True}])
def test_what_legacy_optimizers_cannot_do_is_refused(argument: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"cannot do {next(iter(argument))}"):
        legacy_optimizer(keras.optimizers.Adam(**argument))


def test_an_optimizer_without_a_legacy_twin_is_refused() -> None:
    with pytest.raises(ValueError, match="Lion has no legacy twin"):
        legacy_optimizer(keras.optimizers.Lion())


def test_a_preset_whose_optimizer_the_engine_cannot_use_is_refused_as_a_preset() -> None:
    schedule = "{ExponentialDecay={initial_learning_rate=0.1, decay_steps=9, decay_rate=0.5}}"
    preset = load_preset("cartpole-kerasrl", [f"optimizer.Nadam={{learning_rate={schedule}}}"])
    with pytest.raises(PresetError, match=r"^optimizer\."):
        build(preset, engine="keras-rl")


NEW_STYLE = "Adadelta Adafactor Adagrad Adam AdamW Adamax Ftrl Lion Nadam RMSprop SGD".split()


@pytest.mark.parametrize("name", NEW_STYLE)
def test_keras_2s_lr_and_decay_take_effect_in_every_optimizer(name: str) -> None:
    optimizer_class = getattr(keras.optimizers, name)
    optimizer = optimizer_class(lr=0.25, decay=0.5)
    assert isinstance(optimizer, optimizer_class)
    assert keras.backend.get_value(optimizer.lr) == 0.25
    assert float(optimizer_class(0.125).learning_rate) == 0.125
    assert optimizer_class.from_config(optimizer.get_config()).get_config()["decay"] == 0.5
    parameters = inspect.signature(optimizer_class).parameters
    assert "learning_rate" in parameters
    assert "decay" not in parameters


@pytest.mark.parametrize("name", ["Adam", "SGD", "Adagrad", "Adamax"])
def test_a_decaying_optimizer_steps_as_its_legacy_twin(name: str) -> None:
    optimizer = getattr(keras.optimizers, name)(lr=0.25, decay=0.5)
    left, right = tf.Variable([1.0, 2.0]), tf.Variable([1.0, 2.0])
    twin = legacy_optimizer(optimizer)
    for step in range(4):
        gradient = tf.constant([1.0, -0.5 * step])
        optimizer.apply_gradients([(gradient, left)])
        twin.apply_gradients([(gradient, right)])
    np.testing.assert_allclose(left, right, rtol=1e-4)


def test_the_new_style_of_a_legacy_optimizer_decays_too() -> None:
    optimizer = new_style_optimizer(keras.optimizers.legacy.SGD(lr=0.5, decay=1.0))
    variable = tf.Variable(0.0)
    for _ in range(2):
        optimizer.apply_gradients([(tf.constant(-1.0), variable)])
    assert float(variable) == 0.5 + 0.5 / 2
    # Legacy Nadam's `decay` is another thing: of its momentum.
    assert "decay" not in new_style_optimizer(keras.optimizers.legacy.Nadam()).get_config()


def test_epsilon_none_is_the_default_as_in_keras_2():
    assert keras.optimizers.Adam(lr=1e-3, epsilon=None, decay=0.0).epsilon == 1e-7
