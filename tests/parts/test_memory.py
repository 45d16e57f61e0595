"""The replay memory against the vendor's and against plain lists."""

from __future__ import annotations

import pickle
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

    def transition(self, index: int, n_steps: int = 1, gamma: float = 1.0) -> Any:
        """What starts at the logical index, or None where nothing does."""
        kept = self.entries[-self.limit :]
        if index >= len(kept) - 1 or kept[index][4]:
            return None
        episode = [kept[index][0]]
        for before in range(index - 1, -1, -1):
            if kept[before][4]:
                break
            episode.insert(0, kept[before][0])
        following, reward, last = list(episode), 0.0, index
        for step in range(index, min(index + n_steps, len(kept) - 1)):
            if kept[step][4]:
                break
            reward, last = reward + gamma ** (step - index) * kept[step][2], step
            following.append(kept[step + 1][0])
        ends = (kept[index][1], reward, kept[last][3])
        return (self._window(episode), *ends, self._window(following), last - index + 1)

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


@pytest.mark.parametrize("n_steps", [1, 2, 5])
@pytest.mark.parametrize("window", [1, 2, 3, 4])
@pytest.mark.parametrize("steps", [10, 40, 300])
def test_every_index_gives_what_plain_lists_give(window: int, steps: int, n_steps: int) -> None:
    memory, naive = _filled(64, window, steps, truncations=True)
    for index in range(memory.nb_entries):
        expected = naive.transition(index, n_steps, 0.9)
        if expected is None:
            with pytest.raises(ValueError, match="do not all start a transition"):
                memory.sample_batch(1, [index])
            continue
        batch = memory.sample_batch(1, [index], n_steps=n_steps, gamma=0.9)
        state, action, reward, terminated, next_state, taken = expected
        assert batch.steps == taken
        np.testing.assert_array_equal(batch.state[0], state)
        np.testing.assert_array_equal(batch.next_state[0], next_state)
        assert batch.action[0] == action
        assert batch.reward[0] == pytest.approx(reward, rel=1e-12)
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


@pytest.mark.parametrize("kind", [tuple, list])
@pytest.mark.parametrize("window", [1, 3])
def test_observations_of_several_arrays_are_kept_as_they_are(window: int, kind: type) -> None:
    memory = SequentialMemory(20, window)
    for number in range(6):
        memory.append(kind((np.full(2, number), np.full(3, -number))), number, 0.0, False)
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


def _by_hand(limit: int, window: int, ignore: bool = False, steps: int = 60) -> tuple[Any, Any]:
    """Our memory and the vendor's after the same `append`s; terminal ones may be neighbours."""
    random = np.random.default_rng(3)
    memories = [
        kind(limit=limit, window_length=window, ignore_episode_boundaries=ignore)
        for kind in (SequentialMemory, rl_memory.SequentialMemory)
    ]
    for number in range(1, steps + 1):
        entry = (np.array([number, -number], np.float32), int(random.integers(3)),
                 float(random.normal()), bool(random.random() < 0.3))  # fmt: skip
        for memory in memories:
            memory.append(*entry)
    return memories[0], memories[1]


@pytest.mark.parametrize("ignore", [False, True], ids=["boundaries", "no boundaries"])
@pytest.mark.parametrize("window", [1, 2, 4])
@pytest.mark.parametrize("limit", [100, 32], ids=["before wrapping", "after wrapping"])
def test_entries_appended_by_hand_give_the_vendors_transitions(
    limit: int, window: int, ignore: bool
) -> None:
    ours, theirs = _by_hand(limit, window, ignore)
    after_terminal = [False, *theirs.terminals][:-1]
    starts = [i for i in range(window, theirs.nb_entries - 1) if not after_terminal[i]]
    assert len(starts) > 10
    for mine, expected in zip(
        ours.sample(len(starts), starts), theirs.sample(len(starts), starts), strict=True
    ):
        np.testing.assert_array_equal(mine.state0, expected.state0)
        np.testing.assert_array_equal(mine.state1, expected.state1)
        assert mine[1:3] == expected[1:3]
        assert mine.terminal1 is expected.terminal1
    drawn = {int(state[-1, 0]) for state in ours.sample_batch(2_000).state}
    assert drawn >= {int(theirs.observations[i][0]) for i in starts}
    for index in range(window, theirs.nb_entries - 1):
        if after_terminal[index]:  # the last observation of an episode starts nothing
            assert int(theirs.observations[index][0]) not in drawn
            assert ours.sample(1, [index])[0].state0[-1][0] in drawn


@pytest.mark.parametrize("ignore", [False, True], ids=["boundaries", "no boundaries"])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("window", [1, 2, 4])
def test_the_state_to_act_on_is_the_vendors(window: int, training: bool, ignore: bool) -> None:
    random = np.random.default_rng(3)
    ours = SequentialMemory(9, window, ignore_episode_boundaries=ignore)
    theirs = rl_memory.SequentialMemory(9, window_length=window, ignore_episode_boundaries=ignore)
    for number in range(1, 40):
        current = np.array([float(number)])
        np.testing.assert_array_equal(
            ours.get_recent_state(current), theirs.get_recent_state(current)
        )
        terminal = bool(random.random() < 0.3)
        for memory in (ours, theirs):
            memory.append(current, 0, 0.0, terminal, training=training)
    assert ours.nb_entries == theirs.nb_entries


@pytest.mark.parametrize("ignore", [False, True], ids=["boundaries", "no boundaries"])
def test_the_end_of_an_episode_is_the_vendors_entry_after_a_terminal_one(ignore: bool) -> None:
    ours, theirs = _by_hand(40, 3, ignore, steps=0)
    for number in range(1, 30):
        current = np.array([float(number)])
        np.testing.assert_array_equal(
            ours.get_recent_state(current), theirs.get_recent_state(current)
        )
        if number % 5 == 0:
            ours.end_episode(current)
            theirs.append(current, 0, 0.0, False)
            continue
        for memory in (ours, theirs):
            memory.append(current, 1, 1.0, number % 5 == 4)
    starts = [number - 1 for number in range(4, 29) if number % 5]
    for mine, expected in zip(ours.sample(20, starts), theirs.sample(20, starts), strict=True):
        np.testing.assert_array_equal(mine.state0, expected.state0)
        np.testing.assert_array_equal(mine.state1, expected.state1)
        assert mine.terminal1 is expected.terminal1


COLUMNS = ("observations", "actions", "rewards", "terminals")


@pytest.mark.parametrize("limit", [100, 32], ids=["before wrapping", "after wrapping"])
@pytest.mark.parametrize("name", COLUMNS)
def test_what_is_stored_can_be_read_oldest_first(name: str, limit: int) -> None:
    ours, theirs = (getattr(memory, name) for memory in _by_hand(limit, 1))
    assert len(ours) == len(theirs)
    np.testing.assert_array_equal(list(ours), list(theirs))
    np.testing.assert_array_equal([ours[0], ours[-1]], [theirs[0], theirs[-1]])
    with pytest.raises(IndexError):
        ours[len(theirs)]


def test_as_many_rewards_as_are_stored_may_be_assigned() -> None:
    memory, _ = _by_hand(32, 1)
    memory.rewards = [7] * 32
    assert set(memory.sample_batch(50).reward) == {7}
    with pytest.raises(ValueError, match="shorter"):
        memory.rewards = [7] * 31


@pytest.mark.parametrize("limit", [100, 32], ids=["before wrapping", "after wrapping"])
def test_a_pickled_memory_goes_on_as_the_one_it_was(limit: int) -> None:
    memory, _ = _by_hand(limit, 2)
    again, step = pickle.loads(pickle.dumps((memory, 60)))
    assert step == 60
    for one in (memory, again):
        one.append(np.array([61, -61], np.float32), 1, 61.0, False)
    for mine, expected in zip(again.sample_batch(64), memory.sample_batch(64), strict=True):
        np.testing.assert_array_equal(mine, expected)
    assert again.get_config() == memory.get_config()


def test_a_pickled_memory_may_be_put_together_from_its_parts() -> None:
    """keras-rl's users pickle the deques beside the memory, and assign them to it again."""
    memory, _ = _by_hand(32, 1)
    parts = pickle.dumps((memory, *(getattr(memory, name) for name in COLUMNS)))
    (again, again.observations, again.actions, again.rewards, again.terminals) = pickle.loads(parts)
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(again, name), getattr(memory, name))


def test_a_pickle_is_as_large_as_what_is_stored() -> None:
    memory = SequentialMemory(1_000_000)
    assert len(pickle.dumps(memory)) < 10_000
    memory.append(np.zeros(100), 0, 0.0, False)
    assert len(pickle.dumps(memory)) < 10_000


@pytest.mark.parametrize("ignore", [False, True])
def test_the_configuration_is_the_vendors(ignore: bool) -> None:
    ours, theirs = _by_hand(5, 3, ignore, steps=0)
    assert ours.get_config() == theirs.get_config()


def test_actions_of_several_numbers_are_kept() -> None:
    memory = SequentialMemory(10)
    for number in range(4):
        memory.append(np.zeros(2), np.array([number, 0.5], np.float32), 0.0, False)
    memory.end_episode(np.zeros(2))
    assert memory.sample(1, [3])[0].action == [3.0, 0.5]


def test_what_is_not_training_only_enters_the_recent_window() -> None:
    memory = SequentialMemory(20, 2)
    memory.append(np.array([1]), 0, 0.0, False, training=False)
    assert memory.nb_entries == 0
    assert [int(o[0]) for o in memory.get_recent_state(np.array([2]))] == [1, 2]


@pytest.mark.parametrize(("limit", "window"), [(0, 1), (10, 0)])
def test_a_memory_of_nothing_is_refused(limit: int, window: int) -> None:
    with pytest.raises(ValueError, match="1 or more of each, received window_length="):
        SequentialMemory(limit, window)


@pytest.mark.parametrize("limit", [1, 4])
def test_a_memory_too_small_to_sample_from_says_so_when_it_is_asked(limit: int) -> None:
    memory = SequentialMemory(limit, 3)
    for number in range(9):
        memory.append(np.array([number]), 0, 0.0, False)
    with pytest.raises(ValueError, match=f"= 5 entries .* there are {limit} of limit={limit}"):
        memory.sample(1)


def test_a_memory_with_too_few_entries_says_how_many_it_needs() -> None:
    memory = SequentialMemory(10, 2)
    for number in range(3):
        memory.append(np.array([number]), 0, 0.0, False)
    with pytest.raises(ValueError, match=r"window_length \+ 2 = 4 entries .* there are 3"):
        memory.sample_batch(1)


def test_larger_whole_numbers_after_small_ones_are_kept():
    memory = SequentialMemory(5)
    for observation, dtype in (([1, 2], np.int8), ([300, -200], np.int64), ([0.5, 2], np.float32)):
        memory.append(np.array(observation, dtype), 0, 0.0, False)
    assert [list(o) for o in memory.observations] == [[1, 2], [300, -200], [0.5, 2]]
