"""What happens around the steps of the vendor's fit and test (D6, D7, D18b, D20, D21, D22)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from agents.support import (
    NEVER,
    AfterEachStep,
    IdleAgent,
    constant,
    equal_weights,
    make_agent,
    weights_of,
)
from vendor.support import OldGym, VendorLoop

from kerasrl_runner.environments.adapter import KerasRLEnvironment
from kerasrl_runner.errors import EnvironmentFailed
from kerasrl_runner.keras_rl import Callback, EpsGreedyQPolicy, LinearAnnealedPolicy, keras
from kerasrl_runner.preset import load_preset
from kerasrl_runner.runs.training import fit
from kerasrl_runner.vendor import rl_callbacks
from kerasrl_runner.weights.file import read_weights


def _faulty(fault: BaseException, at: int) -> gymnasium.Env:
    return gymnasium.make("gyms:Faulty-v0", fault=fault, at=at)


class Endings(Callback):
    """Writes down every on_train_end."""

    def __init__(self) -> None:
        super().__init__()
        self.aborted: list[bool] = []

    def on_train_end(self, logs: Any = None) -> None:
        self.aborted.append(logs["did_abort"])


def test_D6_the_vendor_renders_in_a_way_that_gymnasium_refuses() -> None:
    visualizer = rl_callbacks.Visualizer()
    visualizer._set_env(gymnasium.make("CartPole-v1", render_mode="rgb_array"))
    with pytest.raises(TypeError, match="mode"):
        visualizer.on_action_end(0, {})


def test_D6_test_shows_nothing_of_an_environment_without_a_render_mode(recwarn: Any) -> None:
    history = make_agent().test(constant(max_episode_steps=5), verbose=0)
    assert history.history["nb_steps"] == [5]
    assert not [warning for warning in recwarn if "render_mode" in str(warning.message)]


@pytest.mark.parametrize("visualize", [None, True])
def test_D6_test_renders_every_step_of_an_environment_made_for_it(visualize: bool | None) -> None:
    class Counted(gymnasium.Wrapper):
        renders = 0

        def render(self) -> Any:
            self.renders += 1
            return super().render()

    env = Counted(gymnasium.make("CartPole-v1", render_mode="rgb_array", max_episode_steps=4))
    make_agent(observation=(4,)).test(env, visualize=visualize, verbose=0)
    assert env.renders == 4


def test_D6_rendering_without_a_render_mode_says_how_to_get_one() -> None:
    with pytest.warns(UserWarning, match="render_mode="):
        make_agent().test(constant(max_episode_steps=2), visualize=True, verbose=0)


@pytest.mark.parametrize(
    "info", [{"action_mask": np.array([1, 0])}, {"episode": {"r": 1.0}}, {"nothing": None}]
)
def test_D7_the_vendor_fails_on_ordinary_info(info: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        VendorLoop().fit(OldGym(info=info), 5, verbose=0)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_D7b_the_vendor_fails_when_a_key_of_info_goes_away() -> None:
    class Changing(OldGym):
        def step(self, action: int) -> Any:
            observation, reward, over, _ = super().step(action)
            return observation, reward, over, {"odd": 1.0} if self.steps % 2 else {}

    with pytest.raises(KeyError, match="odd"):
        VendorLoop().fit(Changing(), 5, verbose=1)


@pytest.mark.parametrize("verbose", [0, 1, 2])
def test_D7_D7b_any_info_is_taken(verbose: int) -> None:
    agent = make_agent()
    agent.fit(gymnasium.make("gyms:Informing-v0"), 20, verbose=verbose, log_interval=7)
    assert agent.step == 20
    agent.test(gymnasium.make("gyms:Informing-v0"), verbose=verbose)


def test_D18b_the_vendors_test_inside_fit_resets_the_training() -> None:
    seen: list[Any] = []
    evaluate = AfterEachStep(lambda a: a.test(OldGym(length=3), visualize=False, verbose=0), only=5)
    watch = AfterEachStep(lambda a: seen.append((a.step, a.training)))
    VendorLoop().fit(OldGym(), 8, callbacks=[evaluate, watch], verbose=0)
    assert [step for step, _ in seen] == [0, 1, 2, 3, 4, 3, 4, 5, 6, 7]
    assert not any(training for _, training in seen[5:])


def test_D18b_test_inside_fit_changes_nothing_that_is_learned() -> None:
    def trained(evaluate: bool) -> Any:
        agent, seen = make_agent(units=8), []
        acts = [AfterEachStep(lambda a: seen.append((a.step, a.training)))]
        if evaluate:
            env = constant(max_episode_steps=6)
            acts.insert(0, AfterEachStep(lambda a: a.test(env, 2, verbose=0)))
        agent.fit(constant(), 30, callbacks=acts, verbose=0, nb_max_episode_steps=7)
        assert seen == [(step, True) for step in range(30)]
        return weights_of(agent)

    assert equal_weights(trained(evaluate=True), trained(evaluate=False))


@pytest.mark.parametrize("moment", ["on_train_begin", "on_episode_begin", "on_episode_end"])
def test_D18b_D19_test_at_any_moment_of_a_second_fit_keeps_its_steps(moment: str) -> None:
    evaluation, evaluate = constant(max_episode_steps=3), Callback()
    agent, steps = make_agent(train_interval=NEVER), []
    setattr(evaluate, moment, lambda *_, **__: agent.test(evaluation, verbose=0))
    watch = AfterEachStep(lambda a: steps.append(a.step))
    agent.fit(constant(), 20, verbose=0)
    agent.fit(constant(), 20, callbacks=[evaluate, watch], verbose=0, nb_max_episode_steps=6)
    assert steps == list(range(20, 40))


def test_D18b_evaluating_a_run_changes_nothing_that_is_learned(tmp_path: Path) -> None:
    learned = []
    for every in (0, 40):
        preset = load_preset(
            "cartpole", ["agent.nb_steps_warmup=64", f"evaluate.every_steps={every}"]
        )
        result = fit(preset, seed=1, steps=130, run_dir=tmp_path / str(every))
        file = read_weights(Path(str(result.weights)))
        learned.append([value for layer in file.layers for _, value in layer.weights])
    assert equal_weights(*learned)


def test_D20_the_vendors_test_lets_ctrl_c_through_and_fit_goes_on_exploring() -> None:
    class Interrupting(OldGym):
        def step(self, action: int) -> Any:
            if self.steps == 3:
                raise KeyboardInterrupt
            return super().step(action)

    agent = VendorLoop()
    agent.fit(Interrupting(), 10, verbose=0)
    assert agent.training
    with pytest.raises(KeyboardInterrupt):
        agent.test(Interrupting(), visualize=False, verbose=0)


@pytest.mark.parametrize(("loop", "steps"), [("fit", 7), ("test", 0)])
def test_D20_ctrl_c_ends_the_loop_and_is_reported_until_the_next(loop: str, steps: int) -> None:
    agent, endings = make_agent(), Endings()
    try:
        getattr(agent, loop)(_faulty(KeyboardInterrupt(), 8), 20, callbacks=[endings], verbose=0)
    except KeyboardInterrupt:  # which would end pytest itself
        pytest.fail("Ctrl-C came through")
    assert agent.interrupted
    assert not agent.training
    assert agent.step == steps
    agent.fit(constant(), 5, callbacks=[endings], verbose=0)
    assert not agent.interrupted
    assert endings.aborted == [True, False]


@pytest.mark.parametrize("loop", ["fit", "test"])
def test_D20_an_exception_calls_on_train_end_once(loop: str) -> None:
    agent, endings = make_agent(), Endings()
    with pytest.raises(EnvironmentFailed):
        getattr(agent, loop)(_faulty(OSError(), 8), 20, callbacks=[endings], verbose=0)
    assert endings.aborted == [True]
    assert not agent.training


def test_D20_after_fit_the_agent_no_longer_explores() -> None:
    policy = LinearAnnealedPolicy(
        EpsGreedyQPolicy(), "eps", value_max=1.0, value_min=1.0, value_test=0.0, nb_steps=9
    )
    agent = make_agent(policy=policy)
    agent.fit(constant(), 5, verbose=0)
    best = int(np.argmax(agent.compute_q_values([np.ones(1)])))
    assert {int(agent.forward(np.ones(1))) for _ in range(30)} == {best}


class StopAt(Callback):
    """Sets `stop_training` as Keras' callbacks do, after the given step."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self.step = step

    def on_step_end(self, step: int, logs: Any = None) -> None:
        if step == self.step:
            self.model.stop_training = True


def test_D21_the_vendor_ignores_stop_training() -> None:
    agent = VendorLoop()
    agent.fit(OldGym(), 20, callbacks=[StopAt(5)], verbose=0)
    assert agent.step == 20


def test_D21_fit_ends_where_a_callback_stops_it() -> None:
    agent, endings = make_agent(), Endings()
    agent.fit(constant(), 20, callbacks=[StopAt(5), endings], verbose=0)
    assert agent.step == 6
    assert not agent.interrupted
    assert endings.aborted == [False]
    agent.fit(constant(), 20, verbose=0)
    assert agent.step == 26


def test_D21_keras_early_stopping_ends_fit() -> None:
    agent = make_agent(train_interval=NEVER)
    # every episode returns 3, so that the second is the first without an improvement
    stop = keras.callbacks.EarlyStopping(monitor="episode_reward", mode="max", patience=1)
    agent.fit(constant(), 60, callbacks=[stop], verbose=0, nb_max_episode_steps=3)
    assert agent.step == 6


def test_D22_test_ends_in_an_environment_that_never_does() -> None:
    agent = make_agent(agent_class=IdleAgent)
    assert agent.test(constant(), verbose=0).history["nb_steps"] == [10_000]
    history = agent.test(constant(), nb_episodes=2, nb_max_episode_steps=9, verbose=0)
    assert history.history["nb_steps"] == [9, 9]


def test_D22_the_cap_of_a_test_is_not_left_on_the_environment() -> None:
    env = KerasRLEnvironment(constant(), nb_max_episode_steps=4)
    agent = make_agent(train_interval=NEVER)
    agent.test(env, nb_max_episode_steps=9, verbose=0)
    history = agent.fit(env, 12, verbose=0)
    assert history.history["nb_episode_steps"] == [4, 4, 4]
