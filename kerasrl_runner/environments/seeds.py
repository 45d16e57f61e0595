"""Seeds of episodes: one integer and an episode's number decide how the episode starts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kerasrl_runner.errors import UsageError, whole_number

# A seed's last two bits name its stream, so that no two streams ever share an episode.
TRAINING, EVALUATION, TEST = 0, 1, 2


def check_seed(seed: int) -> int:
    """The seed as a Python int. Raises UsageError for what NumPy and TensorFlow do not take."""
    seed = whole_number("--seed", seed)
    if not 0 <= seed < 2**32:
        raise UsageError(f"--seed: expected a number from 0 to {2**32 - 1}, received {seed}.")
    return seed


def episode_seeds(seed: int, stream: int) -> Callable[[int], int]:
    """Episode number -> the seed of its `env.reset`, below 2**31, the same in every engine."""

    def seed_of(episode: int) -> int:
        state = np.random.SeedSequence([seed, episode]).generate_state(1)[0]
        return int(state >> 3) << 2 | stream

    return seed_of
