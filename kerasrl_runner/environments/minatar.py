"""MinAtar's games (Young & Tian 2019), registered when this module is imported.

MinAtar's own classes let an episode begin with the last one's action, which sticky actions repeat,
and leave unseeded what wrappers draw from: equal seeds then give unequal episodes. Their pictures
are floats.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from minatar.gym import BaseEnv


class MinAtar(BaseEnv):
    """Observations [10, 10, channels] of bool, as MinAtar/NAME-v1: the actions a game needs."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        gymnasium.Env.reset(self, seed=seed)
        self.game.last_action = 0
        return super().reset(seed, options)

    def render(self) -> Any:
        picture = super().render()
        if self.render_mode != "rgb_array":
            return picture
        # A cell of a screen of 10 x 10 is drawn as 16 x 16 pixels.
        return np.kron(picture * 255, np.ones((16, 16, 1))).astype(np.uint8)  # [160, 160, 3]


for _game in ("asterix", "breakout", "freeway", "seaquest", "space_invaders"):
    gymnasium.register(
        f"MinAtar/{_game.title().replace('_', '')}-v1",
        MinAtar,
        kwargs={"game": _game, "use_minimal_action_set": True},
    )
