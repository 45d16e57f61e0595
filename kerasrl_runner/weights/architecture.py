"""A network's architecture as plain data: to be recorded, and built again."""

from __future__ import annotations

from typing import Any

from kerasrl_runner.errors import WeightsError, shortened
from kerasrl_runner.parts.model import DuelingHead, at_most
from kerasrl_runner.vendor import keras
from kerasrl_runner.weights.comparison import NOT_RECORDED
from kerasrl_runner.weights.dueling import is_foldable
from kerasrl_runner.weights.trust import add_layer, check_config, layer_class

# What layers with a random stream keep of it, which is in no file.
_STATE = 1_000


def architecture_of(model: Any) -> dict[str, Any]:
    """The input's shape and each layer's class and config, JSON as it stands.

    A dueling head that `layers_of` folds appears as the plain Dense that the file holds.
    """
    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    return {
        "input_shape": list(model.input_shape[1:]) if isinstance(model.input_shape, tuple) else [],
        "layers": [_described(layer) for layer in layers],
    }


def model_of(architecture: dict[str, Any], numbers: int) -> Any:
    """The Keras Sequential that `architecture` describes, its weights all zero.

    Args:
        numbers: how many weights there are to be put into it; a description of more is refused.

    Raises:
        WeightsError: not such a description, a layer that cannot be built or is never built from
            a file, or a layer of a module that is not imported.
    """
    try:
        model = keras.Sequential()
        with at_most(numbers + _STATE):
            shape = tuple(architecture["input_shape"])
            add_layer(model, keras.layers.InputLayer(input_shape=shape))
            for entry in architecture["layers"]:
                check_config(entry["config"])
                add_layer(model, layer_class(entry["class"]).from_config(entry["config"]))
    except WeightsError:
        raise
    except Exception as error:  # a foreign or broken description raises anything inside Keras
        raise WeightsError(
            f"the weights' architecture cannot be built: {shortened(error)}. Expected a file that "
            f"kerasrl-runner wrote from a Sequential."
        ) from error
    return model


def _described(layer: Any) -> dict[str, Any]:
    name = type(layer).__name__
    config = {k: v for k, v in layer.get_config().items() if k not in NOT_RECORDED}
    if isinstance(layer, DuelingHead) and is_foldable(layer.dueling_type):
        del config["dueling_type"]
        units = config.pop("nb_actions")
        return {"class": "Dense", "config": {**config, "units": units}}
    if getattr(keras.layers, name, None) is not type(layer):
        name = f"{type(layer).__module__}:{name}"
    return {"class": name, "config": config}
