"""The games that are seen on their screens, by the real ALE and MinAtar."""

from __future__ import annotations

import ale_py  # noqa: F401  registered before any test puts the registry back to what it was
import numpy as np
import pytest

import kerasrl_runner.environments.minatar  # noqa: F401
from kerasrl_runner.engines import build_learner
from kerasrl_runner.environments.make import build_environment, make_environment
from kerasrl_runner.environments.rendering import to_rgb
from kerasrl_runner.environments.seeds import TRAINING
from kerasrl_runner.preset import known_presets, load_preset

SCREENS = [name for name in known_presets() if name.startswith(("atari-", "minatar-"))]


def play(name: str, seed: int, episodes: int) -> list[tuple]:
    """What the first env steps of each episode return, by actions that the seed draws."""
    environment = build_environment(load_preset(name), seed, TRAINING)
    actions = np.random.default_rng(0)
    steps = []
    for _ in range(episodes):
        steps.append((environment.reset().tobytes(),))
        for _ in range(12):
            observation, reward, over, _ = environment.step(
                actions.integers(environment.action_space.n)
            )
            steps.append((observation.tobytes(), reward, over))
            if over:
                break
    environment.close()
    return steps


@pytest.mark.parametrize("name", SCREENS)
def test_equal_seeds_give_equal_episodes(name: str) -> None:
    assert play(name, 1, 3) == play(name, 1, 3)
    assert play(name, 1, 3) != play(name, 2, 3)


def test_an_episode_does_not_depend_on_the_ones_before() -> None:
    env = make_environment(load_preset("minatar-breakout").env)

    def first_steps() -> list[bytes]:
        env.reset(seed=3)  # its first action sticks to the one before
        return [env.step(action)[0].tobytes() for action in (0, 1, 1)]

    assert first_steps() == first_steps()


def test_a_game_of_minatar_can_be_filmed() -> None:
    env = make_environment(load_preset("minatar-breakout").env, "rgb_array")
    env.reset(seed=0)
    picture = to_rgb(env.render())
    assert (picture.shape, picture.dtype) == ((160, 160, 3), np.uint8)
    assert len(np.unique(picture[::16, ::16].reshape(-1, 3), axis=0)) > 2


def resident_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


def test_a_frame_of_atari_is_stored_once_as_bytes() -> None:
    preset = load_preset("atari-breakout", ["agent.nb_steps_warmup=99_999"])
    learner = build_learner(preset, 0, "compiled")
    learner.train(100, [])
    before, stored = resident_bytes(), learner.replay.nb_entries
    learner.train(2_100, [])  # 14 MB
    grown = (resident_bytes() - before) / (learner.replay.nb_entries - stored)
    learner.environment.close()
    state = learner.replay.sample_batch(1).state  # [1, W, height, width]
    assert (state.shape, state.dtype) == ((1, 4, 84, 84), np.uint8)
    assert learner.replay._entries.itemsize + 1 <= 7_200
    assert grown <= 1.2 * 7_200  # a frame that was kept twice would double it
