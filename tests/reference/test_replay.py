"""The ring against a plain list that forgets nothing but what the ring forgets."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from kerasrl_runner.reference.replay import Batch, ReplayMemory, StateWindow


class ListMemory:
    """Brute force: every entry as a tuple, windows collected one observation at a time."""

    def __init__(self, capacity: int, window_length: int) -> None:
        self.capacity, self.window_length = capacity, window_length
        self.entries: list[tuple[Any, ...]] = []
        self.episode = 0
        self.forgot = False
        self.added = 0

    def append(self, observation: Any, action: int, reward: float, terminated: bool) -> None:
        self._add((self.episode, observation, action, reward, terminated, False))

    def end_episode(self, observation: Any) -> None:
        self._add((self.episode, observation, 0, 0.0, False, True))
        self.episode += 1

    def _add(self, entry: tuple[Any, ...]) -> None:
        self.entries.append(entry)
        self.added += 1
        if len(self.entries) > self.capacity:
            self.forgot = True
            del self.entries[0]

    def starts(self) -> list[int]:
        low = self.window_length - 1 if self.forgot else 0
        return [i for i in range(low, len(self.entries) - 1) if not self.entries[i][5]]

    def window(self, i: int) -> list[Any]:
        episode = self.entries[i][0]
        window: list[Any] = []
        for j in range(i, i - self.window_length, -1):
            inside = j >= 0 and self.entries[j][0] == episode
            window.insert(0, self.entries[j][1] if inside else np.zeros(2))
        return window

    def transition(self, i: int, n_steps: int = 1, gamma: float = 1.0) -> tuple[Any, ...]:
        """As Batch: the rewards of as many of the n env steps as the list holds are added up."""
        action, reward, last = self.entries[i][2], 0.0, i
        for j in range(i, min(i + n_steps, len(self.entries) - 1)):
            if self.entries[j][5]:
                break
            reward, last = reward + gamma ** (j - i) * self.entries[j][3], j
        window, terminated = self.window(last + 1), self.entries[last][4]
        return self.window(i), action, reward, window, terminated, last - i + 1


def fill(
    memories: list[Any],
    steps: int,
    seed: int = 0,
    after_each: Callable[[int], None] = lambda step: None,
) -> None:
    rng = np.random.default_rng(seed)
    for step in range(steps):
        observation = np.array([step + 1, rng.random()])
        action, reward, terminated = int(rng.integers(3)), rng.random(), bool(rng.random() < 0.15)
        truncated = bool(rng.random() < 0.1)
        for memory in memories:
            memory.append(observation, action, reward, terminated)
            if terminated or truncated:
                memory.end_episode(observation + 0.5)
        after_each(step)


def same(batch: Batch, expected: list[tuple[Any, ...]]) -> None:
    columns = [np.array(column) for column in zip(*expected, strict=True)]
    for name, column in zip(
        ("state", "action", "reward", "next_state", "terminated", "steps"), columns, strict=True
    ):
        np.testing.assert_array_equal(getattr(batch, name), column, err_msg=name)


@pytest.mark.parametrize("n_steps", [1, 2, 5])
@pytest.mark.parametrize("window_length", [1, 2, 3, 4])
@pytest.mark.parametrize("steps", [3, 7, 15, 16, 17, 40, 101])
def test_every_transition_is_that_of_the_list(window_length: int, steps: int, n_steps: int) -> None:
    memory = ReplayMemory(
        17, (2,), np.random.default_rng(0), window_length=window_length, dtype=np.float64
    )
    plain = ListMemory(17, window_length)
    fill([memory, plain], steps)
    assert memory.size == len(plain.entries)
    starts = plain.starts()
    batch = memory.sample(0, indices=starts, n_steps=n_steps, gamma=0.9)
    same(batch, [plain.transition(i, n_steps, 0.9) for i in starts])
    for i in set(range(-1, 18)) - set(starts):
        with pytest.raises(IndexError):
            memory.sample(1, indices=[i])


def test_a_memory_of_one_step_episodes_still_finds_its_last_start() -> None:
    memory = ReplayMemory(3, (1,), np.random.default_rng(0), dtype=np.float64)
    for step in range(10):
        memory.append([step], 0, 0.0, True)
        memory.end_episode([step + 0.5])
    # the ring holds: closing entry, start, closing entry
    batch = memory.sample(50)
    np.testing.assert_array_equal(batch.state[:, 0, 0], 9.0)
    np.testing.assert_array_equal(batch.next_state[:, 0, 0], 9.5)


def test_exact_choice_after_the_redraws_ran_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kerasrl_runner.reference.replay.REDRAWS", 0)
    memory = ReplayMemory(20, (2,), np.random.default_rng(0), dtype=np.float64)
    plain = ListMemory(20, 1)
    fill([memory, plain], 60)
    starts = {plain.entries[i][1][0] for i in plain.starts()}
    assert set(memory.sample(2000).state[:, 0, 0]) == starts


def test_nothing_to_draw_and_nothing_to_end_is_said() -> None:
    memory = ReplayMemory(5, (1,), np.random.default_rng(0))
    with pytest.raises(ValueError, match="no transition"):
        memory.sample(1)
    with pytest.raises(ValueError, match="no open episode"):
        memory.end_episode([0])
    memory.append([0], 0, 0.0, False)
    with pytest.raises(ValueError, match="no transition"):
        memory.sample(1)
    with pytest.raises(ValueError):
        ReplayMemory(2, (1,), np.random.default_rng(0))
    with pytest.raises(ValueError):
        ReplayMemory(9, (1,), np.random.default_rng(0), window_length=0)


def test_images_keep_their_dtype_and_shape() -> None:
    memory = ReplayMemory(9, (3, 4), np.random.default_rng(0), window_length=2, dtype=np.uint8)
    for step in range(6):
        memory.append(np.full((3, 4), step), 0, 0.0, False)
    batch = memory.sample(5)
    assert batch.state.shape == batch.next_state.shape == (5, 2, 3, 4)
    assert batch.state.dtype == np.uint8
    assert batch.reward.shape == (5,)


def test_state_window_pads_with_zeros_and_forgets() -> None:
    window = StateWindow(3)
    np.testing.assert_array_equal(window.push([1.0]), [[0], [0], [1]])
    np.testing.assert_array_equal(window.push([2.0]), [[0], [1], [2]])
    window.push([3.0])
    np.testing.assert_array_equal(window.push([4.0]), [[2], [3], [4]])
    window.reset()
    np.testing.assert_array_equal(window.push([5.0]), [[0], [0], [5]])
    np.testing.assert_array_equal(StateWindow(1).push([5.0]), [[5]])
