"""Between a Keras model and a weights file."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kerasrl_runner.errors import WeightsError, shorten
from kerasrl_runner.parts.model import DuelingHead, copy_model
from kerasrl_runner.preset.names import DUELING_HEAD, KERAS_LAYERS
from kerasrl_runner.vendor import keras, tf
from kerasrl_runner.weights.dueling import fold, fold_head, is_foldable, unfold
from kerasrl_runner.weights.file import Layer, WeightsFile, read_weights

_MODELS = ("Functional", "Model", "Sequential")
_MERGING = "Add Average Concatenate Dot Maximum Minimum Multiply Subtract".split()
# The classes of Keras that a file may name.
_KNOWN = {*KERAS_LAYERS, *_MERGING, *_MODELS, "InputLayer"} | {
    name
    for module in (keras.initializers, keras.regularizers, keras.constraints)
    for name, found in vars(module).items()
    if isinstance(found, type)
}
# Keys of Keras' newer format: by the first two it finds a class, and imports the class's module.
_NEW_FORMAT = ("module", "registered_name", "build_config", "compile_config", "shared_object_id")


def config_of(model: Any) -> dict[str, Any] | None:
    """The model's configuration as legacy Keras writes it.

    A dueling head is described as one Dense where that is exact, as `layers_of` writes it. None
    for a model that has no plain configuration: a subclass, or one with a Lambda in it.
    """
    try:
        text = model.to_json()
    except (NotImplementedError, TypeError, ValueError):
        return None
    written = json.loads(text, object_hook=_write_plainly)
    if written["class_name"] not in _MODELS or '"Lambda"' in text or '"__lambda__"' in text:
        return None
    for entry in written["config"]["layers"]:
        entry["class_name"] = _spell_class(entry)
        for key in _NEW_FORMAT:
            entry.pop(key, None)
        settings = entry["config"]
        if entry["class_name"] == DUELING_HEAD and is_foldable(settings["dueling_type"]):
            entry["class_name"] = "Dense"
            settings["units"] = settings.pop("nb_actions")
            del settings["dueling_type"]
    return {"class_name": written["class_name"], "config": written["config"]}


def _write_plainly(settings: dict[str, Any]) -> Any:
    """Arrays as lists, and no `time_major`: Keras 3 has no such argument, Keras 2 sets it false."""
    if settings.get("class_name") in ("__numpy__", "__tensor__"):
        return settings["config"]["value"]
    if settings.get("time_major") is False:
        del settings["time_major"]
    return settings


def layers_of(model: Any) -> tuple[Layer, ...]:
    """The model's weights layer by layer, as legacy Keras .h5 files hold them.

    A dueling head is folded into one Dense [F, A] where that is exact, so that the file loads
    into the plain network.
    """
    layers = []
    for layer in model.layers:
        variables = _list_variables(layer)
        values = keras.backend.batch_get_value(variables)
        if isinstance(layer, DuelingHead):
            values = [fold(value, layer.dueling_type) for value in values]
        names = [variable.name for variable in variables]
        if len(set(names)) < len(names):  # a custom layer need not name its weights
            names = [f"{name}_{number}" for number, name in enumerate(names)]
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
    if sources and isinstance(head := model.layers[-1], DuelingHead):
        sources = fold_head(sources, len(targets), head.units, head.dueling_type)
    expected = [_list_shapes(layer) for layer in targets]
    received = [[value.shape for _, value in layer.weights] for layer in sources]
    if expected != received:
        raise WeightsError(
            f"these weights are of another architecture: expected shapes "
            f"{shorten(_format_shapes(expected))}, received "
            f"{shorten(_format_shapes(received))}. Use the preset they were trained with."
        )
    pairs = []
    for target, source in zip(targets, sources, strict=True):
        for variable, (_, value) in zip(_list_variables(target), source.weights, strict=True):
            if isinstance(target, DuelingHead):
                value = unfold(value, target.dueling_type)
            pairs.append((variable, value))
    keras.backend.batch_set_value(pairs)


def read_checkpoint(path: Path, model: Any) -> WeightsFile:
    """The weights of a TensorFlow checkpoint, read by Keras into a copy of `model`.

    keras-rl2 left such files, x.index and x.data-00000-of-00001, for any name `x` but .h5.

    Raises:
        WeightsError: not a readable checkpoint, or one of another architecture.
    """
    copy = copy_model(model)
    count, head = sum(bool(layer.weights) for layer in copy.layers), copy.layers[-1]
    try:
        names = [name.split("/")[0] for name, _ in tf.train.list_variables(str(path))]
        if isinstance(head, DuelingHead) and f"layer_with_weights-{count}" in names:  # D13b
            q_values = keras.layers.Dense(head.nb_actions)(head.input)
            copy = keras.Model(copy.inputs, keras.layers.Dense(head.units)(q_values))
        copy.load_weights(str(path)).assert_existing_objects_matched()
    except Exception as error:  # TensorFlow raises whatever it likes for a damaged file
        raise WeightsError(
            f"{path}.index is no TensorFlow checkpoint of this network: {shorten(error)}. "
            f"Build the model that it was saved from."
        ) from error
    return WeightsFile(layers_of(copy), None, {})


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
    classes: dict[str, Any] = {}
    try:
        config = _resolve(weights.config, custom_objects or {}, classes)
        with keras.utils.custom_object_scope(classes):
            model = keras.layers.deserialize(config, use_legacy_format=True)
            set_layers(model, weights)
    except WeightsError:
        raise
    except Exception as error:  # what a foreign or broken configuration raises inside Keras
        raise WeightsError(
            f"{path}: the network cannot be built: {shorten(error)}. Expected a file that this "
            f"project or tf_keras wrote; Keras 3 reads its own by keras.models.load_model."
        ) from error
    return model


def _resolve(part: Any, custom_objects: Mapping[str, Any], classes: dict[str, Any]) -> Any:
    """A configuration without the keys of the newer format; its classes are added to `classes`.

    Raises:
        WeightsError: a class that is neither Keras' nor the caller's, or a Lambda.
    """
    if isinstance(part, list):
        return [_resolve(entry, custom_objects, classes) for entry in part]
    if not isinstance(part, dict):
        return part
    if "class_name" in part:
        name = _spell_class(part)
        if found := _find_class(name, custom_objects):
            classes[name] = found
        part = {key: value for key, value in part.items() if key not in _NEW_FORMAT}
        part["class_name"] = name
    return {key: _resolve(value, custom_objects, classes) for key, value in part.items()}


def _spell_class(part: Mapping[str, Any]) -> str:
    """A class's name in the legacy format: "package>Class" where it is not Keras' own."""
    name, module = str(part["class_name"]), part.get("module")
    if not isinstance(module, str) or _is_of_keras(module):
        return name
    registered = str(part.get("registered_name"))
    return registered if ">" in registered else f"{module}>{name}"


def _find_class(name: str, custom_objects: Mapping[str, Any]) -> Any:
    """The class of a layer; None for what Keras' legacy reader finds by itself."""
    if name in _KNOWN and name not in custom_objects:
        return getattr(keras.layers, name, None)
    package, _, class_name = name.rpartition(">")
    found = custom_objects.get(name, custom_objects.get(class_name))
    if found is None and package:
        found = _find_imported(package, class_name)
    if found is None or "Lambda" in (class_name, found.__name__):
        raise WeightsError(
            f'"{shorten(name)}" cannot be built from a file. A file is data: it may name plain '
            f"layers, initializers, regularizers and constraints of Keras; for a layer of your own "
            f"import its module before, or give its class by custom_objects."
        )
    return found


def _find_imported(package: str, class_name: str) -> Any:
    """A layer's class that is registered as package>Class, or in a module of that name."""
    found = keras.utils.get_registered_object(f"{package}>{class_name}")
    if found is None and package in sys.modules:
        found = vars(sys.modules[package]).get(class_name)
    is_layer = isinstance(found, type) and issubclass(found, keras.layers.Layer)
    return found if is_layer and not _is_of_keras(found.__module__) else None


def _is_of_keras(module: str) -> bool:
    return module.split(".")[0] in ("builtins", "keras", "tf_keras")


def _list_variables(layer: Any) -> list[Any]:
    """In the order of legacy Keras' files."""
    return [*layer.trainable_weights, *layer.non_trainable_weights]


def _list_shapes(layer: Any) -> list[tuple[int, ...]]:
    shapes = [tuple(variable.shape) for variable in _list_variables(layer)]
    if isinstance(layer, DuelingHead) and is_foldable(layer.dueling_type):
        return [(*shape[:-1], shape[-1] - 1) for shape in shapes]
    return shapes


def _format_shapes(shapes: list[list[tuple[int, ...]]]) -> str:
    return ", ".join(" + ".join(map(str, layer)) for layer in shapes) or "none"
