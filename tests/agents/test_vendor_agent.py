"""The agent of engine keras-rl beyond the vendor's defects."""

from __future__ import annotations

from typing import Any

import gymnasium
import pytest
from agents.support import constant, equal_weights, make_agent, q_network, weights_of

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


def test_the_callers_model_is_copied_with_its_weights() -> None:
    keras.Sequential()
    model = q_network()
    weights = model.get_weights()
    agent = make_agent(model)
    assert agent.model is not model
    assert equal_weights(weights_of(agent), weights)


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


def test_a_network_of_two_inputs_trains_on_windows() -> None:
    keras.Sequential()
    inputs = [keras.layers.Input((2, size)) for size in (2, 3)]
    flat = [keras.layers.Flatten()(part) for part in inputs]
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.concatenate(flat)))
    agent = make_agent(model, window=2, processor=MultiInputProcessor(nb_inputs=2))
    before = weights_of(agent)
    agent.fit(gymnasium.make("gyms:Pair-v0"), 12, verbose=0, nb_max_episode_steps=5)
    assert agent.step == 12
    assert not equal_weights(before, weights_of(agent))


def test_a_soft_target_leaves_weights_that_are_whole_numbers_alone() -> None:
    agent = make_agent(q_network(hidden=[keras.layers.Normalization()]))  # it has a count
    before = weights_of(agent)
    agent.fit(constant(), 10, verbose=0)
    assert not equal_weights(before, weights_of(agent))
