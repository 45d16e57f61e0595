"""`load_model` of the Python API."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kerasrl_runner.errors import WeightsError, shortened
from kerasrl_runner.vendor import keras
from kerasrl_runner.weights.architecture import model_of
from kerasrl_runner.weights.file import read_weights
from kerasrl_runner.weights.keras_weights import set_layers


def load_model(weights: str | Path) -> Any:
    """The Keras Sequential of a weights file: raw observations [B, W, *observation] -> Q [B, A].

    The preset's observation_scale, if it has one, is the model's first layer (Rescaling). A weights
    file is data: modules of its own layers are imported by you, before.

    Raises:
        WeightsError: not a weights file of this project, a broken one, or one whose layers are of
            a module that is not imported.
    """
    file = read_weights(Path(weights))
    architecture = file.attributes.get("architecture")
    if not isinstance(architecture, dict):
        raise WeightsError(
            f"{weights} does not say its architecture, as files of kerasrl-runner do. Build the "
            f"model yourself and call model.load_weights."
        )
    keras.Sequential()  # an agent in this process may have left Keras' classes in graph mode
    network = model_of(architecture, file.numbers)
    set_layers(network, file)
    scale = _observation_scale(file.attributes.get("preset"))
    if scale == 1.0:
        return network
    try:
        rescaling = keras.layers.Rescaling(scale, input_shape=tuple(network.input_shape[1:]))
        return keras.Sequential([rescaling, *network.layers])
    except (TypeError, ValueError) as error:
        raise WeightsError(
            f"{weights}: its preset's observation_scale does not fit its network: "
            f"{shortened(error)}"
        ) from error


def _observation_scale(preset_text: Any) -> Any:
    from kerasrl_runner.preset import preset_from_toml

    return preset_from_toml(str(preset_text)).env.observation_scale if preset_text else 1.0
