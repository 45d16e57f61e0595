"""Observations made few enough for a table."""

from __future__ import annotations

import math
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from kerasrl_runner.environments.make import make_environment
from kerasrl_runner.environments.wrappers import Discretize
from kerasrl_runner.errors import PresetError
from kerasrl_runner.preset.schema import Env

DISCRETIZE = "kerasrl_runner.environments.wrappers:Discretize"


class Seen(gymnasium.Env):
    """Observations of the given space; what is seen is asked of the wrapper itself."""

    action_space = spaces.Discrete(2)

    def __init__(self, space: spaces.Space) -> None:
        self.observation_space = space


def numbered(space: spaces.Space, observation: Any, **arguments: Any) -> tuple[int, int]:
    """(number, how many there are)."""
    wrapper = Discretize(Seen(space), **arguments)
    number = wrapper.observation(observation)
    assert type(number) is int
    assert wrapper.observation_space.contains(number)
    return number, int(wrapper.observation_space.n)


@pytest.mark.parametrize(
    ("observation", "cell"),
    [([0.0], 0), ([0.24], 0), ([0.25], 1), ([0.99], 3), ([1.0], 3), ([-9.0], 0), ([9.0], 3)],
)
def test_cells_are_of_equal_width_and_the_outer_ones_hold_what_lies_beyond(observation, cell):
    space = spaces.Box(-np.inf, np.inf, (1,), np.float32)
    seen = np.array(observation, np.float32)
    assert numbered(space, seen, bins=[4], low=[0.0], high=[1.0]) == (cell, 4)


def test_the_last_part_counts_fastest():
    space = spaces.Box(0, 1, (2,), np.float32)
    assert numbered(space, np.array([0.5, 0.9], np.float32), bins=[2, 5]) == (1 * 5 + 4, 10)


def test_members_of_a_multi_discrete_are_numbered_each_its_own():
    space = spaces.MultiDiscrete([2, 3], start=[0, 5])
    members = [np.array([a, b]) for a in (0, 1) for b in (5, 6, 7)]
    assert [numbered(space, member)[0] for member in members] == list(range(6))
    assert numbered(space, members[0])[1] == 6


def make(name: str, **arguments: Any) -> gymnasium.Env:
    return make_environment(Env(id=name, wrappers=[{DISCRETIZE: arguments}]))


def test_a_preset_gives_bounds_where_the_environment_has_none():
    low, high = [-2.4, -3.0, -0.2, -3.0], [2.4, 3.0, 0.2, 3.0]
    env = make("CartPole-v1", bins=[1, 2, 3, 4], low=low, high=high)
    assert env.observation_space == spaces.Discrete(24)
    assert 0 <= env.reset(seed=0)[0] < 24
    assert make("MountainCar-v0", bins=[20, 20]).observation_space == spaces.Discrete(400)


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("CartPole-v1", {"bins": [3] * 4}, r"part 1 .* unbounded.* write low = \[...\] and high"),
        ("CartPole-v1", {"bins": [3] * 4, "low": [0.0] * 4}, "part 1 .* unbounded"),
        ("MountainCar-v0", {}, "bins: expected 2 numbers, one for each part .*received None"),
        ("MountainCar-v0", {"bins": 20}, "bins: expected 2 numbers.*received 20"),
        ("MountainCar-v0", {"bins": [20]}, "bins: expected 2 numbers"),
        ("MountainCar-v0", {"bins": [20, 20], "low": [0.0]}, "low: expected 2 numbers"),
        ("MountainCar-v0", {"bins": [20, 0]}, "part 1: expected 1 or more bins"),
        ("MountainCar-v0", {"bins": [20, 2.5]}, "part 1: expected 1 or more bins.*received 2.5"),
        ("MountainCar-v0", {"bins": [2, 2], "high": [-9.0, 1.0]}, "part 0: .*lower to a higher"),
        ("MountainCar-v0", {"bins": [2, 2], "high": ["a", 1.0]}, "TypeError"),
        ("MountainCar-v0", {"cells": [20, 20]}, "unexpected keyword argument 'cells'"),
        ("FrozenLake-v1", {}, "a Box, with bins, or of a MultiDiscrete, without; received Discr"),
    ],
)
def test_what_cannot_be_numbered_is_refused_with_what_to_write(name, arguments, words):
    with pytest.raises(PresetError, match=rf"^env\.wrappers\.0 .*{words}"):
        make(name, **arguments)


def test_an_observation_that_is_not_a_number_has_no_cell():
    with pytest.raises(ValueError, match="NaN"):
        numbered(spaces.Box(0, 1, (1,), np.float32), np.array([math.nan]), bins=[2])
