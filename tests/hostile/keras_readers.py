"""What a worker reads with Keras: networks that weights files describe."""

from __future__ import annotations

import os
import sys
from typing import Any

import kerasrl_runner
from kerasrl_runner.parts.model import build_q_network
from kerasrl_runner.vendor import keras
from kerasrl_runner.weights.architecture import architecture_of, model_of
from kerasrl_runner.weights.comparison import check_same

sys.path.insert(0, os.getcwd())  # where evil.py lies: importing it would succeed


def build(architecture: Any) -> None:
    keras.Sequential()
    model_of(architecture, 10_000)


def compare(architecture: Any) -> None:
    keras.Sequential()
    check_same(architecture_of(build_q_network([("Dense", {"units": 4})], (1, 3), 2)), architecture)


def load(path: str) -> None:
    kerasrl_runner.load_model(path)


KERAS = {"build": build, "compare": compare, "load": load}
# What Keras loads and writes down at its first layer is not caused by what is read.
build({"input_shape": [3], "layers": [{"class": "Dense", "config": {"units": 2}}]})
