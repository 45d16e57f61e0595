"""The compiled agent keeps the vendor's face and the corrections; parity/ compares its results."""

from __future__ import annotations

import json
import math
import pickle

import gymnasium
import gyms  # noqa: F401  registers the environments
import numpy as np
import pytest
from agents.support import q_network

from kerasrl_runner.agents.compiled import CompiledDQNAgent
from kerasrl_runner.engines import build
from kerasrl_runner.errors import EnvironmentFailed, PresetError, TrainingDiverged
from kerasrl_runner.keras_rl import (
    BoltzmannQPolicy,
    EpsGreedyQPolicy,
    LinearAnnealedPolicy,
    Processor,
    SequentialMemory,
    VendorDQNAgent,
    keras,
)
from kerasrl_runner.parts.policies import ExponentialAnnealedPolicy
from kerasrl_runner.preset import load_preset
from kerasrl_runner.vendor import rl_callbacks, rl_dqn, tf


def network(features: int = 4, window: int = 1):
    return q_network((features,), 2, window, [keras.layers.Dense(8, activation="relu")])


def agent_of(model=None, seed: int = 0, optimizer: object = None, window: int = 1, **arguments):
    keras.utils.set_random_seed(seed)
    agent = CompiledDQNAgent(
        model or network(window=window),
        arguments.pop("policy", EpsGreedyQPolicy(0.3)),
        nb_actions=arguments.pop("nb_actions", 2),
        memory=SequentialMemory(2_000, window, generator=np.random.default_rng(seed)),
        **{"nb_steps_warmup": 40, "target_model_update": 0.05, **arguments},
    )
    agent.compile(optimizer or keras.optimizers.Adam(learning_rate=1e-2))
    return agent


def weights_of(agent) -> list[np.ndarray]:
    return agent.model.get_weights()


def fitted(agent, steps: int = 200):
    agent.fit(gymnasium.make("CartPole-v1"), steps, verbose=0)
    return agent


def test_the_callers_model_is_trained_in_place_and_eager_mode_stays_on():
    model = network()
    before = model.get_weights()
    agent = fitted(agent_of(model))
    assert isinstance(agent, rl_dqn.DQNAgent)
    assert agent.model is model
    assert any((old != new).any() for old, new in zip(before, model.get_weights(), strict=True))
    assert tf.executing_eagerly()
    state = np.ones((1, 1, 4), np.float32)
    np.testing.assert_allclose(
        model.predict(state, verbose=0)[0], agent.compute_q_values([state[0, 0]]), atol=1e-6
    )


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {
            "enable_double_dqn": True,
            "enable_dueling_network": True,
            "target_model_update": 25,
            "gradient_steps": 3,
            "train_interval": 4,
            "policy": BoltzmannQPolicy(),
            "window": 2,
        },
    ],
    ids=["plain", "all"],
)
def test_equal_seeds_give_equal_weights_bit_for_bit(arguments):
    def run() -> list[np.ndarray]:
        environment = gymnasium.make("CartPole-v1")
        environment.reset(seed=3)
        agent = agent_of(**arguments)
        agent.fit(environment, 300, verbose=0)
        return weights_of(agent)

    for one, other in zip(run(), run(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_gradient_steps_are_updates_of_one_call():
    agent = fitted(agent_of(train_interval=8, gradient_steps=8), 200)
    learn_steps = int(agent.optimizer.iterations)
    assert learn_steps % 8 == 0
    assert 8 * (160 // 8 - 2) <= learn_steps <= 8 * (160 // 8 + 1)


WRAPS = ["plain", "annealed", "decaying"]


def annealed(policy):
    return LinearAnnealedPolicy(policy, "eps", policy.eps, policy.eps, policy.eps, 1)


def decaying(policy):
    return ExponentialAnnealedPolicy(policy, "eps", policy.eps, policy.eps, policy.eps, 0.5)


@pytest.mark.parametrize("wrap", [lambda policy: policy, annealed, decaying], ids=WRAPS)
def test_a_random_action_asks_no_network(monkeypatch, wrap):
    agent = agent_of(policy=wrap(EpsGreedyQPolicy(eps=1.0)), nb_steps_warmup=1_000)
    monkeypatch.setattr(agent, "compute_q_values", pytest.fail)
    fitted(agent, 50)


class Masking(EpsGreedyQPolicy):
    """Allows the second action alone, as scripts with illegal moves do."""

    received: np.ndarray

    def select_action(self, q_values):
        self.received = q_values.copy()
        q_values[0] = -np.inf
        return super().select_action(np.sort(q_values))


@pytest.mark.parametrize("wrap", [lambda policy: policy, annealed, decaying], ids=WRAPS)
def test_a_policy_of_ones_own_gets_an_array_of_its_own(wrap):
    policy = Masking(eps=0.0)
    agent = agent_of(policy=wrap(policy))
    agent.training = True
    observation = np.ones(4, np.float32)
    q_values = agent.compute_q_values([observation]).copy()
    assert agent.forward(observation) == 1
    assert policy.received.dtype == np.float32
    np.testing.assert_array_equal(policy.received, q_values)
    np.testing.assert_array_equal(agent.compute_q_values([observation]), q_values)


def test_a_hard_target_is_the_online_network_of_its_env_step():
    agent = agent_of(target_model_update=50)
    copies = {}
    copy = agent.update_target_model_hard
    agent.update_target_model_hard = lambda: (
        copy(),
        copies.update({agent.step: weights_of(agent)}),
    )
    fitted(agent, 120)
    assert list(copies) == [0, 50, 100]
    for target, online in zip(agent.target_model.get_weights(), copies[100], strict=True):
        np.testing.assert_array_equal(target, online)


def test_frames_are_learned_from_as_bytes():
    model = keras.Sequential(
        [
            keras.layers.Permute((2, 3, 1), input_shape=(2, 4, 4)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(3, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(2),
        ]
    )
    agent = agent_of(model, window=2)
    before = weights_of(agent)
    agent.fit(gymnasium.make("gyms:Frames-v0"), 60, verbose=0)
    assert any((old != new).any() for old, new in zip(before, weights_of(agent), strict=True))
    assert agent.memory.sample_batch(4).state.dtype == np.uint8


def test_another_fit_goes_on_and_a_file_round_trip_keeps_the_q_values(tmp_path):
    agent = fitted(fitted(agent_of(), 100), 60)
    assert agent.step == 160
    agent.save_weights(tmp_path / "w.h5")
    other = fitted(agent_of(seed=1), 100)
    other.load_weights(tmp_path / "w.h5")
    state = [np.ones(4, np.float32)]
    np.testing.assert_array_equal(other.compute_q_values(state), agent.compute_q_values(state))
    for online, target in zip(weights_of(other), other.target_model.get_weights(), strict=True):
        np.testing.assert_array_equal(online, target)


def test_a_pickled_agent_goes_on_as_the_agent_itself():
    agent = fitted(agent_of(), 60)
    content = pickle.dumps(agent)
    weights = []
    for twin in (agent, pickle.loads(content), pickle.loads(pickle.dumps(pickle.loads(content)))):
        np.random.seed(3)
        env = gymnasium.make("CartPole-v1")
        env.reset(seed=3)
        twin.fit(env, 40, verbose=0)
        weights.append(weights_of(twin))
        assert twin.step == 100
    for twin in weights[1:]:
        assert all(map(np.array_equal, twin, weights[0]))


def test_callbacks_of_keras_that_save_and_log_are_handed_a_keras_model(tmp_path):
    keep = keras.callbacks.ModelCheckpoint(str(tmp_path / "kept.h5"), save_weights_only=True)
    agent_of().fit(gymnasium.make("CartPole-v1"), 100, callbacks=[keep], verbose=0)
    agent_of().load_weights(tmp_path / "kept.h5")
    board = keras.callbacks.TensorBoard(tmp_path)
    env = gymnasium.make("gyms:Constant-v0")  # no end of an episode, which would need tensorboard
    agent_of(network(1)).fit(env, 5, callbacks=[board], verbose=0)
    assert list((tmp_path / "train").iterdir())


def test_the_model_cannot_be_replaced():
    with pytest.raises(AttributeError, match="make an agent of that model"):
        agent_of().model = network()


def test_nan_rewards_and_diverging_losses_end_fit():
    with pytest.raises(EnvironmentFailed, match="the reward is nan"):
        agent_of(network(features=1)).fit(
            gymnasium.make("gyms:Faulty-v0", fault={"reward": math.nan}, at=60), 100, verbose=0
        )
    with pytest.raises(TrainingDiverged, match=r"Lower the learning rate"):
        fitted(agent_of(optimizer=keras.optimizers.SGD(learning_rate=1e30)), 400)


def test_legacy_optimizers_and_names_are_taken():
    for optimizer in ("adam", keras.optimizers.legacy.SGD(learning_rate=0.01, momentum=0.9)):
        fitted(agent_of(optimizer=optimizer), 60)


def test_several_inputs_are_for_the_vendor_agent():
    first, second = keras.Input((1, 2)), keras.Input((1, 2))
    joined = keras.layers.Flatten()(keras.layers.Concatenate()([first, second]))
    with pytest.raises(ValueError, match="VendorDQNAgent"):
        agent_of(keras.Model([first, second], keras.layers.Dense(2)(joined)))


STATEFUL = {
    "LSTM": lambda: [keras.layers.LSTM(2, stateful=True)],
    "Bidirectional": lambda: [keras.layers.Bidirectional(keras.layers.GRU(2, stateful=True))],
    "TimeDistributed": lambda: [
        keras.layers.Reshape((1, 1, 4)),
        keras.layers.TimeDistributed(keras.layers.LSTM(2, stateful=True)),
        keras.layers.Flatten(),
    ],
    "Sequential": lambda: [keras.Sequential([keras.layers.LSTM(2, stateful=True)])],
}


@pytest.mark.parametrize("name", STATEFUL)
def test_a_layer_that_keeps_its_state_between_calls_is_refused_by_name(name):
    first = keras.layers.InputLayer(batch_input_shape=(1, 1, 4))
    model = keras.Sequential([first, *STATEFUL[name](), keras.layers.Dense(2)])
    with pytest.raises(ValueError, match=rf"stateful=True of {name} '.*VendorDQNAgent"):
        agent_of(model)


def test_a_layer_of_another_dtype_is_refused_by_name():
    model = network()
    model.add(keras.layers.Dense(2, dtype="float16", name="half"))
    with pytest.raises(ValueError, match=r"computes in float32, not in float16 as Dense 'half'"):
        agent_of(model)


AGENTS = pytest.mark.parametrize("agent_class", [CompiledDQNAgent, VendorDQNAgent])


@AGENTS
def test_graph_mode_is_refused(agent_class):
    with tf.Graph().as_default(), pytest.raises(ValueError, match=r"disable_eager_execution\(\)"):
        agent_class(
            network(), nb_actions=2, memory=SequentialMemory(100), nb_steps_warmup=9
        ).compile(keras.optimizers.Adam())


@AGENTS
def test_keras_3_is_refused_with_what_to_write(agent_class):
    import keras as keras_3

    remedy = "legacy Keras, this is one of keras.*from kerasrl_runner.keras_rl import keras"
    model = keras_3.Sequential([keras_3.layers.Flatten(), keras_3.layers.Dense(2)])
    with pytest.raises(ValueError, match=remedy):
        agent_class(model, nb_actions=2, memory=SequentialMemory(100))
    keras.Sequential()
    agent = agent_class(network(), nb_actions=2, memory=SequentialMemory(100), nb_steps_warmup=9)
    with pytest.raises(ValueError, match=remedy):
        agent.compile(keras_3.optimizers.Adam())


class Measuring(Processor):
    metrics_names = ["speed"]  # noqa: RUF012  as the vendor's
    metrics = [7.0]  # noqa: RUF012


@AGENTS
def test_metrics_have_the_vendors_names_and_places(agent_class, tmp_path):
    keras.Sequential()
    agent = agent_class(
        network(),
        annealed(EpsGreedyQPolicy()),
        nb_actions=2,
        memory=SequentialMemory(100),
        nb_steps_warmup=9,
        batch_size=4,
        processor=Measuring(),
    )
    agent.compile("adam")
    assert agent.metrics_names == ["loss", "mean_q", "mean_eps", "speed"]
    agent.compile("adam", metrics=["mae"])
    assert agent.metrics_names == ["loss", "mae", "mean_q", "mean_eps", "speed"]
    log = tmp_path / "log.json"
    logger = rl_callbacks.FileLogger(log)
    cartpole = gymnasium.make("CartPole-v1")
    agent.fit(cartpole, 40, callbacks=[logger], verbose=0, nb_max_episode_steps=15)
    written = json.loads(log.read_text())
    assert math.isfinite(written["mae"][-1])
    assert written["speed"][-1] == 7.0


def test_a_metric_that_is_not_reported_is_named():
    with pytest.warns(UserWarning, match=r"expected \"mae\" alone, received \['mse'\]"):
        agent_of().compile("adam", metrics=["mse"])


@AGENTS
def test_the_trainable_model_and_the_optimizer_can_be_looked_at(agent_class, capsys):
    keras.Sequential()
    agent = agent_class(network(), nb_actions=2, memory=SequentialMemory(100), nb_steps_warmup=9)
    for name in ("trainable_model", "optimizer"):
        assert not hasattr(agent, name)
    optimizer = keras.optimizers.Adam()
    agent.compile(optimizer)
    assert agent.optimizer is optimizer
    assert agent.trainable_model.optimizer is not None
    agent.trainable_model.summary()
    assert "dense" in capsys.readouterr().out


def test_the_trainable_model_has_the_trained_weights_and_saves(tmp_path):
    agent = fitted(agent_of(), 60)
    assert agent.trainable_model.optimizer is agent.optimizer
    agent.trainable_model.save(tmp_path / "m.keras")
    saved = keras.models.load_model(tmp_path / "m.keras").get_weights()
    for one, other in zip(agent.trainable_model.get_weights(), saved, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "arguments", [{"gamma": 2}, {"delta_clip": 0}, {"batch_size": 0}, {"gradient_steps": 0}]
)
def test_an_argument_out_of_its_range_is_refused(arguments):
    ((name, value),) = arguments.items()
    with pytest.raises(ValueError, match=f"{name}: expected .*, received {value}"):
        agent_of(**arguments)


def test_what_a_script_changes_counts_from_the_next_update():
    agent = fitted(agent_of(target_model_update=0.05), 60)
    updates = int(agent.optimizer.iterations)
    agent.gamma, agent.batch_size, agent.gradient_steps = 0.5, 16, 2
    agent.target_model_update = 30
    fitted(agent, 30)
    assert int(agent.optimizer.iterations) == updates + 60
    assert agent._update.settings[:5] == (np.inf, False, None, 16, 2)
    assert set(np.unique(agent._update.batch.discounts)) <= {0.0, 0.5}  # gamma, where it goes on


def test_a_preset_with_such_a_layer_names_the_other_engine():
    layer = 'model.layers=[{Dense={units=3, dtype="float16", name="half"}}]'
    with pytest.raises(PresetError, match=r"'half'.*--engine keras-rl"):
        build(load_preset("cartpole-kerasrl", [layer]))
