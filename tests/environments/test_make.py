"""The environment that a preset names."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import gymnasium
import pygame
import pytest
from commands import python

from kerasrl_runner.environments.adapter import as_keras_rl
from kerasrl_runner.environments.make import build_environment, check_rendering, make_environment
from kerasrl_runner.environments.seeds import TRAINING
from kerasrl_runner.errors import EnvironmentFailed, PresetError
from kerasrl_runner.preset import load_preset
from kerasrl_runner.preset.schema import Env


def test_an_unknown_id_suggests_the_nearest() -> None:
    with pytest.raises(PresetError, match=r'env\.id: .*Did you mean "CartPole-v1"\?'):
        make_environment(Env(id="CartPol-v1"))


# A package that is not there, the environment that is asked for, and what the answer names.
MISSING = [
    ("ale_py", "ale_py:ALE/Pong-v5", "[]", "kerasrl-runner[atari]"),
    ("ale_py", "ALE/Pong-v5", "[]", "ale_py:ALE/Pong-v5 of a module"),
    ("ale_py", "ALE/Pong-v5", "[]", "kerasrl-runner[atari]"),
    ("cv2", "ale_py:ALE/Pong-v5", '[{"gymnasium.wrappers:AtariPreprocessing" = {}}]',
     "kerasrl-runner[atari]"),
    ("Box2D", "LunarLander-v3", "[]", "kerasrl-runner[box2d]"),
    ("minatar", "kerasrl_runner.environments.minatar:MinAtar/Breakout-v1", "[]",
     "kerasrl-runner[minatar]"),
    ("minatar", "MinAtar/Breakout-v1", "[]", "kerasrl_runner.environments.minatar:MinAtar/Break"),
]  # fmt: skip
ASK = """
import sys
from kerasrl_runner.environments.make import make_environment
from kerasrl_runner.errors import RunnerError
from kerasrl_runner.preset import load_preset
for package, name, wrappers, _ in {cases!r}:
    sys.modules[package] = None  # as if it were not installed
    try:
        preset = load_preset("cartpole", ["env.id=" + name, "env.wrappers=" + wrappers])
        make_environment(preset.env)
    except RunnerError as error:
        print(error)
    del sys.modules[package]
    sys.modules.pop("ale_py", None)
"""


def test_a_missing_package_is_answered_with_the_extra_to_install(tmp_path: Path) -> None:
    answers = python(ASK.format(cases=MISSING), tmp_path).splitlines()
    found = [case[-1] in answer for case, answer in zip(MISSING, answers, strict=True)]
    assert all(found), answers


def test_a_version_that_is_gone_names_the_one_that_is_there() -> None:
    with pytest.raises(
        PresetError, match=r"v2 .* is deprecated.*use `LunarLander-v3` instead\. Did"
    ):
        make_environment(Env(id="LunarLander-v2"))


@pytest.mark.parametrize("name", ["no_such_module:Thing-v0", "CartPole-v99", "LunarLander-v2"])
def test_what_gymnasium_does_not_know_is_refused(name: str) -> None:
    with pytest.raises(PresetError, match=r"^env\.id: "):
        make_environment(Env(id=name))


def test_max_episode_steps_is_gymnasiums() -> None:
    env = make_environment(Env(id="gyms:Constant-v0", max_episode_steps=3))
    env.reset()
    assert [env.step(0)[3] for _ in range(3)] == [False, False, True]


def test_kwargs_reach_the_environment() -> None:
    env = make_environment(Env(id="FrozenLake-v1", kwargs={"is_slippery": False}))
    env.reset(seed=0)
    assert env.step(2)[0] == 1  # right, without slipping


def test_a_presets_rewards_are_clipped_replaced_and_scaled() -> None:
    shaped = {"reward_clip": [0.0, 0.5], "terminal_reward": -20.0, "reward_scale": 0.1}
    environment = build_environment(load_preset("cartpole", sections={"env": shaped}), 0, TRAINING)
    environment.reset()
    rewards = [environment.step(0)[1]]
    while not environment.terminated:
        rewards.append(environment.step(0)[1])
    assert rewards == [0.05] * (len(rewards) - 1) + [-2.0]
    assert environment.episode_return == len(rewards)


STACKED = '{"gymnasium.wrappers:FrameStackObservation" = {stack_size = 3}}'
FLAT = '{"gymnasium.wrappers:FlattenObservation" = {}}'


@pytest.mark.parametrize(
    ("wrappers", "shape"), [([STACKED, FLAT], (48,)), ([FLAT, STACKED], (3, 16))]
)
def test_wrappers_are_put_on_in_order(wrappers: list[str], shape: tuple[int, ...]) -> None:
    overrides = ['env.id="gyms:Frames-v0"', f"env.wrappers=[{', '.join(wrappers)}]"]
    environment = build_environment(load_preset("cartpole-kerasrl", overrides), 0, TRAINING)
    assert environment.reset().shape == environment.example().shape == shape


@pytest.mark.parametrize(
    ("wrapper", "words"),
    [
        ('"gymnasium.wrappers:TimeLimit" = {steps = 3}', r":TimeLimit\): it refuses"),
        ('"gymnasium.wrappers:TimeLimits" = {}', "TimeLimits'. Expected module:Class"),
        ('"gymnasium.spaces:Box" = {}', '"gymnasium.spaces:Box" is not a Wrapper class'),
        ("TimeLimit = {}", 'expected one wrapper a table, such as { "module:Class" = { ... } }'),
    ],
)
def test_a_wrapper_that_does_not_exist_or_fit_is_refused(wrapper: str, words: str) -> None:
    with pytest.raises(PresetError, match=rf"env\.wrappers\.0.*{words}"):
        make_environment(load_preset("cartpole", [f"env.wrappers=[{{{wrapper}}}]"]).env)


def test_taxi_is_seen_one_hot() -> None:
    newest = max(name for name in gymnasium.registry if name.startswith("Taxi-"))
    preset = load_preset("cartpole-kerasrl", [f'env.id="{newest}"'])
    observation = build_environment(preset, 0, TRAINING).reset()
    assert observation.shape == (500,)
    assert observation.sum() == 1


def test_an_environment_of_a_module_beside_the_preset_is_found(tmp_path: Path) -> None:
    (tmp_path / "beside_the_preset.py").write_text(
        "import gymnasium\n"
        "from gymnasium.envs.classic_control import CartPoleEnv\n"
        "gymnasium.register('Beside-v0', CartPoleEnv, max_episode_steps=7)\n"
    )
    path = tmp_path / "mine.toml"
    path.write_text('[env]\nid = "beside_the_preset:Beside-v0"\n[model]\nlayers = []\n')
    searched = list(sys.path)
    try:
        environment = build_environment(load_preset(path), 0, TRAINING)
    finally:
        sys.path[:] = searched
    assert environment.env.spec.max_episode_steps == 7
    gymnasium.registry.pop("Beside-v0")


def test_a_constructor_need_not_take_a_render_mode() -> None:
    assert make_environment(Env(id="gyms:Informing-v0")).render_mode is None


def test_an_environment_that_does_not_offer_a_render_mode_is_refused() -> None:
    check_rendering(load_preset("cartpole"), "human")
    blind = load_preset("cartpole", ['env.id="gyms:Constant-v0"'])
    check_rendering(blind, None)
    with pytest.raises(EnvironmentFailed, match=r"offers the render modes none, and human is need"):
        check_rendering(blind, "human")


def test_a_script_s_own_environment_may_open_a_window_beside_tensorflow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("SDL_FRAMEBUFFER_ACCELERATION", raising=False)
    as_keras_rl(gymnasium.make("CartPole-v1"))
    assert "SDL_FRAMEBUFFER_ACCELERATION" not in os.environ
    as_keras_rl(gymnasium.make("CartPole-v1", render_mode="human"))
    assert os.environ["SDL_FRAMEBUFFER_ACCELERATION"] == "0"


def test_a_window_is_named_after_preset_episode_and_return(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    environment = build_environment(load_preset("cartpole"), 0, TRAINING, "human")
    environment.reset()
    captions = [pygame.display.get_caption()[0]]
    environment.step(0)
    environment.step(1)
    captions.append(pygame.display.get_caption()[0])
    environment.reset()
    captions.append(pygame.display.get_caption()[0])
    environment.close()
    assert captions == [
        "cartpole: episode 0, return 0",
        "cartpole: episode 0, return 2",
        "cartpole: episode 1, return 0",
    ]
