"""Where an episode ends, and what the replay memory makes of it (D5, D8, D9, D17)."""

from __future__ import annotations

import contextlib
from typing import Any

import gymnasium
import numpy as np
import pytest
from agents.support import NEVER, AfterEachStep, constant, make_agent, q_network, stored_transitions
from vendor.support import graph_mode, vendor_agent

from kerasrl_runner.environments.adapter import KerasRLEnvironment
from kerasrl_runner.errors import EnvironmentFailed
from kerasrl_runner.keras_rl import (
    Callback,
    EpsGreedyQPolicy,
    Processor,
    SequentialMemory,
    keras,
)
from kerasrl_runner.vendor import rl_memory


def _trail(**arguments: Any) -> Any:
    return gymnasium.make("gyms:Trail-v0", **arguments)


def _trail_agent(**arguments: Any) -> Any:
    model = q_network((2,), window=arguments.get("window", 1))
    return make_agent(model, train_interval=NEVER, **arguments)


def _linear(learning_rate: float = 1.0) -> tuple[Any, Any]:
    """A Q table of two actions for one observation, and an optimizer that fills it quickly."""
    model = keras.Sequential(
        [
            keras.layers.Flatten(input_shape=(1, 1)),
            keras.layers.Dense(2, use_bias=False, kernel_initializer="zeros"),
        ]
    )
    return model, keras.optimizers.legacy.SGD(learning_rate)


RANDOM = EpsGreedyQPolicy(eps=1.0)
SETTINGS = {"gamma": 0.9, "batch_size": 32, "nb_steps_warmup": 40, "target_model_update": 5}


def test_D5_the_vendor_learns_a_time_limit_as_a_terminal_state() -> None:
    keras.utils.set_random_seed(0)
    env = KerasRLEnvironment(constant(max_episode_steps=10))
    model, optimizer = _linear(learning_rate=0.2)
    with graph_mode():
        keras.Sequential()
        agent = vendor_agent(
            keras.models.clone_model(model),
            optimizer=optimizer,
            policy=RANDOM,
            **{**SETTINGS, "target_model_update": 10},
        )
        agent.fit(env, 500, verbose=0)
        q_values = agent.compute_q_values([np.ones(1)])
    assert q_values.max() == pytest.approx(1 / (1 - 0.9 * 0.9), abs=0.7)  # about 5.3


def test_D5_learning_bootstraps_over_a_time_limit() -> None:
    env = constant(max_episode_steps=10)
    model, optimizer = _linear()
    agent = make_agent(model, optimizer=optimizer, policy=RANDOM, **SETTINGS)
    agent.fit(env, 400, verbose=0)
    np.testing.assert_allclose(agent.compute_q_values([np.ones(1)]), 10.0, atol=0.1)


@pytest.mark.parametrize(
    ("terminates", "truncates", "cap"),
    [(7, None, None), (None, 7, None), (None, None, 7), (7, 7, 7), (1, None, None)],
)
def test_D5_the_memory_holds_the_true_transitions_of_whole_episodes(
    terminates: int | None, truncates: int | None, cap: int | None
) -> None:
    env, agent = _trail(terminates=terminates, truncates=truncates), _trail_agent()
    agent.fit(env, 50, verbose=0, nb_max_episode_steps=cap)
    assert stored_transitions(agent.memory) == env.unwrapped.transitions
    assert len(env.unwrapped.transitions) == 50
    ends = sum(terminated for *_, terminated in env.unwrapped.transitions)
    assert ends == (50 // terminates if terminates else 0)


def test_D5_a_memory_that_cannot_tell_the_two_ends_apart_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot tell a time limit from a terminal state"):
        make_agent(memory=rl_memory.SequentialMemory(limit=100, window_length=1))


def test_D8_the_vendors_second_fit_stores_a_transition_across_two_episodes() -> None:
    env = KerasRLEnvironment(_trail(terminates=7))
    model = keras.Sequential([keras.layers.Flatten(input_shape=(1, 2)), keras.layers.Dense(2)])
    with graph_mode():
        agent = vendor_agent(keras.models.clone_model(model), nb_steps_warmup=NEVER)
        agent.fit(env, 10, verbose=0)
        agent.fit(env, 10, verbose=0)
    observations = [tuple(observation) for observation in agent.memory.observations]
    across = observations.index((3.0, 0.0))
    assert observations[across - 1] == (2.0, 2.0)
    assert not agent.memory.terminals[across - 1]


def test_D8_fits_in_a_row_store_no_transition_across_their_episodes() -> None:
    env, agent = _trail(terminates=7), _trail_agent()
    for steps in (10, 10, 1, 7, 4):
        agent.fit(env, steps, verbose=0)
    assert stored_transitions(agent.memory) == env.unwrapped.transitions
    assert len(env.unwrapped.transitions) == 32


@pytest.mark.parametrize("terminal", [False, True])
def test_D8_a_fit_after_entries_by_hand_stores_no_transition_across(terminal: bool) -> None:
    """Scripts put demonstrations into the memory before they train."""
    env, agent = _trail(terminates=7), _trail_agent()
    for number in (90, 91, 92):
        agent.memory.append(np.float32([number, 0]), 0, 0.0, terminal and number == 92)
    agent.fit(env, 10, verbose=0)
    stored = stored_transitions(agent.memory)
    by_hand = len(stored) - len(env.unwrapped.transitions)
    assert stored[by_hand:] == env.unwrapped.transitions
    starts = [(before[0], terminated) for before, _, _, _, terminated in stored[:by_hand]]
    assert starts == [(90, False), (91, False), (92, True)][: 3 if terminal else 2]


class CutStep(gymnasium.Wrapper):
    """Ends fit within its 10th step, before or after that reaches the environment."""

    def __init__(self, env: gymnasium.Env, fault: BaseException) -> None:
        super().__init__(env)
        self.fault, self.steps = fault, 0

    def step(self, action: Any) -> Any:
        self.steps += 1
        if self.steps == 10:
            raise self.fault
        return super().step(action)


class CutCallback(Callback):
    """Presses Ctrl-C between the 10th step and its storing."""

    actions = 0

    def on_action_end(self, action: int, logs: Any = None) -> None:
        self.actions += 1
        if self.actions == 10:
            raise KeyboardInterrupt


@pytest.mark.parametrize("fault", [KeyboardInterrupt(), ZeroDivisionError()])
def test_D8_a_fit_cut_in_a_step_stores_no_transition_across_episodes(fault: BaseException) -> None:
    env, agent = _trail(terminates=7), _trail_agent()
    with contextlib.suppress(EnvironmentFailed):
        agent.fit(CutStep(env, fault), 20, verbose=0)
    agent.fit(env, 10, verbose=0)
    assert stored_transitions(agent.memory) == env.unwrapped.transitions
    assert len(env.unwrapped.transitions) == 19


def test_D8_a_fit_cut_between_a_step_and_its_storing_invents_no_transition() -> None:
    env, agent = _trail(), _trail_agent()
    agent.fit(env, 20, callbacks=[CutCallback()], verbose=0)
    assert agent.interrupted
    assert stored_transitions(agent.memory) == env.unwrapped.transitions[:9]


def test_D8_a_processor_sees_every_observation_even_the_last_and_every_reward() -> None:
    class Halved(Processor):
        def process_observation(self, observation: Any) -> Any:
            return observation / 2

        def process_reward(self, reward: float) -> float:
            return 10 * reward

    agent = _trail_agent(processor=Halved())
    agent.fit(_trail(), 4, verbose=0)
    found = [(entry[0], *entry[2:4]) for entry in stored_transitions(agent.memory)]
    assert found == [
        ((0.5, step / 2), 1_010.0 + 10 * step, (0.5, (step + 1) / 2)) for step in range(4)
    ]


def test_D8_a_test_after_fit_leaves_the_memory_as_it_was() -> None:
    env, agent = _trail(terminates=7), _trail_agent(window=3)
    agent.fit(env, 10, verbose=0)
    entries = agent.memory.nb_entries
    agent.test(_trail(terminates=4), nb_episodes=2, verbose=0)
    assert agent.memory.nb_entries == entries
    assert agent.memory.get_recent_state(np.array([9.0, 9.0]))[0].tolist() == [0.0, 0.0]


def test_D8_D18b_a_test_inside_fit_leaves_the_window_and_the_memory_as_they_were() -> None:
    tested = 0

    def probe(agent: Any) -> None:
        nonlocal tested
        window, entries = agent.memory.get_recent_state(np.zeros(2)), agent.memory.nb_entries
        agent.test(_trail(terminates=4), nb_episodes=2, verbose=0)
        np.testing.assert_array_equal(agent.memory.get_recent_state(np.zeros(2)), window)
        assert agent.memory.nb_entries == entries
        tested += 1

    env, agent = _trail(terminates=7), _trail_agent(window=3)
    agent.fit(env, 20, callbacks=[AfterEachStep(probe)], verbose=0)
    assert tested == 20


def test_D9_the_vendor_skips_steps_and_loses_terminals_at_memory_interval_2() -> None:
    env = KerasRLEnvironment(_trail(terminates=7))
    model = keras.Sequential([keras.layers.Flatten(input_shape=(1, 2)), keras.layers.Dense(2)])
    with graph_mode():
        agent = vendor_agent(
            keras.models.clone_model(model), nb_steps_warmup=NEVER, memory_interval=2
        )
        agent.fit(env, 50, verbose=0)
    assert sum(agent.memory.terminals) < 50 // 7


class _Endless(Exception):
    pass


def test_D17_the_vendor_draws_forever_from_a_short_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    draws = 0

    def counted(low: int, high: int, size: int) -> list[int]:
        nonlocal draws
        draws += 1
        if draws > 1_000:
            raise _Endless
        return [low] * size

    monkeypatch.setattr(rl_memory, "sample_batch_indexes", counted)
    memory = rl_memory.SequentialMemory(limit=10, window_length=1)
    for terminal in (True, False, True):
        memory.append(np.zeros(1), 0, 0.0, terminal)
    with pytest.raises(_Endless):
        memory.sample(1)


@pytest.mark.parametrize("limit", [3, 4, 10])
def test_D17_a_memory_of_short_episodes_is_sampled_at_once(limit: int) -> None:
    memory = SequentialMemory(limit=limit, window_length=1)
    for episode in range(20):
        memory.append(np.array([episode, 0.0]), 0, float(episode), True)
        if memory.nb_entries >= 3:  # [T, F, T]
            batch = memory.sample_batch(64)
            assert batch.terminated.all()
        memory.end_episode(np.array([episode, 1.0]))
        if memory.nb_entries >= 3:
            batch = memory.sample_batch(64)
            assert (batch.state[:, 0, 0] == batch.reward).all()
            assert (batch.state[:, 0, 1] == 0).all()
            assert (batch.next_state[:, 0, 1] == 1).all()
