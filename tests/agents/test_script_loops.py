"""What a script's fit and test hand to its processor and callbacks, and how they count."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import gymnasium
import numpy as np
import pytest
from agents.support import (
    NEVER,
    AfterEachStep,
    IdleAgent,
    constant,
    make_agent,
    q_network,
    stored_transitions,
)

from kerasrl_runner import vendor
from kerasrl_runner.errors import EnvironmentFailed
from kerasrl_runner.keras_rl import Callback, DQNAgent, Policy, Processor, VendorDQNAgent

LOOPS = ("fit", "test")


class Watching(Processor):
    """Writes down what passes through it, and names itself in info."""

    def __init__(self) -> None:
        self.rewards: list[Any] = []
        self.infos: list[Any] = []

    def process_reward(self, reward: Any) -> Any:
        self.rewards.append(reward)
        return reward

    def process_info(self, info: Any) -> Any:
        self.infos.append(info)
        return {**info, "processed": True} if info else info


class Infos(Callback):
    """Writes down every step's info."""

    def __init__(self) -> None:
        super().__init__()
        self.infos: list[Any] = []

    def on_step_end(self, step: int, logs: Any = None) -> None:
        self.infos.append(logs["info"])


def _trail(**arguments: Any) -> Any:
    return gymnasium.make("gyms:Trail-v0", **arguments)


def _trail_agent(**arguments: Any) -> Any:
    model = q_network((2,), window=arguments.get("window", 1))
    return make_agent(model, agent_class=IdleAgent, train_interval=NEVER, **arguments)


def _idle_agent(**arguments: Any) -> Any:
    return make_agent(agent_class=IdleAgent, train_interval=NEVER, **arguments)


@pytest.mark.parametrize("loop", LOOPS)
def test_info_reaches_processor_and_callbacks_as_it_is(loop: str) -> None:
    processor, callback = Watching(), Infos()
    agent = _idle_agent(processor=processor)
    env = gymnasium.make("gyms:Informing-v0")
    getattr(agent, loop)(env, 2, callbacks=[callback], verbose=0)
    steps = {"fit": 2, "test": 10}[loop]
    assert len(processor.infos) == len(callback.infos) == steps
    for seen, passed_on in zip(processor.infos, callback.infos, strict=True):
        assert seen["episode"] == {"r": 1.0, "l": 5}
        assert seen["action_mask"].tolist() == [1, 0]
        assert seen["nothing"] is None
        assert passed_on == {**seen, "processed": True}


@pytest.mark.parametrize("info", [None, {"legal": np.array([1, 0])}])
def test_without_a_processor_callbacks_get_the_environments_own_info(info: Any) -> None:
    env, callback = gymnasium.make("gyms:Faulty-v0", fault={"info": info}), Infos()
    _idle_agent().fit(env, 1, callbacks=[callback], verbose=0)
    assert callback.infos[0] is info


def test_a_test_in_a_fit_shares_the_processor_and_gives_it_back() -> None:
    processor, callback = Watching(), Infos()
    agent = _idle_agent(processor=processor)
    evaluation = gymnasium.make("gyms:Informing-v0")
    evaluate = AfterEachStep(lambda a: a.test(evaluation, verbose=0), only=1)
    agent.fit(gymnasium.make("gyms:Informing-v0"), 4, callbacks=[evaluate, callback], verbose=0)
    assert all(info["processed"] for info in callback.infos)
    assert len(processor.infos) == 4 + 5
    step = processor.process_step(np.ones(1), 1.0, False, {"text": "words"})
    assert step[3] == {"text": "words", "processed": True}


def test_a_processor_can_be_pickled_in_a_fit_and_used_again() -> None:
    processor, kept = Watching(), []
    keep = AfterEachStep(lambda a: kept.append(pickle.dumps(a.processor)), only=2)
    env = gymnasium.make("gyms:Informing-v0")
    _idle_agent(processor=processor).fit(env, 4, callbacks=[keep], verbose=0)
    again = pickle.loads(kept[0])
    _idle_agent(processor=again).fit(env, 4, verbose=0)
    assert len(processor.infos) == 4
    assert len(again.infos) == 3 + 4


@pytest.mark.parametrize("loop", LOOPS)
def test_callbacks_see_the_scripts_own_environment(loop: str) -> None:
    callback = Callback()
    env = constant(max_episode_steps=3)
    getattr(_idle_agent(), loop)(env, 1, callbacks=[callback], verbose=0)
    assert callback.env is env


def test_an_action_is_whatever_the_processor_makes_of_it() -> None:
    class Moving(Processor):
        def process_action(self, action: int) -> str:
            return ("left", "right")[action]

    class Told(gymnasium.Wrapper):
        told: Any = None

        def step(self, action: Any) -> Any:
            self.told = action
            return super().step(0)

    env = Told(constant())
    _idle_agent(processor=Moving()).fit(env, 1, verbose=0)
    assert env.told in ("left", "right")


def test_a_processor_makes_a_number_of_a_vector_of_rewards() -> None:
    class Summing(Watching):
        def process_reward(self, reward: Any) -> Any:
            return super().process_reward(reward).sum()

    env = gymnasium.make("gyms:Rewards-v0", rewards=(1.0, 2.0), shape=(3,))
    processor = Summing()
    agent = _idle_agent(processor=processor)
    history = agent.fit(env, 2, verbose=0).history
    assert processor.rewards[0].tolist() == [1.0, 1.0, 1.0]
    assert history["episode_reward"] == [9.0]
    for unsummed in (_idle_agent(), _idle_agent(processor=Processor())):
        with pytest.raises(EnvironmentFailed, match=r"\(reward\).*size 1"):
            unsummed.fit(env, 2, verbose=0)


@pytest.mark.parametrize("processor", [None, Processor()])
@pytest.mark.parametrize("reward", [0.1, np.float32(0.1), np.array([0.1], np.float32)])
def test_D27_a_reward_is_stored_without_rounding(reward: Any, processor: Any) -> None:
    env = gymnasium.make("gyms:Faulty-v0", fault={"reward": reward})
    agent = _idle_agent(processor=processor)
    agent.fit(env, 2, verbose=0)
    assert stored_transitions(agent.memory)[0][2] == float(np.asarray(reward).item())


def test_action_repetition_stores_the_summed_reward_of_one_action() -> None:
    env, agent = _trail(terminates=7), _trail_agent()
    history = agent.fit(env, 4, action_repetition=3, verbose=0).history
    first = [(before, reward, after, ends)
             for before, _, reward, after, ends in stored_transitions(agent.memory)]  # fmt: skip
    assert first == [
        ((1, 0), 101 + 102 + 103, (1, 3), False),
        ((1, 3), 104 + 105 + 106, (1, 6), False),
        ((1, 6), 107, (1, 7), True),
        ((2, 0), 201 + 202 + 203, (2, 3), False),
    ]
    assert agent.step == 4
    assert history["nb_episode_steps"] == [3]
    assert history["episode_reward"] == [float(sum(range(101, 108)))]
    assert agent.test(env, action_repetition=3, verbose=0).history["nb_steps"] == [3]


@pytest.mark.parametrize(("truncates", "cap"), [(4, None), (None, 2)])
def test_a_time_limit_within_a_repetition_is_no_terminal_state(
    truncates: int | None, cap: int | None
) -> None:
    env, agent = _trail(truncates=truncates), _trail_agent()
    history = agent.fit(env, 4, action_repetition=3, nb_max_episode_steps=cap, verbose=0).history
    assert history["nb_episode_steps"] == [2, 2]  # the cap counts as nb_steps does
    last = 4 if truncates else 6
    stored = stored_transitions(agent.memory)
    assert [after for *_, after, _ in stored] == [(1, 3), (1, last), (2, 3), (2, last)]
    assert not any(terminated for *_, terminated in stored)


@pytest.mark.parametrize("cap", [None, 3])
def test_start_steps_are_taken_and_neither_stored_nor_counted(cap: int | None) -> None:
    np.random.seed(1)
    env, agent = _trail(terminates=None if cap else 9), _trail_agent()
    agent.test_policy = agent.policy = vendor.GreedyQPolicy()  # idle agents take action 0
    starts = {"nb_max_start_steps": 5, "start_step_policy": lambda observation: 1}
    history = agent.fit(env, 30, verbose=0, nb_max_episode_steps=cap, **starts).history
    taken = env.unwrapped.transitions
    assert stored_transitions(agent.memory) == [step for step in taken if step[1] == 0]
    assert agent.step == 30
    started = [sum(a for (e, _), a, *_ in taken if e == episode) for episode in range(1, 7)]
    assert set(started) <= set(range(5))
    assert len(set(started)) > 1
    if cap:
        assert set(history["nb_episode_steps"]) == {3}
    tested = agent.test(env, 3, verbose=0, nb_max_episode_steps=cap, **starts).history
    assert all(steps == cap if cap else 9 - 5 < steps <= 9 for steps in tested["nb_steps"])


def test_an_episode_that_ends_in_its_start_steps_begins_anew_and_says_so_once() -> None:
    np.random.seed(0)
    vendor._warn_once.cache_clear()
    env, agent = _trail(terminates=2), _trail_agent()
    agent.policy = vendor.GreedyQPolicy()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        agent.fit(env, 20, verbose=0, nb_max_start_steps=6, start_step_policy=lambda observation: 1)
    assert [str(warning.message) for warning in caught] == ["start steps ended an episode"]
    taken = env.unwrapped.transitions
    assert stored_transitions(agent.memory) == [step for step in taken if step[1] == 0]
    assert agent.step == 20


def test_ctrl_c_in_a_test_ends_the_fit_around_it() -> None:
    evaluation = gymnasium.make("gyms:Faulty-v0", fault=KeyboardInterrupt(), at=3)
    evaluate = AfterEachStep(lambda a: a.test(evaluation, verbose=0), only=4)
    agent = _idle_agent()
    agent.fit(constant(), 20, callbacks=[evaluate], verbose=0)
    assert agent.interrupted
    assert agent.memory.nb_entries == 6  # five steps and the observation after them
    agent.fit(constant(), 5, verbose=0)
    assert not agent.interrupted


def test_a_test_that_its_callback_stops_leaves_the_fit_going_on() -> None:
    def stop(agent: Any) -> None:
        agent.stop_training = True

    evaluate = AfterEachStep(
        lambda a: a.test(constant(), callbacks=[AfterEachStep(stop)], verbose=0)
    )
    agent = _idle_agent()
    agent.fit(constant(), 5, callbacks=[evaluate], verbose=0)
    assert agent.step == 5
    assert not agent.interrupted


@pytest.mark.parametrize("verbose", [0, 2])
def test_a_missing_render_mode_is_said_once(verbose: int) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _idle_agent().fit(constant(), 20, visualize=True, verbose=verbose, nb_max_episode_steps=4)
    assert len([w for w in caught if "render_mode" in str(w.message)]) == 1


def test_the_interval_logger_reports_of_info_what_is_a_number(capsys: Any) -> None:
    env = gymnasium.make("gyms:Informing-v0")
    _idle_agent().fit(env, 30, verbose=1, log_interval=8)
    printed = capsys.readouterr().out
    assert "- odd: 1.000" in printed
    assert "text" not in printed
    assert "action_mask" not in printed


@pytest.mark.parametrize("verbose", [1, 2])
def test_the_loggers_count_the_steps_of_their_own_fit(verbose: int, capsys: Any) -> None:
    agent = _idle_agent()
    agent.fit(constant(), 20, verbose=0)
    agent.fit(constant(), 12, verbose=verbose, nb_max_episode_steps=6)
    printed = capsys.readouterr().out
    assert "Training for 12 steps" in printed
    assert "32" not in printed.split("done, took")[0]


class One(Policy):
    """Always action 1."""

    def select_action(self, q_values: Any) -> int:
        return 1


@pytest.mark.parametrize("agent_class", [DQNAgent, VendorDQNAgent])
def test_a_loop_by_hand_learns_and_chooses_each_action(agent_class: Any) -> None:
    agent = make_agent(agent_class=agent_class, policy=One(), nb_steps_warmup=4, batch_size=2)
    agent.training = True
    before = agent.model.get_weights()[0].copy()
    actions = []
    for terminal in [False, False, True] * 3:
        actions.append(agent.forward(np.ones(1, np.float32)))
        agent.backward(1.0, terminal=terminal)
        agent.step += 1
    assert actions == [1] * 9
    assert list(agent.memory.actions) == [1] * 9
    # As to the vendor, what follows a terminal entry starts no transition.
    ends = [terminated for *_, terminated in stored_transitions(agent.memory)]
    assert ends == [False, False, True, False, True, False]
    assert (agent.model.get_weights()[0] != before).any()


class Halves(gymnasium.Env):
    """Resets to whole numbers, as many scripts do, and steps to others."""

    action_space = gymnasium.spaces.Discrete(2)
    observation_space = gymnasium.spaces.Box(0, 9, (2,))

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        return (0, 1), {}

    def step(self, action: int) -> Any:
        return np.array([0.5, 1.5]), 1.0, False, False, {}


@pytest.mark.parametrize("agent_class", [DQNAgent, VendorDQNAgent])
def test_whole_numbers_of_a_reset_may_be_followed_by_others(agent_class: Any) -> None:
    agent = make_agent(q_network((2,)), agent_class=agent_class, nb_steps_warmup=3)
    agent.fit(Halves(), 12, verbose=0)
    assert [list(o) for o in agent.memory.observations[:3]] == [[0, 1], [0.5, 1.5], [0.5, 1.5]]
    observations = [agent.memory.sample_batch(1, [index]).state.tolist() for index in (0, 5)]
    assert observations == [[[[0, 1]]], [[[0.5, 1.5]]]]
    if agent_class is DQNAgent:  # the program's own copy of a batch
        draw = agent.memory.sample_batch
        agent.memory.sample_batch = lambda size, **ahead: draw(size, [5] * size, **ahead)
        agent.fit(Halves(), 1, verbose=0)
        assert (agent._update.batch.states == [0.5, 1.5]).all()
