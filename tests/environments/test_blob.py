"""The grid world: what a move does, how an episode ends, and what is seen of it."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pygame
import pytest
from gymnasium.utils.env_checker import check_env

BLOB = "kerasrl_runner.environments.blob:Blob-v0"
# (right, down) of each action; the first four are those of `actions = 4`.
MOVES = [(1, 1), (-1, -1), (-1, 1), (1, -1), (1, 0), (-1, 0), (0, 1), (0, -1), (0, 0)]
PLAYER, FOOD, ENEMY = (86, 180, 233), (0, 158, 115), (213, 94, 0)


def make(**keywords: Any) -> gymnasium.Env:
    return gymnasium.make(BLOB, **keywords)


def walk(env: gymnasium.Env, target: str, seed: int) -> tuple[list[float], tuple[bool, bool]]:
    """Go straight to the food or to the enemy: (rewards, (terminated, truncated))."""
    part = {"food": slice(0, 2), "enemy": slice(2, 4)}[target]
    observation, _ = env.reset(seed=seed)
    rewards: list[float] = []
    ends = (False, False)
    while not any(ends):
        right, down = np.sign(observation[part] - 9)
        observation, reward, *ends, _ = env.step(MOVES.index((right, down)))
        rewards.append(float(reward))
    return rewards, tuple(ends)


def colours(image: np.ndarray) -> dict[tuple[int, ...], tuple[int, int]]:
    """Colour -> (column, row) of what stands in an image [10, 10, 3]."""
    return {tuple(image[y, x].tolist()): (int(x), int(y)) for y, x in np.argwhere(image.any(2))}


@pytest.mark.parametrize("observation", ["relative", "image"])
@pytest.mark.parametrize("actions", [4, 9])
def test_gymnasium_finds_nothing_wrong_with_it(observation, actions, monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    env = make(observation=observation, actions=actions)
    assert env.action_space.n == actions
    check_env(env.unwrapped)


@pytest.mark.parametrize(("target", "last"), [("food", 25.0), ("enemy", -300.0)])
def test_a_move_costs_one_and_the_last_one_pays(target, last):
    direct = [walk(make(), target, seed) for seed in range(20)]
    paid = {rewards[-1] for rewards, _ in direct}
    assert last in paid
    assert paid <= {25.0, -300.0}  # the other may stand in the way
    assert all(set(rewards[:-1]) <= {-1.0} for rewards, _ in direct)
    assert {ends for _, ends in direct} == {(True, False)}
    assert min(len(rewards) for rewards, _ in direct) >= 1
    assert max(len(rewards) for rewards, _ in direct) <= 9


def test_an_episode_is_truncated_after_200_steps():
    env = make()
    start, _ = env.reset(seed=0)
    steps = [env.step(MOVES.index((0, 0))) for _ in range(200)]
    assert [step[2:4] for step in steps] == [(False, False)] * 199 + [(False, True)]
    assert {step[1] for step in steps} == {-1.0}
    assert all((step[0] == start).all() for step in steps)  # nothing else moves


@pytest.mark.parametrize("seed", range(5))
def test_both_observations_tell_of_the_same_three_places(seed):
    relative, image = make(), make(observation="image")
    numbers, picture = relative.reset(seed=seed)[0], image.reset(seed=seed)[0]
    for action in (0, 4, 7):
        places = colours(picture)
        (x, y), food, enemy = (places[colour] for colour in (PLAYER, FOOD, ENEMY))
        assert (numbers - 9).tolist() == [food[0] - x, food[1] - y, enemy[0] - x, enemy[1] - y]
        numbers, _, over, _, _ = relative.step(action)
        picture = image.step(action)[0]
        if over:
            break


def test_the_edge_stops_a_move_across_it_and_not_one_along_it():
    env = make(observation="image")
    for seed in range(50):
        (x, y) = colours(env.reset(seed=seed)[0])[PLAYER]
        over = False
        for _ in range(9):
            image, _, over, _, _ = env.step(MOVES.index((1, 1)))
            x, y = min(x + 1, 9), min(y + 1, 9)
            assert colours(image)[PLAYER] == (x, y)
            if over:
                break
        if not over:
            return
    raise AssertionError("no seed led to the corner")


def test_a_picture_shows_the_player_where_the_image_has_it():
    env, image = make(render_mode="rgb_array"), make(observation="image")
    env.reset(seed=3)
    frame = env.render()
    assert (frame.shape, frame.dtype) == ((400, 400, 3), np.uint8)
    for colour, (x, y) in colours(image.reset(seed=3)[0]).items():
        assert tuple(frame[40 * y + 20, 40 * x + 20].tolist()) == colour


def test_a_window_is_opened_and_closed(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    env = make(render_mode="human")
    env.reset(seed=0)
    env.step(0)
    assert pygame.display.get_surface().get_size() == (400, 400)
    env.close()
    assert pygame.display.get_surface() is None


@pytest.mark.parametrize("keywords", [{"observation": "pixels"}, {"actions": 5}])
def test_another_observation_or_number_of_actions_is_refused(keywords):
    with pytest.raises(ValueError, match='"relative" or "image" and 4 or 9 actions, received'):
        make(**keywords)
