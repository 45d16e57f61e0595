"""Prioritized replay, Schaul 2016: which transitions of a ring of entries are drawn, and how often.

The proportional variant (section 3.3). A draw is a uniform number each, with no strata.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
FAN = 32  # numbers that one sum is made of
TOP = 1024  # sums that are looked through at once
SMALLEST = 1e-6  # the paper's epsilon: a transition without an error may still be drawn


class SumTree:
    """Numbers from 0 on, `leaves` [N], and sums of FAN of them, and of those: O(log N).

    A sum is added up anew whenever one of its parts changes, so that no rounding errors gather and
    equal leaves have equal sums, whatever came before.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.levels: list[Array] = []  # from the leaves up, [sums of the level above, FAN]
        while not self.levels or size > TOP:
            size = -(-size // FAN)
            self.levels.append(np.zeros((size, FAN)))  # [sums, FAN]
        self.top: Array = np.zeros(size)  # [T], the sums of the last level

    @property
    def leaves(self) -> Array:
        """All numbers [N]; change them by `set`."""
        return self.levels[0].reshape(-1)[: self.size]  # [N]

    def set(self, at: Array, values: Array) -> None:
        """Put `values` [B] at the leaves `at` [B]; where one occurs twice, the last counts."""
        self.leaves[at] = values  # [B]
        above = [*(level.reshape(-1) for level in self.levels[1:]), self.top]
        for level, sums in zip(self.levels, above, strict=True):
            at = at // FAN  # [B]
            sums[at] = level.take(at, axis=0).sum(axis=1)  # [B]

    def find(self, uniform: Array) -> Array:
        """The leaves [B] where `uniform` [B] in [0, 1) of the whole falls, none of them 0.

        ValueError where all are 0.
        """
        before = np.zeros(self.top.size + 1)  # [T + 1], the sum of what comes before each
        self.top.cumsum(out=before[1:])  # [T]
        if before[-1] == 0:
            raise ValueError("no transition to sample: none is stored with its whole window")
        mass = uniform * before[-1]  # [B]
        at = before.searchsorted(mass, side="right") - 1  # [B]
        mass -= before[at]  # [B], what is left of it
        for level in reversed(self.levels):
            within = level.take(at, axis=0).cumsum(axis=1)  # [B, FAN]
            # Added up in another order a sum is rounded otherwise, and `mass` may exceed it.
            mass = np.minimum(mass, np.nextafter(within[:, -1], 0))  # [B]
            child = (within > mass[:, None]).argmax(axis=1)  # [B]
            if level is not self.levels[0]:
                mass -= np.where(child > 0, within[np.arange(at.size), child - 1], 0)  # [B]
            at = at * FAN + child  # [B]
        return at


class Priorities:
    """p^alpha of each entry in a ring, and 0 of one that starts no transition.

    Such are closing entries, the newest entry as long as nothing follows it, and, once the ring is
    full, its oldest window_length - 1, whose windows reach into overwritten ones. The importance
    weights' exponent goes from `beta` to 1 within `beta_steps` env steps.
    """

    def __init__(
        self, capacity: int, window_length: int, alpha: float, beta: float, beta_steps: int
    ) -> None:
        self.tree, self.window_length = SumTree(capacity), window_length
        self.alpha, self.beta, self.beta_steps = alpha, beta, beta_steps
        self.largest = 1.0  # algorithm 1, line 2: p_1 = 1
        self.stored = 0  # transitions ever, one for each env step but the newest

    def append(self, appended: int, closing: Array) -> None:
        """Follow the `appended`th entry of the ring, whose closing entries are flagged [N]."""
        place = (appended - 1) % self.tree.size
        completes = appended > 1 and not closing[place - 1]
        reach = self.window_length if appended > self.tree.size else 1
        at = np.arange(place - 1, place + reach) % self.tree.size  # [1 + reach]
        values = np.zeros(at.size)  # [1 + reach]
        # algorithm 1, line 6: a new transition gets the largest priority so far
        values[0] = self.largest * completes
        self.tree.set(at, values)
        self.stored += completes

    def weights(self, place: Array) -> Array:
        """Importance weights [..., B] of batches drawn at `place` [..., B], section 3.4.

        (N P(i))^-beta over the largest of the batch, where N and the sum of priorities cancel.
        """
        beta = self.beta + (1 - self.beta) * min(self.stored / self.beta_steps, 1)
        priority = self.tree.leaves[place]  # [..., B]
        weights: Array = (priority / priority.min(axis=-1, keepdims=True)) ** -beta  # [..., B]
        return weights

    def update(self, place: Array, td_error: Array) -> None:
        """Algorithm 1, line 12: p = |td_error| + epsilon, [B] of the transitions at `place` [B]."""
        priority = (np.abs(td_error.astype(np.float64)) + SMALLEST) ** self.alpha  # [B]
        self.largest = max(self.largest, float(priority.max()))
        self.tree.set(place, priority)

    def state_dict(self) -> dict[str, Array]:
        """Copies of all that the next draw depends on."""
        counts = np.array([self.largest, self.stored])  # [2]
        return {"priorities": self.tree.leaves.copy(), "priority_counts": counts}  # [N], [2]

    def load_state_dict(self, state: dict[str, Array]) -> None:
        """Take back what `state_dict` returned. ValueError for a ring of another size."""
        leaves, counts = state["priorities"], state["priority_counts"]
        if leaves.shape != (self.tree.size,):
            raise ValueError("the priorities are of a memory of another size")
        self.tree.leaves[...] = leaves  # [N]
        each = np.arange(0, self.tree.size, FAN)  # [sums], one leaf of each sum
        self.tree.set(each, leaves[each])
        self.largest, self.stored = float(counts[0]), int(counts[1])
