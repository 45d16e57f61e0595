"""A network's architecture as plain data: to be recorded, compared, and built again."""

from __future__ import annotations

from typing import Any

from kerasrl_runner.errors import WeightsError, shortened
from kerasrl_runner.keras_rl import keras
from kerasrl_runner.parts.model import DuelingHead, at_most
from kerasrl_runner.parts.trust import add_layer, check_config, layer_class

# What a layer was called, and what only shaped its training, makes no other network.
_NOT_COMPARED = ("name", "seed")
_NOT_COMPARED_ENDINGS = ("_initializer", "_regularizer", "_constraint")
# What Keras adds and the input's shape, recorded once, already says.
_NOT_RECORDED = ("batch_input_shape", "dtype", "trainable")
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


def check_same(expected: dict[str, Any], received: dict[str, Any]) -> None:
    """Raises WeightsError naming the first difference between two architectures (D11b)."""
    try:
        left, right = _comparable(expected), _comparable(received)
    except (AttributeError, KeyError, TypeError) as error:
        raise WeightsError("the architecture that these weights record is damaged.") from error
    for number, (mine, theirs) in enumerate(zip(left, right, strict=False)):
        if mine != theirs:
            raise WeightsError(
                f"these weights are of another architecture: part {number} is "
                f"{_difference(mine, theirs)}. Use the preset they were trained with."
            )
    if len(left) != len(right):
        raise WeightsError(
            f"these weights are of another architecture: expected {len(left) - 1} layers, "
            f"received {len(right) - 1}. Use the preset they were trained with."
        )


def _described(layer: Any) -> dict[str, Any]:
    name = type(layer).__name__
    config = {k: v for k, v in layer.get_config().items() if k not in _NOT_RECORDED}
    if isinstance(layer, DuelingHead) and layer.dueling_type != "max":
        del config["dueling_type"]
        units = config.pop("nb_actions")
        return {"class": "Dense", "config": {**config, "units": units}}
    if getattr(keras.layers, name, None) is not type(layer):
        name = f"{type(layer).__module__}:{name}"
    return {"class": name, "config": config}


def _comparable(architecture: dict[str, Any]) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = [{"input_shape": list(architecture.get("input_shape", []))}]
    for layer in architecture.get("layers", []):
        parts.append({"class": layer["class"], **_essence(layer["config"])})
    return parts


def _essence(part: Any) -> Any:
    """A config without what makes no other network, wrapped layers' included."""
    if isinstance(part, dict):
        return {
            key: _essence(value)
            for key, value in part.items()
            if key not in (*_NOT_COMPARED, *_NOT_RECORDED)
            and not key.endswith(_NOT_COMPARED_ENDINGS)
        }
    return [_essence(entry) for entry in part] if isinstance(part, list | tuple) else part


def _difference(mine: dict[str, Any], theirs: dict[str, Any]) -> str:
    keys = [key for key in {**mine, **theirs} if mine.get(key) != theirs.get(key)]
    return " and ".join(
        f"{shortened(key)} = {shortened(repr(theirs.get(key)))} where "
        f"{shortened(repr(mine.get(key)))} was expected"
        for key in keys[:3]
    )
