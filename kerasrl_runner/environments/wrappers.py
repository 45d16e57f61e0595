"""Wrappers for `[env] wrappers`, where Gymnasium has none that serves."""

from __future__ import annotations

import math
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
        bins: list[int] | None = None,
        low: list[float] | None = None,
        high: list[float] | None = None,
    ) -> None:
        """
        Args:
            bins: cells of equal width, a number for each part of a Box; a MultiDiscrete needs none.
            low, high: the outer edges of each part's cells, those of the Box where None. What lies
                beyond them counts to the outermost cell.

        Raises:
            ValueError: an observation of another kind, no bounds, or not one for each part.
        """
        super().__init__(env)
        space: Any = env.observation_space
        if isinstance(space, spaces.MultiDiscrete) and bins is low is high is None:
            bins = space.nvec.reshape(-1).tolist()
            low = space.start.reshape(-1).tolist()
            high = [least + count for least, count in zip(low, bins, strict=True)]
        elif not isinstance(space, spaces.Box):
            raise ValueError(
                f"expected observations of a Box, with bins, or of a MultiDiscrete, without; "
                f"received {space} and bins = {bins}"
            )
        else:
            low = space.low.reshape(-1).tolist() if low is None else low
            high = space.high.reshape(-1).tolist() if high is None else high
        size = math.prod(space.shape)
        for name, values in (("bins", bins), ("low", low), ("high", high)):
            if not isinstance(values, list) or len(values) != size:
                parts = f"one for each part of {space}"
                raise ValueError(f"{name}: expected {size} numbers, {parts}; received {values}")
        self._parts = []  # (lower edge, cells in one unit, cells) of each part
        for number, (least, most, count) in enumerate(zip(low, high, bins or [], strict=True)):
            if not most - least < 1e30:
                raise ValueError(
                    f"part {number} of the observations {space} is unbounded, and cells need "
                    f"edges: write low = [...] and high = [...] beside bins, {size} numbers each, "
                    f"between which a good policy keeps the parts"
                )
            if type(count) is not int or count < 1 or not least < most:
                raise ValueError(
                    f"part {number}: expected 1 or more bins from a lower to a higher edge, "
                    f"received {count} from {least} to {most}"
                )
            self._parts.append((least, count / (most - least), count))
        self.observation_space = spaces.Discrete(math.prod(count for _, _, count in self._parts))

    def observation(self, observation: Any) -> int:
        number = 0
        values = np.asarray(observation).reshape(-1).tolist()
        for value, (low, cells_per_unit, count) in zip(values, self._parts, strict=True):
            cell = int((value - low) * cells_per_unit)
            number = number * count + min(max(cell, 0), count - 1)
        return number
