"""The agent of engine keras-rl beyond the vendor's defects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from agents.support import constant, equal_weights, make_agent, q_network, weights_of

from kerasrl_runner import load_model
from kerasrl_runner.keras_rl import DQNAgent, VendorDQNAgent
from kerasrl_runner.vendor import MultiInputProcessor, keras


def _cartpole() -> gymnasium.Env:
    return gymnasium.make("CartPole-v1")


def test_equal_seeds_learn_equal_weights_and_others_do_not() -> None:
    def trained(seed: int) -> Any:
        agent = make_agent(units=8, seed=seed, target_model_update=0.1)
        agent.fit(constant(), 40, verbose=0, nb_max_episode_steps=9)
        return weights_of(agent)

    first = trained(1)
    assert equal_weights(first, trained(1))
    assert not equal_weights(first, trained(2))


def test_double_dueling_and_windows_go_together() -> None:
    agent = make_agent(
        observation=(4,), units=8, window=2, enable_double_dqn=True, enable_dueling_network=True
    )
    before = weights_of(agent)
    agent.fit(_cartpole(), 30, verbose=0)
    assert agent.step == 30
    assert not equal_weights(before, weights_of(agent))
    assert agent.test(_cartpole(), nb_episodes=2, verbose=0).history["nb_steps"][1] > 0


@pytest.mark.parametrize("agent_class", [DQNAgent, VendorDQNAgent])
def test_the_callers_model_is_the_agents_and_trained(agent_class: Any, tmp_path: Path) -> None:
    model = q_network(hidden=[keras.layers.Dense(3), keras.layers.BatchNormalization()])
    before = model.get_weights()
    agent = make_agent(model, agent_class=agent_class)
    assert agent.model is model
    agent.fit(constant(), 12, verbose=0)
    assert equal_weights(model.get_weights(), weights_of(agent))
    assert not equal_weights(model.get_weights(), before)
    model.save_weights(tmp_path / "model.h5")
    agent.model.save(tmp_path / "agent.h5")
    for name in ("model.h5", "agent.h5"):
        other = make_agent(keras.models.clone_model(model), agent_class=agent_class)
        other.load_weights(tmp_path / name)
        assert equal_weights(other.model.get_weights(), weights_of(agent))
    state = np.array([0.7])
    q_values = agent.model.predict(state[None, None], verbose=0)[0]
    np.testing.assert_allclose(q_values, agent.compute_q_values([state]), rtol=1e-5)


def test_weights_that_are_given_to_the_callers_model_count_from_the_next_call() -> None:
    agent = make_agent(model := q_network())
    agent.compute_q_values([np.ones(1)])
    model.set_weights([np.full(weights.shape, 2.0) for weights in model.get_weights()])
    assert agent.compute_q_values([np.ones(1)]).tolist() == [4.0, 4.0]
    with pytest.raises(AttributeError, match="make an agent of that model"):
        agent.model = q_network()
    agent.fit(constant(), 3, verbose=0)
    assert equal_weights(model.get_weights(), [np.full((1, 2), 2.0), np.full(2, 2.0)])


@pytest.mark.parametrize("agent_class", [DQNAgent, VendorDQNAgent])
@pytest.mark.parametrize("dueling_type", ["avg", "max", "naive"])
def test_a_dueling_agents_own_model_is_saved_and_read(
    dueling_type: str, agent_class: Any, tmp_path: Path
) -> None:
    def agent(seed: int) -> Any:
        arguments: Any = {"agent_class": agent_class, "dueling_type": dueling_type}
        return make_agent(units=3, seed=seed, enable_dueling_network=True, **arguments)

    one, other = agent(1), agent(2)
    one.model.save(tmp_path / "m.h5")
    other.load_weights(tmp_path / "m.h5")
    state = [np.array([0.7])]
    expected = one.compute_q_values(state)
    np.testing.assert_allclose(other.compute_q_values(state), expected, rtol=1e-5)
    again = load_model(tmp_path / "m.h5").predict(np.array([state]), verbose=0)
    np.testing.assert_allclose(again[0], expected, rtol=1e-5)


def test_a_model_of_another_number_of_actions_is_refused() -> None:
    with pytest.raises(ValueError, match="invalid shape"):
        make_agent(q_network(actions=2), nb_actions=3)


def test_an_agent_that_is_not_compiled_says_so_and_can_still_be() -> None:
    agent = make_agent()
    agent.compiled = False
    with pytest.raises(RuntimeError, match="compile"):
        agent.fit(constant(), 5, verbose=0)
    agent.compile("sgd")
    agent.fit(constant(), 5, verbose=0)
    assert agent.step == 5


@pytest.mark.parametrize("kind", [tuple, list])
def test_a_network_of_two_inputs_trains_on_windows(kind: type) -> None:
    keras.Sequential()
    inputs = [keras.layers.Input((2, size)) for size in (2, 3)]
    flat = [keras.layers.Flatten()(part) for part in inputs]
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.concatenate(flat)))
    agent = make_agent(model, window=2, processor=MultiInputProcessor(nb_inputs=2))
    before = weights_of(agent)
    env = gymnasium.make("gyms:Pair-v0")
    env = gymnasium.wrappers.TransformObservation(env, kind, env.observation_space)
    agent.fit(env, 12, verbose=0, nb_max_episode_steps=5)
    assert agent.step == 12
    assert not equal_weights(before, weights_of(agent))


def test_a_soft_target_leaves_weights_that_are_whole_numbers_alone() -> None:
    agent = make_agent(q_network(hidden=[keras.layers.Normalization()]))  # it has a count
    before = weights_of(agent)
    agent.fit(constant(), 10, verbose=0)
    assert not equal_weights(before, weights_of(agent))
