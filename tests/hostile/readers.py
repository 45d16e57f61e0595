"""What a worker reads without TensorFlow: weights files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kerasrl_runner.weights.file import read_weights


def weights(path: str) -> None:
    for layer in read_weights(Path(path)).layers:
        for _, value in layer.weights:
            assert np.isfinite(value).all()


LIGHT = {"weights": weights}
