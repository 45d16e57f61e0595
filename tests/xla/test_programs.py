"""Programs are shared, fall back, and act; noise and checkpoints follow the seed."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from naive_update import NaiveUpdate
from xla_cases import (
    ACTIONS,
    BATCH,
    SCHEDULE,
    TOLERANCE,
    Gate,
    InPython,
    adam,
    compiled,
    distance,
    layers,
    learn,
    mlp,
    optimizers,
    settings,
    transitions,
)

from kerasrl_runner.agents.xla import programs
from kerasrl_runner.agents.xla.plain import PlainNetworks, optimizer_key, plain_steps
from kerasrl_runner.parts.model import DuelingHead


@pytest.mark.parametrize(
    "extra", [(), (lambda: layers.GaussianNoise(0.5),)], ids=["plain", "Keras'"]
)
def test_noise_follows_from_seed_and_learn_step(extra):
    build = lambda: mlp(lambda: layers.Dropout(0.3), *extra, activation="linear")  # noqa: E731
    update, *_ = compiled(build, optimizers.SGD(0.01), seed=1)
    start = update.state_dict()
    rng = np.random.default_rng(0)
    same = [transitions(rng)] * 4  # the same data: what differs is the noise
    first = learn(update, same)
    assert len(set(first[:, 2])) == 4
    update.load_state_dict(start)
    np.testing.assert_array_equal(learn(update, same), first)
    update.load_state_dict({**start, "seed": np.int64(2)})
    assert not np.allclose(learn(update, same), first)


def test_dropout_keeps_the_mean_and_its_share():
    """With ones in and weights of one, Q is the mean number of kept units, scaled up."""
    build = lambda: mlp(lambda: layers.Dropout(0.25), activation="linear")  # noqa: E731
    update, online, target = compiled(build, optimizers.SGD(0.0))
    ones = [np.ones_like(w) if w.ndim == 2 else np.zeros_like(w) for w in online.get_weights()]
    online.set_weights(ones)
    target.set_weights(ones)
    update.networks.take_models()
    data = transitions(np.random.default_rng(0))
    state = np.ones_like(data[0])
    without = update.networks.q_values(state[0])[0]
    mean_q = learn(update, [(state, *data[1:])] * 200)[:, 2]
    assert mean_q.mean() == pytest.approx(without, rel=0.02)
    units = 6 * BATCH * mean_q / without * 0.75  # how many units were kept in each update
    np.testing.assert_allclose(units, units.round(), atol=1e-6)
    assert units.std() == pytest.approx(np.sqrt(6 * BATCH * 0.25 * 0.75), rel=0.25)


def test_a_model_that_xla_refuses_runs_without_it_and_says_so_once():
    update, online, _ = compiled(lambda: mlp(InPython), adam()())
    rng = np.random.default_rng(0)
    data = [transitions(rng) for _ in range(4)]
    with pytest.warns(RuntimeWarning, match="without XLA"):
        learn(update, data[:1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        learn(update, data[1:])
    naive = NaiveUpdate(mlp(InPython), mlp(InPython), adam()(), **settings())
    for transition in data:
        naive(*transition)
    assert distance(online, naive.online) < TOLERANCE


def test_plain_networks_of_one_architecture_share_a_program_and_nothing_else():
    rng = np.random.default_rng(0)
    data = [transitions(rng) for _ in range(10)]
    alone, online, target = compiled(mlp, adam()())
    learn(alone, data)
    known = len(programs._shared)
    first, second = compiled(mlp, adam()()), compiled(mlp, adam(learning_rate=0.5)(), seed=9)
    for transition in data:
        learn(first[0], [transition])
        learn(second[0], [(*transition[:2], 5 * transition[2], *transition[3:])])
    assert len(programs._shared) == known
    assert distance(first[1], online) == distance(first[2], target) == 0
    assert distance(second[1], online) > 0.01


@pytest.mark.parametrize(
    ("build", "optimizer"),
    [
        (lambda: mlp(activation="relu"), adam()),
        (mlp, adam(epsilon=1e-3)),
        (mlp, adam(learning_rate=SCHEDULE)),
        (mlp, adam(clipnorm=1.0)),
    ],
)
def test_programs_that_differ_are_not_shared(monkeypatch, build, optimizer):
    monkeypatch.setattr(programs, "_shared", {})
    compiled(mlp, adam()())
    compiled(build, optimizer())
    assert len(programs._shared) == 2


class Scaled(layers.Layer):
    """A custom layer whose configuration does not say by what it multiplies."""

    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)
        self._factor = factor

    def call(self, inputs):
        return self._factor * inputs

    def get_config(self):
        return super().get_config()


def test_custom_layers_of_equal_configuration_share_no_program():
    data = transitions(np.random.default_rng(0))
    losses = []
    for factor in (1.0, 5.0):
        with_factor = lambda factor=factor: mlp(lambda: Scaled(factor))  # noqa: E731
        update, *_ = compiled(with_factor, adam()())
        naive = NaiveUpdate(with_factor(), with_factor(), adam()(), **settings())
        losses.append(learn(update, [data])[0])
        np.testing.assert_allclose(losses[-1], naive(*data), rtol=1e-9)
    assert abs(losses[0] - losses[1]).max() > 0.01


def test_a_schedule_of_a_users_class_keeps_the_program_from_being_shared():
    class Mine(optimizers.schedules.PolynomialDecay):
        pass

    assert optimizer_key(adam(learning_rate=Mine(0.1, 10))()) is None
    assert optimizer_key(adam(learning_rate=SCHEDULE)()) is not None


@pytest.mark.parametrize("extra", [(), (layers.BatchNormalization,)], ids=["plain", "Keras'"])
def test_a_checkpoint_goes_on_bit_for_bit(extra):
    rng = np.random.default_rng(0)
    data = [transitions(rng) for _ in range(10)]
    build = lambda: mlp(lambda: layers.Dropout(0.3), *extra)  # noqa: E731
    optimizer = lambda: optimizers.Nadam(SCHEDULE)  # noqa: E731
    update, online, target = compiled(build, optimizer())
    learn(update, data[:5])
    state = update.state_dict()
    metrics = learn(update, data[5:])
    other, online_2, target_2 = compiled(build, optimizer(), seed=99)
    other.load_state_dict(state)
    np.testing.assert_array_equal(learn(other, data[5:]), metrics)
    assert distance(online_2, online) == distance(target_2, target) == 0
    with pytest.raises(ValueError, match="another model or optimizer"):
        other.load_state_dict({**state, "seed": np.zeros(3)})


@pytest.mark.parametrize("extra", [(), (Gate,)], ids=["plain", "Keras'"])
def test_weights_go_to_the_models_and_back(extra):
    update, online, target = compiled(lambda: mlp(*extra), adam()())
    data = transitions(np.random.default_rng(0))
    learn(update, [data])
    new = [w + 1 for w in online.get_weights()]
    online.set_weights(new)
    update.networks.take_models()
    update.networks.hard_update()
    update.networks.sync_models()
    for model in (online, target):
        for now, then in zip(model.get_weights(), new, strict=True):
            np.testing.assert_array_equal(now, then)
    learn(update, [data])
    state = data[0][0]
    np.testing.assert_allclose(update.networks.q_values(state), online(state[None])[0], rtol=1e-12)


ACTIVATIONS = "linear relu tanh sigmoid elu selu softplus softsign exponential swish".split()


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numpy_acts_as_the_model_does(activation, dtype):
    extra = (lambda: layers.Activation("relu"), lambda: layers.Dense(4, use_bias=False))
    assert_acts_as_the_model(mlp(*extra, dtype=dtype, activation=activation), dtype)


@pytest.mark.parametrize("dueling_type", ["avg", "max", "naive"])
def test_numpy_acts_with_a_dueling_head(dueling_type):
    assert_acts_as_the_model(mlp(lambda: DuelingHead(ACTIONS, dueling_type)), "float64")


def assert_acts_as_the_model(model, dtype):
    networks = PlainNetworks(model, model, plain_steps(model))
    for state in np.random.default_rng(0).standard_normal((5, 2, 4)).astype(dtype):
        q_values = networks.q_values(state)
        assert q_values.shape == (ACTIONS,)
        assert q_values.dtype == dtype
        expected = model(state[None]).numpy()[0]
        bound = (1e-13 if dtype == "float64" else 1e-5) * np.abs(expected).max()
        np.testing.assert_allclose(q_values, expected, rtol=0, atol=bound)


def test_a_changed_setting_counts_from_the_next_update():
    data = transitions(np.random.default_rng(0))
    update, online, _ = compiled(mlp, adam()())
    naive = NaiveUpdate(mlp(), mlp(), adam()(), **settings())
    for delta_clip in (0.7, 0.1):
        update.configure(update.settings._replace(delta_clip=delta_clip))
        naive.delta_clip = delta_clip
        learn(update, [data])
        naive(*data)
    assert distance(online, naive.online) < TOLERANCE
