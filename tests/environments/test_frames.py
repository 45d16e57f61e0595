"""Pictures of an environment: shown right, or refused in words."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest

from kerasrl_runner.environments.adapter import KerasRLEnvironment
from kerasrl_runner.errors import EnvironmentFailed

RED = np.full((4, 6, 3), (255, 0, 0), np.uint8)  # [height, width, 3]
GRAY = np.full((4, 6), 9, np.uint8)
LISTS = RED.tolist()


def drawing(*pictures: Any) -> KerasRLEnvironment:
    env = gymnasium.make("gyms:Drawing-v0", pictures=list(pictures), render_mode="rgb_array")
    environment = KerasRLEnvironment(env)
    environment.reset()
    return environment


@pytest.mark.parametrize(
    ("picture", "frame"),
    [
        (RED, RED),
        (RED.astype(np.int64), RED),
        (LISTS, RED),
        (np.dstack([RED, GRAY]), RED),
        (GRAY, np.full((4, 6, 3), 9)),
    ],
    ids=["RGB", "integers", "nested lists", "RGBA", "gray"],
)
def test_a_picture_becomes_rgb(picture: Any, frame: np.ndarray) -> None:
    made = drawing(picture).frame()
    assert made.dtype == np.uint8
    np.testing.assert_array_equal(made, frame)


@pytest.mark.parametrize(
    ("picture", "received"),
    [
        (None, "None"),
        ([RED, RED], r"a list of shape \(2, 4, 6, 3\) and dtype uint8"),
        ([[1, 2], [3]], "a list of unlike parts"),
        (RED / 255, r"a ndarray of shape \(4, 6, 3\) and dtype float64"),
        (RED.astype(np.int64) * 2, "values from 0 to 510"),
        (RED[:0], r"shape \(0, 6, 3\)"),
        (RED[:, :, :2], r"shape \(4, 6, 2\)"),
        ("+---+", "a str"),
    ],
    ids=["None", "list of frames", "ragged", "floats", "too large", "empty", "channels", "text"],
)
def test_what_is_no_picture_is_refused(picture: Any, received: str) -> None:
    message = (
        r"Drawing-v0 failed \(render\).*expected a picture, an array \[height, width, 3\] of "
        rf"uint8; received .*{received}"
    )
    with pytest.raises(EnvironmentFailed, match=message):
        drawing(picture).frame()


def test_pictures_of_changing_sizes_are_refused() -> None:
    environment = drawing(RED, RED[:, :3])
    environment.frame()
    with pytest.raises(EnvironmentFailed, match=r"shape, \(4, 6, 3\), received \(4, 3, 3\)"):
        environment.frame()
