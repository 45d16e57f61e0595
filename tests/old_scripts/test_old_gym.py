"""Old gym's interface on Gymnasium, and the way back."""

from __future__ import annotations

from copy import deepcopy

import gymnasium
import imageio_ffmpeg
import numpy as np
import pytest
from gymnasium import spaces

from kerasrl_runner.environments.adapter import as_keras_rl
from kerasrl_runner.old_scripts import gym


class Corridor(gym.Env):
    """Three steps to the right end it; written as for gym 0.9."""

    action_space = spaces.Discrete(2)
    observation_space = spaces.Box(0.0, 9.0, (1,))

    def __init__(self, start=0):
        self.start = start

    def _reset(self):
        self.place = self.start
        return np.array([self.place], np.float32)

    def _step(self, action):
        self.place += action
        return np.array([self.place], np.float32), 1.0, self.place >= 3, {"place": self.place}


@pytest.fixture(autouse=True)
def _registry():
    before = dict(gymnasium.registry)
    yield
    gymnasium.registry.clear()
    gymnasium.registry.update(before)


def test_an_environment_of_gymnasium_has_four_values_a_step_and_a_seed():
    env, new = gym.make("CartPole-v1"), gymnasium.make("CartPole-v1")
    assert env.seed(7) == [7]
    assert np.array_equal(env.reset(), new.reset(seed=7)[0])
    observation, reward, done, info = env.step(1)
    assert np.array_equal(observation, new.step(1)[0])
    assert (reward, done, info) == (1.0, False, {})
    # The seed is of one reset alone, as gym's was.
    assert not np.array_equal(env.reset(), new.reset(seed=7)[0])
    env.close()


def test_attributes_are_read_and_set_where_they_lie():
    env = gym.make("MountainCar-v0")
    assert env.action_space.n == 3
    assert env.spec.id == "MountainCar-v0"
    env.goal_position = 0.3
    assert env.unwrapped.goal_position == 0.3
    with pytest.raises(AttributeError, match="nothing_of_this_name"):
        _ = env.nothing_of_this_name


@pytest.mark.parametrize("take_off", [False, True])
def test_a_time_limit_is_told_from_the_task_s_end(take_off):
    env = gym.make("MountainCar-v0")
    env = env.env if take_off else env  # as scripts take the limit off
    env.reset()
    ends = [env.step(1)[2:] for _ in range(200)]
    assert not any(done for done, _ in ends[:-1])
    done, info = ends[-1]
    assert (done, info.get("TimeLimit.truncated")) == (
        (True, True) if not take_off else (False, None)
    )


def test_a_registered_environment_is_cut_and_the_agent_s_side_sees_a_truncation():
    gym.register("Corridor-v0", entry_point=Corridor, timestep_limit=2, kwargs={"start": 1})
    env = gym.make("Corridor-v0")
    assert isinstance(env.unwrapped, Corridor)
    assert env.reset() == [1]
    adapter = as_keras_rl(gym.NewInterface(env))
    for actions, terminated, truncated in [([0, 0], False, True), ([1, 1], True, False)]:
        adapter.reset()
        for action in actions:
            *_, over, _ = adapter.step(action)
        assert (over, adapter.terminated, adapter.truncated) == (True, terminated, truncated)
    assert adapter.info["place"] == 3


def test_an_id_of_a_script_s_own_is_itself():
    for version in ("v0001", "v0002"):
        gym.register(
            f"Corridor-{version}", entry_point=Corridor, kwargs={"start": int(version[1:])}
        )
    assert gym.find_successor("Corridor-v0001") == ("Corridor-v1", {})
    env = gym.make("Corridor-v0001")
    assert env.reset() == [1]
    assert env.unwrapped.spec.id == "Corridor-v1"


def test_an_environment_without_registration_or_spaces_is_served_too():
    class Bare:  # as rl.core.Env asks for
        def reset(self):
            return [0.0]

        def step(self, action):
            return [1.0], 1, np.bool_(True), {}

        def render(self, mode="human", close=False):
            self.shown = mode

    bare = Bare()
    adapter = as_keras_rl(gym.NewInterface(bare))
    assert adapter.reset() == [0.0]
    assert adapter.step(0)[:3] == ([1.0], 1.0, True)
    adapter.render(mode="human")
    assert bare.shown == "human"


def test_an_environment_s_own_seed_is_called_and_it_can_be_copied():
    class Seeded(Corridor):
        def _seed(self, seed=None):
            self.seeded = seed
            return [seed]

    gym.register("Seeded-v0", entry_point=Seeded)
    env = gym.Wrapper(gym.make("Seeded-v0"))
    env.seed(5)
    env.reset()
    assert env.unwrapped.seeded == 5
    copied = deepcopy(env)
    copied.step(1)
    assert (copied.unwrapped.place, env.unwrapped.place) == (1, 0)


def test_a_wrapper_changes_what_it_overrides():
    class Halved(gym.Wrapper):
        def reward(self, reward):
            return reward / 2

        def observation(self, observation):
            return observation + 10

        def action(self, action):
            return 1 - action

    env = Halved(Corridor())
    assert env.reset() == [10]
    observation, reward, done, info = env.step(0)
    assert (observation, reward, done, info) == ([11], 0.5, False, {"place": 1})
    assert env.action_space.n == 2


def test_a_wrapper_of_gym_0_9_and_one_that_calls_its_parent():
    class Tripled(gym.RewardWrapper):
        def _reward(self, reward):
            return reward * 3

        def _observation(self, observation):
            return observation * 0

    class Counted(gym.Wrapper):
        def seed(self, seed=None):
            return super().seed(seed)

        def close(self):
            super().close()
            self.closed = True

    env = Counted(Tripled(gym.make("CartPole-v1")))
    assert env.seed(3) == [3]
    assert not env.reset().any()
    observation, reward, _, _ = env.step(0)
    assert (observation.any(), reward) == (False, 3.0)
    env.close()
    assert env.closed
    assert isinstance(env, gym.Env)
    assert isinstance(env.unwrapped, gym.Env)
    assert isinstance(Corridor(), gym.Env)


def test_a_time_limit_by_hand_and_the_registry_of_gym():
    env = gym.TimeLimit(Corridor(), max_episode_steps=2)
    env.reset()
    assert [env.step(0)[2:] for _ in range(2)] == [
        (False, {"place": 0}),
        (True, {"place": 0, "TimeLimit.truncated": True}),
    ]
    assert "CartPole-v1" in gym.registry.env_specs
    assert gym.registry.spec("CartPole-v1") in gym.registry.all()


def test_an_environment_of_text_is_printed(capsys):
    env = gym.make("FrozenLake-v1")
    env.reset()
    assert env.render(mode="ansi").count("H") == 4
    env.render()
    assert capsys.readouterr().out.count("H") == 4


@pytest.mark.parametrize(
    ("old", "new", "arguments"),
    [
        ("CartPole-v0", "CartPole-v1", {"max_episode_steps": 200}),
        ("FrozenLake8x8-v0", "FrozenLake8x8-v1", {}),
        ("Taxi-v2", "Taxi-v4", {}),
        ("MountainCar-v0", "MountainCar-v0", {}),
        ("NoSuchThing-v0", "NoSuchThing-v0", {}),
    ],
)
def test_an_id_that_is_gone_has_a_successor(old, new, arguments):
    assert gym.find_successor(old) == (new, arguments)


def test_a_successor_is_announced(capsys):
    env = gym.make("CartPole-v0")
    assert "CartPole-v0 -> gymnasium.make('CartPole-v1', max_episode_steps=200)" in (
        capsys.readouterr().err
    )
    assert env.spec.max_episode_steps == 200


def test_an_environment_that_no_package_has_is_named():
    with pytest.raises(gymnasium.error.Error, match="NoSuchThing"):
        gym.make("NoSuchThing-v0")


def test_a_monitor_writes_videos_of_the_episodes_that_were_asked_for(tmp_path):
    env = gym.make("CartPole-v1")
    env = gym.Monitor(env, str(tmp_path / "videos"), video_callable=lambda n: n == 1, force=True)
    for _ in range(3):
        env.reset()
        for _ in range(4):
            env.step(0)
    env.close()
    (path,) = (tmp_path / "videos").iterdir()
    assert imageio_ffmpeg.count_frames_and_secs(str(path))[0] == 4


def test_what_scripts_draw_numbers_from():
    generator, seed = gym.np_random(5)
    assert (generator.randint(100), seed) == (np.random.RandomState(5).randint(100), 5)
