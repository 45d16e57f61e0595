"""A weights file is data: nothing is imported and no code is run because a file names it."""

from __future__ import annotations

import base64
import marshal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from records import write_record

import kerasrl_runner
from kerasrl_runner.errors import PresetError, WeightsError
from kerasrl_runner.parts.model import build_q_network
from kerasrl_runner.preset import load_preset
from kerasrl_runner.runs.testing import find_subject
from kerasrl_runner.vendor import keras
from kerasrl_runner.weights.file import Layer, WeightsFile, write_weights
from kerasrl_runner.weights.keras_weights import config_of, layers_of

MODULE = "a_module_of_strangers"
ENVIRONMENT = f'[env]\nid = "{MODULE}:World-v0"\n[model]\nlayers = []\n'
WRAPPER = f'''\
[env]
id = "CartPole-v1"
wrappers = [{{ "{MODULE}:Wrapped" = {{}} }}]
[model]
layers = []
'''
LAYERS = '[env]\nid = "CartPole-v1"\n[model]\nlayers = [{}]\n'
LAYER = LAYERS.format(f'{{ "{MODULE}:Scaled" = {{ factor = 2.0 }} }}')
WRAPPED = LAYER.replace("{ ", "{ TimeDistributed = { layer = { ", 1).replace(" }]", " } } }]")

# The module leaves a file behind as soon as it runs.
SCALED = """\
from kerasrl_runner.vendor import keras

open("imported", "w").close()

class Scaled(keras.layers.Layer):
    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, inputs):
        return self.factor * inputs

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}

def function(*arguments):
    return arguments[0]
"""
CODE = base64.b64encode(marshal.dumps(compile('open("ran", "w")', "evil", "exec"))).decode()
LAMBDA = {"function": [CODE, None, None], "function_type": "lambda"}


@pytest.fixture(autouse=True)
def _importable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The module lies where an import would find it, and is forgotten afterwards."""
    (tmp_path / f"{MODULE}.py").write_text(SCALED)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, MODULE, None)  # so that it is restored
    monkeypatch.delitem(sys.modules, MODULE)


def assert_nothing_ran(folder: Path) -> None:
    assert MODULE not in sys.modules
    assert not (folder / "imported").exists()
    assert not (folder / "ran").exists()


def write(folder: Path, preset: str) -> Path:
    folder.mkdir(exist_ok=True)
    layers = (Layer("dense", (("dense/w:0", np.ones(2)),)),)
    write_weights(folder / "best.h5", WeightsFile(layers, None, {"preset": preset}), overwrite=True)
    return folder / "best.h5"


@pytest.mark.parametrize("preset", [ENVIRONMENT, WRAPPER, LAYER, WRAPPED])
def test_a_weights_file_alone_imports_nothing(tmp_path: Path, preset: str) -> None:
    path = write(tmp_path / "of-a-stranger", preset)
    with pytest.raises(WeightsError, match=f"needs {MODULE}.*imports nothing by itself.*--preset"):
        kerasrl_runner.test(weights=path)
    assert_nothing_ran(tmp_path)


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
    assert_nothing_ran(tmp_path)


def test_what_is_imported_already_is_used(tmp_path: Path) -> None:
    __import__(MODULE)
    path = write(tmp_path / "of-a-stranger", LAYER)
    assert find_subject(weights=path).preset.model.layers[0].name == f"{MODULE}:Scaled"


LAMBDA_TOML = (
    f'{{ class_name = "Lambda", config = {{ function = ["{CODE}", [], []], '
    'function_type = "lambda", output_shape_type = "raw", output_shape = [2] } }'
)
REFUSED_IN_PRESETS = {
    "what runs code by Keras' own function": (
        "{ TimeDistributed = { layer = { deserialize = { "
        f"config = {LAMBDA_TOML}, use_legacy_format = true }} }} }} }}",
        '"deserialize"',
    ),
    "a wrapped Lambda": ("{ TimeDistributed = { layer = { Lambda = {} } } }", "Lambda layers"),
    "a wrapped layer as Keras writes it": (
        f"{{ TimeDistributed = {{ layer = {LAMBDA_TOML} }} }}",
        "expected one layer a table",
    ),
    "a class of a module": (
        f'{{ Dense = {{ units = 2, kernel_initializer = {{ module = "{MODULE}" }} }} }}',
        '"module" is refused',
    ),
    "a class by its registered name": (
        '{ Dense = { units = 2, bias_constraint = [{ registered_name = "a>B" }] } }',
        '"registered_name" is refused',
    ),
}


@pytest.mark.parametrize("name", REFUSED_IN_PRESETS)
@pytest.mark.parametrize("named", [True, False], ids=["--preset", "--weights"])
def test_a_preset_cannot_run_code_by_keras_own_spellings(
    tmp_path: Path, name: str, named: bool
) -> None:
    layer, words = REFUSED_IN_PRESETS[name]
    preset = LAYERS.format(layer)
    (tmp_path / "mine.toml").write_text(preset)
    weights = None if named else write(tmp_path / "run", preset)
    with pytest.raises(PresetError, match=words):
        find_subject(preset=tmp_path / "mine.toml" if named else None, weights=weights)
    assert_nothing_ran(tmp_path)


def own_layer_file(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Writes a network with a Scaled in it; returns states [5, 1, 3] and their Q values [5, 2]."""
    keras.Sequential()
    network = build_q_network([(f"{MODULE}:Scaled", {"factor": 2.0})], (1, 3), 2)
    weights = WeightsFile(layers_of(network), config_of(network), {})
    write_weights(path, weights, overwrite=False)
    states = np.random.default_rng(0).normal(size=(5, 1, 3)).astype(np.float32)
    return states, network.predict_on_batch(states)


def test_load_model_takes_a_layer_of_ones_own_from_imported_modules(tmp_path: Path) -> None:
    states, expected = own_layer_file(tmp_path / "w.h5")
    module = sys.modules.pop(MODULE)
    with pytest.raises(WeightsError, match=f"{MODULE}>Scaled.*import its module.*custom_objects"):
        kerasrl_runner.load_model(tmp_path / "w.h5")
    assert MODULE not in sys.modules
    given = kerasrl_runner.load_model(tmp_path / "w.h5", custom_objects={"Scaled": module.Scaled})
    by_keras = keras.models.load_model(
        tmp_path / "w.h5", custom_objects={f"{MODULE}>Scaled": module.Scaled}, compile=False
    )
    __import__(MODULE)
    for model in (given, by_keras, kerasrl_runner.load_model(tmp_path / "w.h5")):
        np.testing.assert_allclose(model.predict_on_batch(states), expected, rtol=1e-6)


def part(kind: str, module: str | None = None, **config: Any) -> dict[str, Any]:
    """An object within a configuration, as Keras writes it."""
    return {"class_name": kind, "config": config, "module": module, "registered_name": kind}


EVIL = part("Scaled", MODULE, factor=1.0)
DISGUISED = part("Zeros", MODULE)  # a class that Keras has, in a module that Keras has not
# What is registered in `config` has Keras look for the class in the module.
REGISTERED = {**DISGUISED, "config": "kerasrl_runner>DuelingHead", "registered_name": None}
FUNCTION = {"class_name": "function", "config": "function", "module": MODULE}
CRAFTED: dict[str, dict[str, Any]] = {
    "layer of a module": EVIL,
    "layer as registered": {**EVIL, "module": None, "registered_name": f"{MODULE}>Scaled"},
    "Lambda": part("Lambda", "keras.layers", **LAMBDA),
    "Lambda by its module": part("Lambda", "tf_keras.src.layers.core.lambda_layer", **LAMBDA),
    "Lambda as registered": part("tf_keras.layers>Lambda", None, **LAMBDA),
    "wrapped Lambda": part("TimeDistributed", layer=part("Lambda", **LAMBDA)),
    "wrapped layer": part("TimeDistributed", layer=EVIL),
    "backward layer": part("Bidirectional", layer=part("GRU", units=2), backward_layer=EVIL),
    "layer of a model within": part("Sequential", layers=[EVIL]),
    "lambda for an initializer": part(
        "Dense", units=2, kernel_initializer=part("__lambda__", value=LAMBDA["function"])
    ),
    "class of the system": part("FileHandler", "logging", filename="ran"),
    "class of the system as registered": part("logging>FileHandler", filename="ran"),
    "layer of Keras' names": part("Dense", MODULE, units=2),
    "disguised initializer": part("Dense", units=2, kernel_initializer=DISGUISED),
    "registered initializer": part("Dense", units=2, kernel_initializer=REGISTERED),
    "registered constraint": part("Dense", units=2, bias_constraint=REGISTERED),
    "registered layer within": part("TimeDistributed", layer={**REGISTERED, "class_name": "Dense"}),
    "disguised layer within": part("TimeDistributed", layer=part("Dense", MODULE, units=2)),
    "disguised activation": part("Activation", activation=part("ReLU", MODULE)),
    "disguised scale": part("Rescaling", scale=DISGUISED),
    "initializer": part("Dense", units=2, kernel_initializer=EVIL),
    "constraint": part("Dense", units=2, kernel_constraint=EVIL),
    "regularizer": part("Dense", units=2, kernel_regularizer=EVIL),
    "activation": part("Activation", activation=FUNCTION),
    "dtype": part("Dense", units=2, dtype=EVIL),
    "specification": part(
        "Dense", units=2, bias_initializer={**part("__typespec__", MODULE), "spec_name": "Scaled"}
    ),
    "compiled with it": {**part("Dense", units=2), "compile_config": {"optimizer": EVIL}},
    "function of TensorFlow": part("TFOpLambda", function="io.write_file"),
    "operation of TensorFlow": part("TensorFlowOpLayer", node_def="name: 'x' op: 'WriteFile'"),
    "cell": part("RNN", cell=part("ResidualWrapper", cell=EVIL)),
    "vocabulary of a file": part("StringLookup", vocabulary="/etc/passwd"),
    "name that is none": {"class_name": ["Dense"], "config": {"units": 2}},
}


@pytest.mark.parametrize("name", CRAFTED)
@pytest.mark.parametrize("outer", ["modern", "legacy"])
def test_a_crafted_configuration_imports_nothing(tmp_path: Path, name: str, outer: str) -> None:
    entry = CRAFTED[name]
    if outer == "legacy":  # without `module` Keras takes its legacy way
        entry = {key: entry[key] for key in ("class_name", "config")}
    input_layer = part("InputLayer", "keras.layers", batch_input_shape=[None, 2, 3], name="x")
    config = {"class_name": "Sequential", "config": {"name": "a", "layers": [input_layer, entry]}}
    write_weights(tmp_path / "w.h5", WeightsFile((), config, {}), overwrite=False)
    with pytest.raises(WeightsError):
        kerasrl_runner.load_model(tmp_path / "w.h5")
    assert_nothing_ran(tmp_path)
