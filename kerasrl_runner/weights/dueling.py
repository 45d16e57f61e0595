"""A dueling head's weights as those of one plain Dense, where that is exact, and back."""

from __future__ import annotations

import numpy as np

from kerasrl_runner.weights.file import Layer


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


def fold_head(layers: list[Layer], count: int, units: int, dueling_type: str) -> list[Layer]:
    """A file's layers with its head folded, if that is the vendor's dueling one of A + 1 `units`.

    A file with one layer more than the network's `count` is of a model that ended in Dense and
    Activation: there the vendor's head sits on that Dense's Q values (D13b), and joins with it.
    """
    *features, head = layers
    arrays = [value for _, value in head.weights]
    if [value.shape[-1:] for value in arrays] != [(units,), (units,)]:
        return layers
    if len(layers) == count + 1 and features[-1].weights[0][1].shape[1:] == (units - 1,):
        (_, kernel), *bias = features.pop().weights
        arrays = [kernel @ arrays[0], arrays[1] + sum(value @ arrays[0] for _, value in bias)]
    folded = [fold(value, dueling_type) for value in arrays]
    names = [name for name, _ in head.weights]
    return [*features, Layer(head.name, tuple(zip(names, folded, strict=True)))]
