"""A dueling head's weights as those of one plain Dense, where that is exact, and back."""

from __future__ import annotations

import numpy as np


def is_foldable(dueling_type: str) -> bool:
    """Whether Q is linear in the head's A + 1 outputs: Wang 2016, eq. 9 and 7, but not 8."""
    return dueling_type in ("avg", "naive")


def fold(weight: np.ndarray, dueling_type: str) -> np.ndarray:
    """[..., A + 1] -> [..., A]: V and the advantages combined; "max" stays as it is."""
    value, advantage = weight[..., :1], weight[..., 1:]
    if dueling_type == "avg":
        return value + advantage - advantage.mean(axis=-1, keepdims=True)
    return value + advantage if dueling_type == "naive" else weight


def unfold(weight: np.ndarray, dueling_type: str) -> np.ndarray:
    """[..., A] -> [..., A + 1] with the same Q values: the inverse of `fold`."""
    if dueling_type == "avg":
        return np.concatenate([weight.mean(axis=-1, keepdims=True), weight], axis=-1)
    if dueling_type == "naive":
        return np.concatenate([np.zeros_like(weight[..., :1]), weight], axis=-1)
    return weight
