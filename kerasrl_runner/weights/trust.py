"""Which classes a network that is described in a weights file may be built of.

A weights file is data: it names Keras' own layers, and classes of modules that are imported
already. It never makes us import a module, and never reaches the parts of Keras that run code
(Lambda, TFOpLambda), read files (vocabularies) or take for ever to initialize.
"""

from __future__ import annotations

import math
import sys
from typing import Any

from kerasrl_runner.errors import WeightsError, shortened
from kerasrl_runner.preset.names import KERAS_LAYERS
from kerasrl_runner.vendor import keras

# Far above the frames and features of any DQN.
MOST_OUTPUTS = 1 << 22

_PARTS = (keras.initializers, keras.regularizers, keras.constraints)


def layer_class(name: str) -> Any:
    """The class of "Dense", or of "module:Class" where that module is imported already.

    Raises:
        WeightsError: no layer that a file may name, or a module that is not imported yet.
    """
    if name in KERAS_LAYERS:
        return getattr(keras.layers, name)
    module_name, colon, class_name = name.partition(":")
    if not colon:
        raise WeightsError(
            f'"{shortened(name)}" cannot be built from a file: it is no plain layer.'
        )
    if module_name not in sys.modules:
        raise WeightsError(
            f'the weights need the layer "{shortened(name)}". A weights file is data and imports '
            f"nothing by itself: import {shortened(module_name)}, then load it."
        )
    found = vars(sys.modules[module_name]).get(class_name)
    own = isinstance(found, type) and found.__module__ == module_name
    if not (own and _is_layer(found)) or module_name.split(".")[0] in ("keras", "tf_keras"):
        raise WeightsError(
            f'"{shortened(name)}" cannot be built from a file: it is no plain layer.'
        )
    return found


def check_config(part: Any) -> None:
    """Raises WeightsError where a layer's config holds anything but data and Keras' own parts."""
    if isinstance(part, list | tuple):
        for inner in part:
            check_config(inner)
    elif isinstance(part, dict):
        if "class_name" in part and not _is_known(part):
            raise WeightsError(
                f"{shortened(part['class_name'])} inside a layer cannot be built from a file: it "
                f"is no layer, initializer, regularizer or constraint of Keras."
            )
        if part.get("implementation") == 3:  # LocallyConnected's: Python counts its connections
            raise WeightsError("implementation = 3 cannot be built from a file.")
        for inner in part.values():
            check_config(inner)


def add_layer(model: Any, layer: Any) -> None:
    """Add a layer whose weights begin at zero: a file's are put there, whatever it says.

    Raises:
        WeightsError: its outputs are more than any network has.
    """
    for part in (layer, *layer.submodules):
        for name in [name for name in vars(part) if name.endswith("_initializer")]:
            setattr(part, name, keras.initializers.Zeros())
    model.add(layer)
    if math.prod(model.output_shape[1:]) > MOST_OUTPUTS:
        raise WeightsError(f"expected at most {MOST_OUTPUTS} outputs of a layer.")


def _is_layer(found: Any) -> bool:
    return issubclass(found, keras.layers.Layer) and not issubclass(found, keras.layers.Lambda)


def _is_known(part: dict[str, Any]) -> bool:
    name, registered = part["class_name"], part.get("registered_name")
    if registered not in (None, name):
        # Registered by code that runs here already.
        found = keras.utils.get_registered_object(registered)
        return isinstance(found, type) and _is_layer(found)
    if not isinstance(name, str) or name.startswith("_"):
        return False
    return name in KERAS_LAYERS or any(isinstance(getattr(p, name, None), type) for p in _PARTS)
