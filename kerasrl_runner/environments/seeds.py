"""Seeds of episodes: one integer and an episode's number decide how the episode starts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

# Streams are told apart by a seed's last two bits, so that no two ever share an episode.
TRAINING, EVALUATION, TEST = 0, 1, 2


def episode_seeds(seed: int, stream: int) -> Callable[[int], int]:
    """Episode number -> the seed of its `env.reset`, below 2**31, the same in every engine."""

    def seed_of(episode: int) -> int:
        state = np.random.SeedSequence([seed, episode]).generate_state(1)[0]
        return int(state >> 3) << 2 | stream

    return seed_of
