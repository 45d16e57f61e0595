"""What a network sees of an observation: arrays as they are or scaled, Discrete one-hot."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium import spaces

from kerasrl_runner.errors import PresetError

Encoder = Callable[[Any], Any]


def build_encoder(space: spaces.Space, scale: float | tuple[float, ...]) -> Encoder:
    """A function from the environment's observation to the network's.

    Box and MultiBinary keep their dtype unless they are scaled (then float32); Discrete and
    MultiDiscrete become one-hot float32 vectors. The function raises ValueError for an observation
    that is not of the space.

    Raises:
        PresetError: a space that one array cannot hold, or a scale of another length.
    """
    if isinstance(space, spaces.Discrete | spaces.MultiDiscrete):
        if scale != 1.0:
            raise PresetError(
                f"env.observation_scale: {space} becomes one-hot, never scaled; leave it out."
            )
        return lambda observation: _to_one_hot(observation, space)
    if not isinstance(space, spaces.Box | spaces.MultiBinary):
        raise PresetError(
            f"env.id: observations of {space} do not fit one input of a Sequential; expected Box, "
            f"Discrete, MultiDiscrete or MultiBinary. Wrap the environment in "
            f"gymnasium.wrappers.FlattenObservation and name it module:Id-v0."
        )
    shape, dtype = space.shape, space.dtype
    if scale == 1.0:
        return lambda observation: _to_array(observation, shape, dtype)
    factors = np.asarray(scale, np.float32)
    if factors.ndim and factors.shape != shape:
        raise PresetError(
            f"env.observation_scale: expected one number or {shape} numbers, one for each part of "
            f"the observation; received {factors.size}."
        )
    return lambda observation: _to_array(observation, shape, dtype).astype(np.float32) * factors


def build_indexer(space: spaces.Space) -> Callable[[Any], int]:
    """A function from an observation to its row in a table, counted from 0.

    The function raises ValueError or TypeError for an observation that is not of the space.

    Raises:
        PresetError: a space that does not number its observations.
    """
    if not isinstance(space, spaces.Discrete):
        raise PresetError(
            f"env.id: a table has a row for each observation; expected Discrete, received {space}. "
            f'Number them by [env] wrappers = [{{ "kerasrl_runner.environments.wrappers:Discretize"'
            f" = {{ bins = [...] }} }}]; MultiDiscrete needs no bins."
        )
    start, rows = int(space.start), int(space.n)

    def find_row(observation: Any) -> int:
        row = operator.index(observation) - start
        if not 0 <= row < rows:
            raise ValueError(f"expected a member of {space}, received {observation!r}")
        return row

    return find_row


def _to_one_hot(observation: Any, space: spaces.Space) -> np.ndarray:
    if not space.contains(observation):
        raise ValueError(f"expected a member of {space}, received {observation!r}")
    return np.asarray(spaces.flatten(space, observation), np.float32)


def _to_array(observation: Any, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """A copy in the space's dtype, since environments may write the next one into the same array.

    Raises:
        ValueError: another shape, or values that are none of the dtype (floats may be rounded).
    """
    array = np.array(observation)
    if array.shape != shape:
        raise ValueError(f"expected shape {shape} as the space says, received {array.shape}")
    if array.dtype == dtype:
        return array
    if array.dtype.kind in "fiub":
        with np.errstate(all="ignore"):
            cast = array.astype(dtype)
        if cast.dtype.kind == "f" or (cast == array).all():
            return cast
    raise ValueError(f"expected {dtype} as the space says, received {array.dtype}: {array}")
