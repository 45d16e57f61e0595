"""Modules that a weights file names are imported by its user, or not at all."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from records import write_record

import kerasrl_runner
from kerasrl_runner.errors import WeightsError
from kerasrl_runner.parts.model import build_q_network
from kerasrl_runner.preset import load_preset
from kerasrl_runner.runs.testing import find_subject
from kerasrl_runner.vendor import keras
from kerasrl_runner.weights.architecture import architecture_of
from kerasrl_runner.weights.file import Layer, WeightsFile, write_weights
from kerasrl_runner.weights.keras_weights import layers_of

MODULE = "a_module_of_strangers"
ENVIRONMENT = f'[env]\nid = "{MODULE}:World-v0"\n[model]\nlayers = []\n'
LAYER = (
    f'[env]\nid = "CartPole-v1"\n[model]\nlayers = [{{ "{MODULE}:Scaled" = {{ factor = 2.0 }} }}]\n'
)
WRAPPED = LAYER.replace("{ ", "{ TimeDistributed = { layer = { ", 1).replace(" }]", " } } }]")

SCALED = """\
from kerasrl_runner.vendor import keras

class Scaled(keras.layers.Layer):
    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, inputs):
        return self.factor * inputs

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}
"""


@pytest.fixture(autouse=True)
def _importable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The module lies where an import would find it, and is forgotten afterwards."""
    (tmp_path / f"{MODULE}.py").write_text(SCALED)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, MODULE, None)  # so that it is restored
    monkeypatch.delitem(sys.modules, MODULE)


def write(folder: Path, preset: str) -> Path:
    folder.mkdir(exist_ok=True)
    weights = WeightsFile((Layer("dense", (("dense/w:0", np.ones(2)),)),), {"preset": preset})
    write_weights(folder / "best.h5", weights, overwrite=True)
    return folder / "best.h5"


@pytest.mark.parametrize("preset", [ENVIRONMENT, LAYER, WRAPPED], ids=["env", "layer", "wrapped"])
def test_a_weights_file_alone_imports_nothing(tmp_path: Path, preset: str) -> None:
    path = write(tmp_path / "of-a-stranger", preset)
    with pytest.raises(WeightsError, match=f"needs {MODULE}.*imports nothing by itself.*--preset"):
        kerasrl_runner.test(weights=path)
    assert MODULE not in sys.modules


def test_in_a_run_directory_the_way_out_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "run", ENVIRONMENT)
    write_record(path.parent)
    with pytest.raises(WeightsError, match=f"--run {path.parent}"):
        find_subject(weights=path)


def test_what_its_user_names_may_be_imported(tmp_path: Path) -> None:
    path = write(tmp_path / "run", ENVIRONMENT)
    write_record(path.parent)
    (tmp_path / "mine.toml").write_text(ENVIRONMENT)
    assert find_subject(load_preset(tmp_path / "mine.toml"), weights=path).path == path
    assert find_subject(run=str(path.parent)).path == path
    assert MODULE not in sys.modules


def test_what_is_imported_already_is_used(tmp_path: Path) -> None:
    __import__(MODULE)
    path = write(tmp_path / "of-a-stranger", LAYER)
    assert find_subject(weights=path).preset.model.layers[0].name == f"{MODULE}:Scaled"


def test_load_model_builds_a_layer_of_ones_own_once_its_module_is_imported(tmp_path: Path) -> None:
    keras.Sequential()
    network = build_q_network([(f"{MODULE}:Scaled", {"factor": 2.0})], (1, 3), 2)
    told = {"architecture": architecture_of(network)}
    write_weights(tmp_path / "w.h5", WeightsFile(layers_of(network), told), overwrite=False)
    states = np.random.default_rng(0).normal(size=(5, 1, 3)).astype(np.float32)
    expected = network.predict_on_batch(states)
    del sys.modules[MODULE]
    with pytest.raises(WeightsError, match=f"import {MODULE}, then load it"):
        kerasrl_runner.load_model(tmp_path / "w.h5")
    assert MODULE not in sys.modules
    __import__(MODULE)
    loaded = kerasrl_runner.load_model(tmp_path / "w.h5")
    np.testing.assert_allclose(loaded.predict_on_batch(states), expected, rtol=1e-6)
