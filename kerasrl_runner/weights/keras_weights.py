"""Between a Keras model and a weights file."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kerasrl_runner.errors import WeightsError, shortened
from kerasrl_runner.parts.model import DuelingHead
from kerasrl_runner.preset.names import KERAS_LAYERS
from kerasrl_runner.vendor import keras
from kerasrl_runner.weights.configuration import LEFT_OUT_DEFAULTS
from kerasrl_runner.weights.dueling import fold, is_foldable, unfold
from kerasrl_runner.weights.file import Layer, WeightsFile, read_weights

# What a configuration in a file may name beside the layers that a preset may name.
_MODELS = ("Functional", "InputLayer", "Model", "Sequential")
_MERGING_LAYERS = (
    "Add", "Average", "Concatenate", "Dot", "Maximum", "Minimum", "Multiply", "Subtract",
)  # fmt: skip
_PARTS_OF_LAYERS = (keras.initializers, keras.regularizers, keras.constraints)
_NEVER_LOADED = ("Lambda", "__lambda__")

# Keys of Keras' newer format. By the first two Keras finds a class, and imports its module.
_NEW_FORMAT = ("module", "registered_name", "build_config", "compile_config", "shared_object_id")

_DUELING_HEAD = "kerasrl_runner>DuelingHead"


def config_of(model: Any) -> dict[str, Any] | None:
    """The model's configuration in the legacy spelling, which tf_keras and Keras 3 read.

    A dueling head is described as one Dense where that is exact, as `layers_of` writes it. None
    for a model that has no plain configuration: a subclass, or one with a Lambda in it.
    """
    try:
        written = json.loads(model.to_json())
    except (NotImplementedError, TypeError, ValueError):
        return None
    names = [part["class_name"] for part in _list_named_parts(written)]
    if names[0] not in _MODELS or any(name in _NEVER_LOADED for name in names):
        return None
    config = _spell_legacy({"class_name": names[0], "config": written["config"]})
    entries, originals = config["config"]["layers"], written["config"]["layers"]
    for entry, original in zip(entries, originals, strict=True):
        # Keras 3 reads the outer layers as legacy, and what is within a layer by its module alone.
        entry["config"] = _spell_legacy(original["config"], keep_places=True)
        settings = entry["config"]
        if entry["class_name"] == _DUELING_HEAD and is_foldable(settings["dueling_type"]):
            del settings["dueling_type"]
            settings["units"] = settings.pop("nb_actions")
            entry["class_name"] = "Dense"
    return config


def layers_of(model: Any) -> tuple[Layer, ...]:
    """The model's weights layer by layer, as legacy Keras .h5 files hold them.

    A dueling head is folded into one Dense [F, A] where that is exact, so that the file loads
    into the plain network.
    """
    layers = []
    for layer in model.layers:
        variables = [*layer.trainable_weights, *layer.non_trainable_weights]
        values = keras.backend.batch_get_value(variables)
        if isinstance(layer, DuelingHead):
            values = [fold(value, layer.dueling_type) for value in values]
        names = _make_unique([variable.name for variable in variables])
        layers.append(Layer(layer.name, tuple(zip(names, values, strict=True))))
    return tuple(layers)


def set_layers(model: Any, weights: WeightsFile) -> None:
    """Put a file's weights into the model, all or none.

    Layers are matched by their order, as Keras does; layers without weights do not count.

    Raises:
        WeightsError: a number of layers or a shape differs; nothing was changed.
    """
    targets = [layer for layer in model.layers if layer.weights]
    sources = [layer for layer in weights.layers if layer.weights]
    expected = [_list_shapes(layer) for layer in targets]
    received = [[value.shape for _, value in layer.weights] for layer in sources]
    if expected != received:
        raise WeightsError(
            f"these weights are of another architecture: expected shapes "
            f"{shortened(_format_shapes(expected))}, received "
            f"{shortened(_format_shapes(received))}. Use the preset they were trained with."
        )
    values = []
    for target, source in zip(targets, sources, strict=True):
        for _, value in source.weights:
            if isinstance(target, DuelingHead):
                value = unfold(value, target.dueling_type)
            values.append(value)
    variables = [
        variable
        for layer in targets
        for variable in (*layer.trainable_weights, *layer.non_trainable_weights)
    ]
    keras.backend.batch_set_value(list(zip(variables, values, strict=True)))


def load_model(path: str | Path, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The tf_keras model of a weights file: raw observations [B, W, *observation] -> Q [B, A].

    A file is data. Its network is built of Keras' own layers, of what `custom_objects` holds, by
    the class's name, and of classes of modules that are imported already; nothing is imported
    because a file names it, and a Lambda is never built.

    Raises:
        WeightsError: not a weights file, one without a network, or one with a layer that cannot be
            built from a file.
    """
    weights = read_weights(Path(path))
    if weights.config is None:
        raise WeightsError(
            f"{path} holds weights alone, without a network's configuration. Build the model "
            f"yourself and call model.load_weights."
        )
    config = _spell_legacy(weights.config)
    found = _find_classes(config, custom_objects or {})
    keras.Sequential()  # an agent in this process may have left Keras' classes in graph mode
    try:
        with keras.utils.custom_object_scope(found):
            model = keras.layers.deserialize(config, use_legacy_format=True)
            set_layers(model, weights)
    except WeightsError:
        raise
    except Exception as error:  # what a foreign or broken configuration raises inside Keras
        raise WeightsError(
            f"{path}: the network cannot be built: {shortened(error)}. Expected a file that this "
            f"project or tf_keras wrote; Keras 3 reads its own by keras.models.load_model."
        ) from error
    return model


def _spell_legacy(part: Any, keep_places: bool = False) -> Any:
    """A configuration without the keys of the newer format, and without `LEFT_OUT_DEFAULTS`.

    A class that is not Keras' own is spelled "package>Class", as Keras spells registered ones.

    Args:
        keep_places: whether Keras' own classes keep the keys by which Keras finds them.
    """
    if isinstance(part, list):
        return [_spell_legacy(entry, keep_places) for entry in part]
    if not isinstance(part, dict):
        return part
    dropped: tuple[str, ...] = ()
    class_name, module = part.get("class_name"), part.get("module")
    if class_name is not None:
        dropped = _NEW_FORMAT
        if isinstance(module, str) and not _is_of_keras(module):
            registered = str(part.get("registered_name"))
            class_name = registered if ">" in registered else f"{module}>{class_name}"
        elif keep_places:
            dropped = _NEW_FORMAT[2:]
    spelled = {
        key: _spell_legacy(value, keep_places)
        for key, value in part.items()
        if key not in dropped and (key, value) not in LEFT_OUT_DEFAULTS
    }
    return {**spelled, "class_name": class_name} if class_name is not None else spelled


def _is_of_keras(module: str) -> bool:
    return module.split(".")[0] in ("builtins", "keras", "tf_keras")


def _list_named_parts(part: Any) -> list[dict[str, Any]]:
    """Every table within a configuration that names a class, the outermost first."""
    if isinstance(part, list):
        return [inner for entry in part for inner in _list_named_parts(entry)]
    if not isinstance(part, dict):
        return []
    own = [part] if "class_name" in part else []
    return [*own, *(inner for value in part.values() for inner in _list_named_parts(value))]


def _find_classes(config: Any, custom_objects: Mapping[str, Any]) -> dict[str, type]:
    """The layer classes that a legacy configuration names, by their names in it.

    Raises:
        WeightsError: a name that is neither Keras' nor the caller's, or a Lambda.
    """
    found: dict[str, Any] = {}
    for part in _list_named_parts(config):
        name = part["class_name"]
        if not isinstance(name, str) or name in _NEVER_LOADED:
            raise WeightsError(f"{shortened(name)} cannot be built from a file.")
        package, _, class_name = name.rpartition(">")
        if name in custom_objects or class_name in custom_objects:
            found[name] = custom_objects.get(name, custom_objects.get(class_name))
        elif package:
            found[name] = _find_imported(package, class_name)
        elif name in KERAS_LAYERS:
            found[name] = getattr(keras.layers, name)  # Keras' legacy reader does not know them all
        elif not _is_known_of_keras(name):
            raise WeightsError(
                f'"{shortened(name)}" cannot be built from a file: it is none of the layers, '
                f"initializers, regularizers and constraints of Keras that a file may name. Give "
                f"the class by custom_objects."
            )
    return found


def _find_imported(package: str, class_name: str) -> Any:
    """The layer class that was registered as package>Class, or that an imported module holds."""
    name = f"{package}>{class_name}"
    found = keras.utils.get_registered_object(name)
    if found is None:
        found = vars(sys.modules.get(package, object)).get(class_name)
    is_layer = isinstance(found, type) and issubclass(found, keras.layers.Layer)
    if not is_layer or _is_of_keras(found.__module__):
        raise WeightsError(
            f'the network needs the layer "{shortened(name)}". A weights file is data and imports '
            f"nothing: import the module of that layer before, or give its class by custom_objects."
        )
    return found


def _is_known_of_keras(name: str) -> bool:
    if name in _MERGING_LAYERS or name in _MODELS:
        return True
    return any(isinstance(vars(module).get(name), type) for module in _PARTS_OF_LAYERS)


def _make_unique(names: list[str]) -> list[str]:
    """Number the repeated names: a custom layer need not name its weights."""
    seen: Counter[str] = Counter()
    unique = []
    for name in names:
        unique.append(f"{name}_{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return unique


def _list_shapes(layer: Any) -> list[tuple[int, ...]]:
    shapes = [tuple(w.shape) for w in (*layer.trainable_weights, *layer.non_trainable_weights)]
    if isinstance(layer, DuelingHead) and is_foldable(layer.dueling_type):
        return [(*shape[:-1], shape[-1] - 1) for shape in shapes]
    return shapes


def _format_shapes(shapes: list[list[tuple[int, ...]]]) -> str:
    return ", ".join(" + ".join(map(str, layer)) for layer in shapes) or "none"
