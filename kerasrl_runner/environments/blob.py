"""The grid world of a tutorial series: a player goes to the food and keeps away from the enemy."""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces

SIZE = 10  # cells a side
MOVE, FOOD, ENEMY = -1.0, 25.0, -300.0
_COLOURS = ((0, 114, 178), (0, 158, 115), (213, 94, 0))  # player, food, enemy
_DIAGONALS = ((1, 1), (-1, -1), (-1, 1), (1, -1))
_OTHERS = ((1, 0), (-1, 0), (0, 1), (0, -1), (0, 0))
_CELL = 40  # pixels of a picture


class Blob(gymnasium.Env):
    """`kerasrl_runner.environments.blob:Blob-v0`: an episode ends at the food or at the enemy, and
    is truncated after 200 steps. Food and enemy stand still, each of the three in a cell of its own.

    A move beyond the edge stops there. Rewards: -1 a move, +25 for the one to the food, -300 for
    the one to the enemy.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["human", "rgb_array"], "render_fps": 10}

    def __init__(
        self, observation: str = "relative", actions: int = 9, render_mode: str | None = None
    ) -> None:
        """
        Args:
            observation: "relative", food - player and enemy - player, each + 9, as
                MultiDiscrete([19, 19, 19, 19]); or "image", uint8 [10, 10, 3].
            actions: 9, a step to each neighbouring cell or none; or 4, the diagonal ones. Those
                change the colour of their cell, as on a chessboard, at an edge alone, and where the
                edge is "relative" does not tell.

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
        self._is_image = observation == "image"
        self.observation_space = (
            spaces.Box(0, 255, (SIZE, SIZE, 3), np.uint8)
            if self._is_image
            else spaces.MultiDiscrete([2 * SIZE - 1] * 4)
        )
        self._moves = (_DIAGONALS + _OTHERS)[:actions]
        self._cells = ((0, 0), (0, 1), (0, 2))  # (column, row) of player, food and enemy
        self._window: Any = None

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        places = self.np_random.choice(SIZE * SIZE, 3, replace=False).tolist()
        self._cells = tuple(divmod(place, SIZE) for place in places)
        if self.render_mode == "human":
            self.render()
        return self._observe(), {}

    def step(self, action: int) -> Any:
        (x, y), food, enemy = self._cells
        right, down = self._moves[action]
        player = (min(max(x + right, 0), SIZE - 1), min(max(y + down, 0), SIZE - 1))
        self._cells = (player, food, enemy)
        reward = FOOD if player == food else ENEMY if player == enemy else MOVE
        if self.render_mode == "human":
            self.render()
        return self._observe(), reward, reward != MOVE, False, {}

    def render(self) -> Any:
        """An RGB picture [400, 400, 3] of uint8, or with "human" the window."""
        if self.render_mode is None:
            gymnasium.logger.warn("Blob was made without a render_mode and shows nothing")
            return None
        import pygame

        canvas = pygame.Surface((SIZE * _CELL, SIZE * _CELL))
        canvas.fill((255, 255, 255))
        for line in range(0, SIZE * _CELL, _CELL):
            pygame.draw.line(canvas, (220, 220, 220), (line, 0), (line, SIZE * _CELL))
            pygame.draw.line(canvas, (220, 220, 220), (0, line), (SIZE * _CELL, line))
        for (x, y), colour in reversed(list(zip(self._cells, _COLOURS, strict=True))):
            cell = pygame.Rect(x * _CELL, y * _CELL, _CELL, _CELL).inflate(-8, -8)
            corners = cell.width // 2 if colour == _COLOURS[0] else 4  # the player is round
            pygame.draw.rect(canvas, colour, cell, border_radius=corners)
        if self.render_mode == "rgb_array":
            return pygame.surfarray.array3d(canvas).swapaxes(0, 1)
        if self._window is None:
            pygame.display.init()
            self._window = pygame.display.set_mode(canvas.get_size()), pygame.time.Clock()
        surface, clock = self._window
        surface.blit(canvas, (0, 0))
        pygame.event.pump()
        pygame.display.update()
        clock.tick(self.metadata["render_fps"])
        return None

    def close(self) -> None:
        if self._window is not None:
            import pygame

            pygame.display.quit()
            self._window = None

    def _observe(self) -> np.ndarray:
        (x, y), food, enemy = self._cells
        if not self._is_image:
            parts = (food[0] - x, food[1] - y, enemy[0] - x, enemy[1] - y)
            return np.array(parts, np.int64) + (SIZE - 1)
        image = np.zeros((SIZE, SIZE, 3), np.uint8)
        for (column, row), colour in reversed(list(zip(self._cells, _COLOURS, strict=True))):
            image[row, column] = colour  # The player is drawn last, over what it has reached.
        return image


gymnasium.register("Blob-v0", f"{__name__}:Blob", max_episode_steps=200)
