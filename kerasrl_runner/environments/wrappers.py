"""Wrappers for `[env] wrappers`, where Gymnasium has none that serves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces


class Discretize(gymnasium.ObservationWrapper):
    """Numbers the cells of a Box, or the members of a MultiDiscrete: observations for a table.

    gymnasium.wrappers.DiscretizeObservation takes no bounds, and so no CartPole.
    """

    def __init__(
        self,
        env: gymnasium.Env,
        bins: Sequence[int] | None = None,
        low: Sequence[float] | None = None,
        high: Sequence[float] | None = None,
    ) -> None:
        """
        Args:
            bins: cells of equal width, a number for each part of a Box; a MultiDiscrete needs none.
            low, high: the outer edges of each part's cells, those of the Box where None; what lies
                beyond them counts to the outermost cell.

        Raises:
            ValueError: an observation of another kind, no bounds, or not one for each part.
        """
        super().__init__(env)
        space = env.observation_space
        if isinstance(space, spaces.MultiDiscrete) and bins is low is high is None:
            counts = space.nvec.reshape(-1).tolist()
            edges: Any = zip(space.start.reshape(-1).tolist(), counts, strict=True)
            self._parts = [(start, 1.0, count) for start, count in edges]
        elif isinstance(space, spaces.Box):
            self._parts = _divide(space, bins, low, high)
        else:
            raise ValueError(
                f"expected observations of a Box, with bins, or of a MultiDiscrete, without; "
                f"received {space} and bins = {bins}"
            )
        self.observation_space = spaces.Discrete(math.prod(count for _, _, count in self._parts))

    def observation(self, observation: Any) -> int:
        number = 0
        values = np.asarray(observation).reshape(-1).tolist()
        for value, (low, cells_per_unit, count) in zip(values, self._parts, strict=True):
            cell = int((value - low) * cells_per_unit)
            number = number * count + min(max(cell, 0), count - 1)
        return number


def _divide(
    space: spaces.Box,
    bins: Sequence[int] | None,
    low: Sequence[float] | None,
    high: Sequence[float] | None,
) -> list[tuple[float, float, int]]:
    """(lower edge, cells in one unit, cells) of each part of the Box."""
    size = math.prod(space.shape)
    lows = space.low.reshape(-1).tolist() if low is None else low
    highs = space.high.reshape(-1).tolist() if high is None else high
    for name, values in (("bins", bins), ("low", lows), ("high", highs)):
        if not isinstance(values, Sequence) or len(values) != size:
            raise ValueError(
                f"{name}: expected {size} numbers, one for each part of {space}; received {values}"
            )
    assert bins is not None
    parts = []
    for number, (least, most, count) in enumerate(zip(lows, highs, bins, strict=True)):
        if not math.isfinite(most - least) or abs(least) > 1e30:
            raise ValueError(
                f"part {number} of the observations {space} is unbounded, and cells need edges: "
                f"write low = [...] and high = [...] beside bins, a number for each of the {size} "
                f"parts, between which a good policy keeps them"
            )
        if type(count) is not int or count < 1 or not least < most:
            raise ValueError(
                f"part {number}: expected 1 or more bins from a lower to a higher edge, received "
                f"{count} from {least} to {most}"
            )
        parts.append((least, count / (most - least), count))
    return parts
