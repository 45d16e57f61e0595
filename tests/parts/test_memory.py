"""The replay memory against the vendor's and against plain lists."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kerasrl_runner.keras_rl import SequentialMemory
from kerasrl_runner.vendor import rl_memory


class Naive:
    """All that was ever stored, as lists: what a memory of `limit` entries must say."""

    def __init__(self, limit: int, window: int) -> None:
        self.limit, self.window = limit, window
        self.entries: list[tuple[Any, int, float, bool, bool]] = []  # the last: closing

    def append(self, observation: Any, action: int, reward: float, terminated: bool) -> None:
        self.entries.append((observation, action, reward, terminated, False))

    def end_episode(self, observation: Any) -> None:
        self.entries.append((observation, 0, 0.0, False, True))

    def transition(self, index: int) -> Any:
        """What starts at the logical index, or None where nothing does."""
        kept = self.entries[-self.limit :]
        if index >= len(kept) - 1 or kept[index][4]:
            return None
        episode = [kept[index][0]]
        for before in range(index - 1, -1, -1):
            if kept[before][4]:
                break
            episode.insert(0, kept[before][0])
        following = [*episode, kept[index + 1][0]]
        return (self._window(episode), *kept[index][1:4], self._window(following))

    def _window(self, frames: list[Any]) -> list[Any]:
        zeros = [np.zeros_like(frames[-1])] * self.window
        return [*zeros, *frames][-self.window :]


def _filled(limit: int, window: int, steps: int, truncations: bool, seed: int = 0) -> Any:
    """A memory and the naive one after random episodes of 1 to 7 steps."""
    random = np.random.default_rng(seed)
    memory, naive = SequentialMemory(limit, window), Naive(limit, window)
    left, observation = 0, 0
    for _ in range(steps):
        if left == 0:
            left, observation = int(random.integers(1, 8)), observation + 1
        left -= 1
        terminated = left == 0 and not (truncations and random.random() < 0.5)
        entry = (np.array([observation, -observation], np.float32), int(random.integers(3)),
                 float(random.normal()), terminated)  # fmt: skip
        memory.append(*entry)
        naive.append(*entry)
        observation += 1
        if left == 0:
            last = np.array([observation, -observation], np.float32)
            memory.end_episode(last)
            naive.end_episode(last)
    return memory, naive


@pytest.mark.parametrize("window", [1, 2, 3, 4])
@pytest.mark.parametrize("steps", [20, 200], ids=["before wrapping", "after wrapping"])
def test_the_same_indices_give_what_the_vendors_memory_gives(window: int, steps: int) -> None:
    memory, naive = _filled(64, window, steps, truncations=False)
    vendors = rl_memory.SequentialMemory(limit=64, window_length=window)
    for observation, action, reward, terminated, _ in naive.entries:
        vendors.append(observation, action, reward, terminated)
    kept = naive.entries[-64:]
    indices = [i for i in range(window, len(kept) - 1) if not kept[i][4]]
    ours, theirs = (m.sample(len(indices), indices) for m in (memory, vendors))
    assert len(indices) > 10
    for mine, expected in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(mine.state0, expected.state0)
        np.testing.assert_array_equal(mine.state1, expected.state1)
        assert (mine.action, mine.reward, mine.terminal1) == (
            expected.action, expected.reward, expected.terminal1,
        )  # fmt: skip


@pytest.mark.parametrize("window", [1, 2, 3, 4])
@pytest.mark.parametrize("steps", [10, 40, 300])
def test_every_index_gives_what_plain_lists_give(window: int, steps: int) -> None:
    memory, naive = _filled(64, window, steps, truncations=True)
    for index in range(memory.nb_entries):
        expected = naive.transition(index)
        if expected is None:
            with pytest.raises(ValueError, match="do not all start a transition"):
                memory.sample_batch(1, [index])
            continue
        batch = memory.sample_batch(1, [index])
        state, action, reward, terminated, next_state = expected
        np.testing.assert_array_equal(batch.state[0], state)
        np.testing.assert_array_equal(batch.next_state[0], next_state)
        assert batch.action[0] == action
        assert batch.reward[0] == reward
        assert batch.terminated[0] == terminated


@pytest.mark.parametrize("window", [1, 3])
@pytest.mark.parametrize("steps", [40, 300], ids=["before wrapping", "after wrapping"])
def test_transitions_are_drawn_uniformly(window: int, steps: int) -> None:
    memory, naive = _filled(64, window, steps, truncations=True)
    memory.generator = np.random.default_rng(11)
    first = window - 1 if steps == 300 else 0  # older frames of the first windows are gone
    valid = [i for i in range(first, memory.nb_entries) if naive.transition(i) is not None]
    numbers = [naive.entries[-64:][i][0][0] for i in valid]
    drawn = memory.sample_batch(40_000).state[:, -1, 0]
    counts = np.array([np.count_nonzero(drawn == number) for number in numbers])
    assert counts.sum() == 40_000
    expected = 40_000 / len(valid)
    chi_square = ((counts - expected) ** 2 / expected).sum()
    freedom = len(valid) - 1
    assert abs(chi_square - freedom) < 4 * np.sqrt(2 * freedom)


def test_draws_are_uniform_even_where_most_entries_close_an_episode() -> None:
    memory = SequentialMemory(8, generator=np.random.default_rng(0))
    for number in range(20):
        memory.append(np.array([number]), 0, 0.0, True)
        memory.end_episode(np.array([-1]))
    drawn = memory.sample_batch(8_000).state[:, 0, 0]
    counts = np.unique(drawn, return_counts=True)
    assert counts[0].tolist() == [16, 17, 18, 19]
    assert (abs(counts[1] - 2_000) < 160).all()


def test_without_a_generator_numpys_seed_decides() -> None:
    draws = []
    for seed in (1, 1, 2):
        np.random.seed(seed)
        memory = SequentialMemory(50)
        for number in range(30):
            memory.append(np.array([number]), 0, 0.0, False)
        draws.append(memory.sample_batch(16).state.tolist())
    assert draws[0] == draws[1] != draws[2]


@pytest.mark.parametrize("window", [1, 3])
def test_observations_of_several_arrays_are_kept_as_they_are(window: int) -> None:
    memory = SequentialMemory(20, window)
    for number in range(6):
        memory.append((np.full(2, number), np.full(3, -number)), number, 0.0, False)
    experience, first = memory.sample(2, [4, 0])
    assert [part.tolist() for part in experience.state0[-1]] == [[4, 4], [-4, -4, -4]]
    assert [part.tolist() for part in experience.state1[-1]] == [[5, 5], [-5, -5, -5]]
    if window > 1:  # padded by zeros of their shapes, as the vendor pads them
        assert [np.asarray(part).tolist() for part in first.state0[0]] == [[0, 0], [0, 0, 0]]


@pytest.mark.parametrize(
    "wrong", [np.zeros(3, np.float32), np.zeros((2, 1), np.float32), np.zeros(2, complex)]
)
def test_an_observation_unlike_the_ones_before_is_refused(wrong: Any) -> None:
    memory = SequentialMemory(20)
    memory.append(np.zeros(2, np.float32), 0, 0.0, False)
    with pytest.raises(ValueError, match=r"the\s+ones before had shape \(2,\) and dtype float32"):
        memory.append(wrong, 0, 0.0, False)
    assert memory.nb_entries == 1


def test_the_state_to_act_on_is_padded_at_an_episodes_start_and_slides() -> None:
    memory = SequentialMemory(20, 3)
    states = []
    for number in (1, 2, 3, 4):
        states.append([int(o[0]) for o in memory.get_recent_state(np.array([number]))])
        memory.append(np.array([number]), 0, 0.0, number == 4)
    assert states == [[0, 0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 4]]
    memory.end_episode(np.array([5]))
    assert [int(o[0]) for o in memory.get_recent_state(np.array([6]))] == [0, 0, 6]


def test_what_is_not_training_only_enters_the_recent_window() -> None:
    memory = SequentialMemory(20, 2)
    memory.append(np.array([1]), 0, 0.0, False, training=False)
    assert memory.nb_entries == 0
    assert [int(o[0]) for o in memory.get_recent_state(np.array([2]))] == [1, 2]


@pytest.mark.parametrize(("limit", "window"), [(2, 1), (5, 4), (10, 0)])
def test_a_memory_too_small_to_sample_from_is_refused(limit: int, window: int) -> None:
    with pytest.raises(ValueError, match=r"limit >= window_length \+ 2"):
        SequentialMemory(limit, window)


def test_windows_across_episodes_are_refused() -> None:
    with pytest.raises(ValueError, match="across episodes"):
        SequentialMemory(10, 1, ignore_episode_boundaries=True)


def test_a_memory_with_too_few_entries_says_how_many_it_needs() -> None:
    memory = SequentialMemory(10, 2)
    for number in range(3):
        memory.append(np.array([number]), 0, 0.0, False)
    with pytest.raises(ValueError, match=r"window_length \+ 2 = 4 entries .* there are 3"):
        memory.sample_batch(1)
