"""The grid world of a tutorial series: a player goes to the food and keeps away from the enemy."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

SIZE = 10  # cells a side
_ENLARGED = 40  # times, in a picture
_PLAYER, _FOOD, _ENEMY = (86, 180, 233), (0, 158, 115), (213, 94, 0)
# (right, down) of each action, the diagonal ones first.
_MOVES = ((1, 1), (-1, -1), (-1, 1), (1, -1), (1, 0), (-1, 0), (0, 1), (0, -1), (0, 0))


class Blob(gymnasium.Env):
    """`kerasrl_runner.environments.blob:Blob-v0`: food and enemy stand still, each of the three in
    a cell of its own. A move that would cross the edge stops there.

    A move costs 1; the one to the food pays 25, the one to the enemy -300, and either ends the
    episode, which is truncated after 200 steps.
    """

    metadata = {"render_modes": ["human", "rgb_array"], "render_fps": 10}  # noqa: RUF012

    def __init__(
        self, observation: str = "relative", actions: int = 9, render_mode: str | None = None
    ) -> None:
        """
        Args:
            observation: "relative", food - player and enemy - player, each + 9, as
                MultiDiscrete([19, 19, 19, 19]); or "image", uint8 [10, 10, 3].
            actions: 9, to each neighbouring cell or none; or 4, the diagonal ones. Of these half of
                all cells are out of reach but by way of an edge, which "relative" does not show.

        Raises:
            ValueError: another observation or number of actions.
        """
        if observation not in ("relative", "image") or actions not in (4, 9):
            raise ValueError(
                f'expected observation "relative" or "image" and 4 or 9 actions, received '
                f"{observation!r} and {actions!r}"
            )
        self.render_mode = render_mode
        self.action_space = spaces.Discrete(actions)
        if observation == "image":
            self.observation_space = spaces.Box(0, 255, (SIZE, SIZE, 3), np.uint8)
        else:
            self.observation_space = spaces.MultiDiscrete([2 * SIZE - 1] * 4)
        self._window: Any = None

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        player, food, enemy = self.np_random.choice(SIZE * SIZE, 3, replace=False).tolist()
        # (column, row) of each
        self._cells = divmod(player, SIZE), divmod(food, SIZE), divmod(enemy, SIZE)
        if self.render_mode == "human":
            self.render()
        return self._observe(), {}

    def step(self, action: int) -> Any:
        (x, y), food, enemy = self._cells
        right, down = _MOVES[action]
        player = (min(max(x + right, 0), SIZE - 1), min(max(y + down, 0), SIZE - 1))
        self._cells = player, food, enemy
        reward = 25.0 if player == food else -300.0 if player == enemy else -1.0
        if self.render_mode == "human":
            self.render()
        return self._observe(), reward, player in (food, enemy), False, {}

    def render(self) -> Any:
        """The image enlarged, [400, 400, 3] of uint8; with "human" None, and a window shows it."""
        picture = self._draw().repeat(_ENLARGED, 0).repeat(_ENLARGED, 1)
        if self.render_mode != "human":
            return picture
        import pygame

        if self._window is None:
            pygame.display.init()
            self._window = pygame.display.set_mode(picture.shape[:2])
        pygame.surfarray.blit_array(self._window, picture.swapaxes(0, 1))
        pygame.event.pump()
        pygame.display.update()
        pygame.time.wait(1_000 // self.metadata["render_fps"])
        return None

    def close(self) -> None:
        if self._window is not None:
            import pygame

            pygame.display.quit()

    def _observe(self) -> np.ndarray:
        if isinstance(self.observation_space, spaces.Box):
            return self._draw()
        (x, y), food, enemy = self._cells
        parts = (food[0] - x + 9, food[1] - y + 9, enemy[0] - x + 9, enemy[1] - y + 9)
        return np.array(parts, np.int64)

    def _draw(self) -> np.ndarray:
        image = np.zeros((SIZE, SIZE, 3), np.uint8)
        player, food, enemy = self._cells
        # The player comes last, over what it has reached.
        for (column, row), colour in ((food, _FOOD), (enemy, _ENEMY), (player, _PLAYER)):
            image[row, column] = colour
        return image


gymnasium.register("Blob-v0", f"{__name__}:Blob", max_episode_steps=200)
