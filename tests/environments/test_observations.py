"""What the network sees of an observation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from kerasrl_runner.environments.observations import build_encoder
from kerasrl_runner.errors import PresetError


@pytest.mark.parametrize(
    ("space", "observation", "encoded"),
    [
        (spaces.Discrete(4), 2, [0, 0, 1, 0]),
        (spaces.Discrete(3, start=5), 5, [1, 0, 0]),
        (spaces.MultiDiscrete([2, 3]), np.array([1, 0]), [0, 1, 1, 0, 0]),
    ],
)
def test_numbers_become_one_hot(space: Any, observation: Any, encoded: list[int]) -> None:
    encode = build_encoder(space, 1.0)
    assert encode(observation).dtype == np.float32
    assert encode(observation).tolist() == encoded


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64, np.int32])
def test_arrays_keep_their_shape_and_dtype(dtype: Any) -> None:
    encode = build_encoder(spaces.Box(0, 9, (2, 3), dtype), 1.0)
    observation = np.arange(6, dtype=dtype).reshape(2, 3)
    assert encode(observation).dtype == dtype
    np.testing.assert_array_equal(encode(observation), observation)


def test_bits_are_an_array() -> None:
    encode = build_encoder(spaces.MultiBinary(3), 1.0)
    assert encode(np.array([1, 0, 1], np.int8)).tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    ("scale", "encoded"), [(0.5, [1.0, 2.0]), ((0.5, 0.25), [1.0, 1.0]), ((1.0, 1.0), [2.0, 4.0])]
)
def test_a_scale_multiplies_and_gives_float32(scale: Any, encoded: list[float]) -> None:
    encode = build_encoder(spaces.Box(0, 9, (2,), np.uint8), scale)
    assert encode(np.array([2, 4], np.uint8)).dtype == np.float32
    assert encode(np.array([2, 4], np.uint8)).tolist() == encoded


@pytest.mark.parametrize("scale", [(0.5,), (0.5, 0.5, 0.5)])
def test_a_scale_of_another_length_is_refused(scale: Any) -> None:
    with pytest.raises(PresetError, match=rf"one number or \(2,\) numbers.*received {len(scale)}"):
        build_encoder(spaces.Box(0, 9, (2,)), scale)


@pytest.mark.parametrize("scale", [0.5, (0.5, 0.5)])
def test_a_scale_of_one_hot_numbers_is_refused(scale: Any) -> None:
    with pytest.raises(PresetError, match="becomes one-hot, never scaled"):
        build_encoder(spaces.Discrete(2), scale)


@pytest.mark.parametrize(
    "space",
    [
        spaces.Dict({"a": spaces.Discrete(2)}),
        spaces.Tuple((spaces.Discrete(2),)),
        spaces.Text(5),
    ],
)
def test_a_space_that_is_no_single_array_is_refused_with_a_way_out(space: Any) -> None:
    with pytest.raises(PresetError, match=r"gymnasium\.wrappers\.FlattenObservation"):
        build_encoder(space, 1.0)


@pytest.mark.parametrize(
    ("observation", "message"),
    [
        (np.array([0.5, 1.0]), r"expected uint8 as the space says, received float64: \[0\.5"),
        (np.array([1000, 1]), r"expected uint8 as the space says, received int64: \[1000"),
    ],
)
def test_values_that_the_dtype_cannot_hold_are_refused(observation: Any, message: str) -> None:
    encode = build_encoder(spaces.Box(0, 255, (2,), np.uint8), 1.0)
    with pytest.raises(ValueError, match=message):
        encode(observation)


@pytest.mark.parametrize("observation", [np.array([3.0, 4.0]), [3, 4], (3, 4)])
def test_equal_values_of_another_dtype_are_taken(observation: Any) -> None:
    encode = build_encoder(spaces.Box(0, 255, (2,), np.uint8), 1.0)
    assert encode(observation).dtype == np.uint8
    assert encode(observation).tolist() == [3, 4]


def test_an_environment_may_write_all_observations_into_one_array() -> None:
    encode = build_encoder(spaces.Box(0, 9, (2,)), 1.0)
    written = np.array([1, 2], np.float32)
    encoded = encode(written)
    written[:] = 5
    assert encoded.tolist() == [1, 2]
