"""The sum tree and the prioritized memory against plain lists."""

import bisect
import itertools
from typing import Any

import numpy as np
import pytest
from reference.test_replay import ListMemory, fill

from kerasrl_runner.reference.priorities import Priorities, SumTree
from kerasrl_runner.reference.replay import Batch, ReplayMemory

SIZES = [1, 2, 31, 32, 33, 1000, 40_000]  # the last one's tree has two levels below the top
ENDS = [0.0, 0.5, 1 - 2**-53]


def prioritized(
    capacity: int, alpha: float, beta: float, beta_steps: int, window_length: int = 1
) -> Any:
    """A memory that draws with a generator of seed 5."""
    priorities = Priorities(capacity, window_length, alpha, beta, beta_steps)
    random = np.random.default_rng(5)
    return ReplayMemory(capacity, (2,), random, window_length, np.float64, priorities)


def random_tree(size: int, random: np.random.Generator, zeros: float = 0.3) -> SumTree:
    """A tree whose leaves are set in a random order, some twice, some to 0."""
    tree = SumTree(size)
    for _ in range(4):
        at = random.integers(size, size=size)
        tree.set(at, random.random(size) * (random.random(size) > zeros))
    tree.set(np.array([size // 2]), np.array([0.5]))
    return tree


@pytest.mark.parametrize("size", SIZES)
def test_a_draw_finds_the_leaf_that_a_list_finds(size: int) -> None:
    random, tree = np.random.default_rng(0), SumTree(size)
    numbers = random.integers(0, 9, size) * (random.random(size) < 0.7)  # their sums are exact
    numbers[size // 2] = 3
    tree.set(np.arange(size), numbers)
    after = list(itertools.accumulate(numbers.tolist()))
    uniform = np.array([*ENDS, *random.random(500)])
    expected = [bisect.bisect_right(after, u * after[-1]) for u in uniform]
    assert tree.find(uniform).tolist() == expected


@pytest.mark.parametrize("size", SIZES)
def test_sums_depend_on_the_leaves_alone_bit_for_bit(size: int) -> None:
    tree = random_tree(size, np.random.default_rng(0))
    again = SumTree(size)
    again.set(np.arange(size), tree.leaves)
    for one, other in zip([*tree.levels, tree.top], [*again.levels, again.top], strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("size", SIZES)
def test_a_leaf_of_0_is_never_drawn(size: int) -> None:
    random = np.random.default_rng(1)
    for zeros in (0.3, 0.999):
        tree = random_tree(size, random, zeros)
        drawn = tree.find(np.array([*ENDS, *random.random(2_000)]))
        assert (tree.leaves[drawn] > 0).all()


def test_the_largest_number_draws_the_last_leaf_however_sums_are_rounded() -> None:
    random = np.random.default_rng(2)
    for _ in range(100):
        tree = SumTree(40)
        tree.set(np.arange(10, 30), random.random(20))
        assert tree.find(np.array([1 - 2**-53])).tolist() == [29]


def test_nothing_to_draw_is_said() -> None:
    with pytest.raises(ValueError, match="no transition to sample"):
        SumTree(5).find(np.array([0.5]))


class ListPriorities:
    """Schaul 2016, algorithm 1, over a ListMemory, each transition called by its observation."""

    def __init__(self, plain: ListMemory, alpha: float, beta: float, beta_steps: int) -> None:
        self.plain, self.alpha, self.beta, self.beta_steps = plain, alpha, beta, beta_steps
        self.priorities: dict[float, float] = {}
        self.largest, self.stored = 1.0, 0

    def follow(self) -> None:
        """After each call to the memory: what is new gets the largest priority so far."""
        for i in range(len(self.plain.entries) - 1):
            name = self.plain.entries[i][1][0]
            if not self.plain.entries[i][5] and name not in self.priorities:
                self.priorities[name] = self.largest
                self.stored += 1

    def drawable(self) -> dict[float, float]:
        """Priorities to the power of alpha, in the order in which they lie in the ring."""
        forgotten = self.plain.added - len(self.plain.entries)
        starts = sorted(self.plain.starts(), key=lambda i: (forgotten + i) % self.plain.capacity)
        names = [self.plain.entries[i][1][0] for i in starts]
        return {name: self.priorities[name] ** self.alpha for name in names}

    def draw(self, uniform: np.ndarray) -> tuple[list[float], list[float]]:
        """Names and importance weights of a batch."""
        drawable = self.drawable()
        after, total = list(itertools.accumulate(drawable.values())), sum(drawable.values())
        drawn = [list(drawable)[bisect.bisect_right(after, u * total)] for u in uniform]
        beta = self.beta + (1 - self.beta) * min(1, self.stored / self.beta_steps)
        weights = [(len(drawable) * drawable[name] / total) ** -beta for name in drawn]
        return drawn, [weight / max(weights) for weight in weights]

    def update(self, names: list[float], td_error: np.ndarray) -> None:
        for name, error in zip(names, td_error, strict=True):
            self.priorities[name] = abs(error) + 1e-6
            self.largest = max(self.largest, self.priorities[name])


class Following:
    """A ListMemory that its priorities follow."""

    def __init__(self, plain: ListMemory, priorities: ListPriorities) -> None:
        self.plain, self.priorities = plain, priorities

    def append(self, *entry: Any) -> None:
        self.plain.append(*entry)
        self.priorities.follow()

    def end_episode(self, observation: Any) -> None:
        self.plain.end_episode(observation)
        self.priorities.follow()


@pytest.mark.parametrize("alpha", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("window_length", [1, 2, 4])
@pytest.mark.parametrize("capacity", [17, 70])
def test_draws_weights_and_updates_are_those_of_a_list(
    alpha: float, window_length: int, capacity: int
) -> None:
    memory = prioritized(capacity, alpha, 0.4, 60, window_length)
    plain = ListMemory(capacity, window_length)
    naive = ListPriorities(plain, alpha, 0.4, 60)
    random, same_random = np.random.default_rng(2), np.random.default_rng(5)

    def learn(step: int) -> None:
        if step < 8:
            return
        batch, (names, weights) = memory.sample(6), naive.draw(same_random.random(6))
        assert batch.state[:, -1, 0].tolist() == names
        np.testing.assert_allclose(batch.weight, weights, rtol=1e-12)
        td_error = random.normal(size=6) * 3
        memory.priorities.update(batch.place, td_error)
        naive.update(names, td_error)
        drawable = naive.drawable()
        assert np.count_nonzero(memory.priorities.tree.leaves) == len(drawable)

    fill([memory, Following(plain, naive)], 100, after_each=learn)
    assert (plain.added > capacity, naive.largest > 3) == (True, True)


def test_priorities_that_were_kept_go_on_bit_for_bit() -> None:
    one, other = (prioritized(40_000, 0.6, 0.4, 50) for _ in range(2))
    fill([one, other], 300)
    td_error = np.random.default_rng(1).normal(size=50) * 9
    one.priorities.update(one.sample(50).place, td_error)
    other.priorities.load_state_dict(one.priorities.state_dict())
    other.rng.random(50)  # as the sample has drawn
    fill([one, other], 10)
    for mine, theirs in zip(one.sample(99), other.sample(99), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    small = prioritized(50, 0.6, 0.4, 50)
    with pytest.raises(ValueError, match="another size"):
        small.priorities.load_state_dict(one.priorities.state_dict())


def test_importance_weights_undo_the_priorities_on_average() -> None:
    memory = prioritized(20, 1.0, 1.0, 1)
    fill([memory], 12)
    every = memory.sample(0, indices=[i for i in range(memory.size - 1) if not memory.closing[i]])
    memory.priorities.update(every.place, np.linspace(0.1, 5, len(every.action)))
    batch: Batch = memory.sample(200_000)
    share = np.bincount(batch.place, batch.weight)
    share = share[share > 0] / share.sum()
    np.testing.assert_allclose(share, 1 / len(every.action), rtol=0.1)
