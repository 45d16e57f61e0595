"""A network's architecture as plain data: to be recorded, and built again."""

from __future__ import annotations

from typing import Any

from kerasrl_runner.errors import WeightsError
from kerasrl_runner.keras_rl import keras
from kerasrl_runner.parts.comparison import NOT_RECORDED
from kerasrl_runner.parts.dueling import is_foldable
from kerasrl_runner.parts.imports import imported_class
from kerasrl_runner.parts.model import DuelingHead


def architecture_of(model: Any) -> dict[str, Any]:
    """The input's shape and each layer's class and config, JSON as it stands.

    A dueling head that `layers_of` folds appears as the plain Dense that the file holds.
    """
    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    return {
        "input_shape": list(model.input_shape[1:]) if isinstance(model.input_shape, tuple) else [],
        "layers": [_described(layer) for layer in layers],
    }


def model_of(architecture: dict[str, Any]) -> Any:
    """The Keras Sequential that `architecture` describes, with fresh weights.

    Raises:
        WeightsError: not such a description, or a layer that cannot be built.
    """
    if _holds_code(architecture):
        raise WeightsError(
            "the weights' architecture cannot be built: a Lambda layer carries code and is never "
            "built from a file."
        )
    try:
        model = keras.Sequential(
            [keras.layers.InputLayer(input_shape=tuple(architecture["input_shape"]))]
        )
        for entry in architecture["layers"]:
            model.add(_class_of(entry["class"]).from_config(entry["config"]))
    except Exception as error:  # a foreign or broken description raises anything inside Keras
        raise WeightsError(
            f"the weights' architecture cannot be built: {error}. Expected a file that "
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


def _class_of(name: str) -> Any:
    if ":" in name:
        return imported_class(name, keras.layers.Layer, "architecture")
    return getattr(keras.layers, name)


def _holds_code(part: Any) -> bool:
    """Whether a Lambda, or the code of one, is anywhere in the description."""
    if isinstance(part, dict):
        return any(map(_holds_code, [*part.keys(), *part.values()]))
    if isinstance(part, list | tuple):
        return any(map(_holds_code, part))
    return part in ("Lambda", "__lambda__")
