"""The agent of engine keras-rl beyond the vendor's defects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from agents.support import equal_weights, learn_steps, make_agent, q_network, weights_of

from kerasrl_runner.errors import WeightsError
from kerasrl_runner.vendor import MultiInputProcessor, Processor, keras


def _cartpole() -> gymnasium.Env:
    return gymnasium.make("CartPole-v1")


def _constant(**arguments: Any) -> gymnasium.Env:
    return gymnasium.make("gyms:Constant-v0", **arguments)


@pytest.mark.parametrize("target_model_update", [0.1, 7])
def test_equal_seeds_learn_equal_weights_and_others_do_not(target_model_update: float) -> None:
    def trained(seed: int) -> Any:
        agent = make_agent(units=8, seed=seed, target_model_update=target_model_update)
        agent.fit(_constant(), 40, verbose=0, nb_max_episode_steps=9)
        return weights_of(agent)

    first = trained(1)
    assert equal_weights(first, trained(1))
    assert not equal_weights(first, trained(2))


@pytest.mark.parametrize(
    ("window", "double", "dueling"),
    [(1, True, False), (1, True, True), (2, False, True), (2, True, True)],
)
def test_double_dueling_and_windows_go_together(window: int, double: bool, dueling: bool) -> None:
    agent = make_agent(
        observation=(4,), units=8, window=window,
        enable_double_dqn=double, enable_dueling_network=dueling,
    )  # fmt: skip
    before = weights_of(agent)
    agent.fit(_cartpole(), 30, verbose=0)
    assert agent.step == 30
    assert not equal_weights(before, weights_of(agent))
    assert agent.test(_cartpole(), nb_episodes=2, verbose=0).history["nb_steps"][1] > 0


def test_closing_entries_count_for_the_warm_up() -> None:
    agent = make_agent(nb_steps_warmup=12)
    learned = learn_steps(agent)
    agent.fit(_constant(), 14, verbose=0, nb_max_episode_steps=3)
    # four entries an episode of three steps: the 12th entry is the third closing one, and the
    # step after it is the first that finds the memory filled
    assert learned[0] == 9


def test_learning_happens_every_train_interval_steps() -> None:
    agent = make_agent(train_interval=4)
    learned = learn_steps(agent)
    agent.fit(_constant(), 21, verbose=0)
    assert learned == [8, 12, 16, 20]


def test_testing_learns_nothing() -> None:
    agent = make_agent()
    agent.fit(_constant(), 20, verbose=0)
    before, learned = weights_of(agent), learn_steps(agent)
    agent.test(_constant(), nb_max_episode_steps=20, verbose=0)
    assert learned == []
    assert equal_weights(before, weights_of(agent))


def test_weights_survive_a_file(tmp_path: Path) -> None:
    agent, other = (make_agent(units=5, seed=seed) for seed in (1, 2))
    agent.fit(_constant(), 20, verbose=0)
    agent.save_weights(tmp_path / "w.h5")
    other.load_weights(tmp_path / "w.h5")
    assert equal_weights(weights_of(agent), weights_of(other))
    state = [np.array([0.3])]
    np.testing.assert_array_equal(agent.compute_q_values(state), other.compute_q_values(state))


def test_loading_another_architecture_changes_nothing(tmp_path: Path) -> None:
    make_agent(units=6).save_weights(tmp_path / "w.h5")
    agent = make_agent(units=5)
    before = weights_of(agent)
    with pytest.raises(WeightsError, match="units = 6 where 5 was expected"):
        agent.load_weights(tmp_path / "w.h5")
    assert equal_weights(before, weights_of(agent))


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


@pytest.mark.parametrize("loop", ["fit", "test"])
@pytest.mark.parametrize("argument", [{"action_repetition": 2}, {"nb_max_start_steps": 2}])
def test_the_vendors_own_frame_skip_and_random_starts_are_refused(
    loop: str, argument: dict[str, int]
) -> None:
    with pytest.raises(ValueError, match="gymnasium wrapper"):
        getattr(make_agent(), loop)(_constant(), 5, verbose=0, **argument)


def test_an_agent_that_is_not_compiled_says_so_and_can_still_be() -> None:
    agent = make_agent()
    agent.compiled = False
    with pytest.raises(RuntimeError, match="compile"):
        agent.fit(_constant(), 5, verbose=0)
    agent.compile("sgd")
    agent.fit(_constant(), 5, verbose=0)
    assert agent.step == 5


def test_a_processor_sees_observations_rewards_and_actions() -> None:
    class Shifted(Processor):
        def process_observation(self, observation: Any) -> Any:
            return observation + 1

        def process_reward(self, reward: float) -> float:
            return 10 * reward

    agent = make_agent(processor=Shifted())
    agent.fit(_constant(), 8, verbose=0)
    batch = agent.memory.sample_batch(16)
    assert (batch.state == 2.0).all()
    assert (batch.next_state == 2.0).all()
    assert (batch.reward == 10.0).all()


@pytest.mark.parametrize("window", [1, 2])
def test_a_network_of_two_inputs_trains(window: int) -> None:
    keras.Sequential()
    inputs = [keras.layers.Input((window, size)) for size in (2, 3)]
    flat = [keras.layers.Flatten()(part) for part in inputs]
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.concatenate(flat)))
    agent = make_agent(model, window=window, processor=MultiInputProcessor(nb_inputs=2))
    before = weights_of(agent)
    agent.fit(gymnasium.make("gyms:Pair-v0"), 12, verbose=0, nb_max_episode_steps=5)
    assert agent.step == 12
    assert not equal_weights(before, weights_of(agent))


def test_a_soft_target_leaves_weights_that_are_whole_numbers_alone() -> None:
    agent = make_agent(q_network(hidden=[keras.layers.Normalization()]))  # it has a count
    before = weights_of(agent)
    agent.fit(gymnasium.make("gyms:Constant-v0"), 10, verbose=0)
    assert not equal_weights(before, weights_of(agent))
