"""The reference network's weights as the .h5 that Keras would write of the same preset."""

from __future__ import annotations

import itertools
from typing import Any

from kerasrl_runner.errors import WeightsError
from kerasrl_runner.preset.names import DUELING_HEAD, INPUT_NAME, MODEL_NAME, Q_HEAD
from kerasrl_runner.preset.schema import Preset
from kerasrl_runner.reference.network import Network
from kerasrl_runner.weights.configuration import add_rescaling, check_same_network
from kerasrl_runner.weights.dueling import fold, is_foldable, unfold
from kerasrl_runner.weights.file import Layer, WeightsFile


def reference_weights(
    preset: Preset, observation_shape: tuple[int, ...], network: Network
) -> WeightsFile:
    """The network's configuration and weights, equal to what `compiled` would write."""
    config = _configure(preset, observation_shape, network)
    remaining = iter(network.get_weights())
    layers = []
    for entry in config["config"]["layers"][1:]:  # the input has no weights
        is_dense = entry["class_name"] in ("Dense", DUELING_HEAD)
        names = ("kernel", "bias")[: is_dense + entry["config"].get("use_bias", False)]
        arrays = list(itertools.islice(remaining, len(names)))
        name = entry["config"]["name"]
        if name == Q_HEAD and network.dueling:
            arrays = [fold(array, network.dueling) for array in arrays]
        weights = zip((f"{name}/{weight}:0" for weight in names), arrays, strict=True)
        layers.append(Layer(name, tuple(weights)))
    return WeightsFile(tuple(layers), add_rescaling(config, preset.env.observation_scale), {})


def set_reference_weights(
    preset: Preset,
    observation_shape: tuple[int, ...],
    network: Network,
    weights: WeightsFile,
) -> None:
    """Put a file's weights into the network, all or none.

    Raises:
        WeightsError: weights of another architecture; nothing was changed.
    """
    if weights.config is not None:
        config = _configure(preset, observation_shape, network)
        expected = add_rescaling(config, preset.env.observation_scale)
        assert expected is not None
        check_same_network(expected, weights.config)
    arrays = [array for layer in weights.layers for _, array in layer.weights]
    if network.dueling and is_foldable(network.dueling):
        arrays[-2:] = [unfold(array, network.dueling) for array in arrays[-2:]]
    try:
        network.set_weights(arrays)
    except ValueError as error:
        raise WeightsError(
            f"these weights are of another architecture: {error}. Use the preset they were "
            f"trained with."
        ) from error


def _configure(
    preset: Preset, observation_shape: tuple[int, ...], network: Network
) -> dict[str, Any]:
    """Keras' configuration of what parts/model.py's `build_q_network` makes of the preset."""
    input_shape = [None, preset.memory.window_length, *observation_shape]
    layers: list[dict[str, Any]] = []
    is_flat = not observation_shape

    def add(class_name: str, name: str, **config: Any) -> None:
        layers.append({"class_name": class_name, "config": {"name": name, **config}})

    def flatten(name: str) -> None:
        nonlocal is_flat
        add("Flatten", name, data_format="channels_last")
        is_flat = True

    add("InputLayer", INPUT_NAME, batch_input_shape=input_shape, dtype="float32")
    for number, layer in enumerate(preset.layers):
        arguments = {"name": f"layer_{number}", **layer.arguments}
        if layer.name == "Flatten":
            flatten(arguments["name"])
        elif layer.name == "Activation":
            add("Activation", **arguments)
        else:
            if not is_flat:
                flatten(f"flatten_{len(layers) - 1}")
            add("Dense", **{"activation": "linear", "use_bias": True, **arguments})
    if not is_flat:
        flatten(f"flatten_{len(layers) - 1}")
    head: dict[str, Any] = {"activation": "linear", "use_bias": preset.model is not None}
    if network.dueling and not is_foldable(network.dueling):
        head |= {"nb_actions": network.action_count, "dueling_type": network.dueling}
        add(DUELING_HEAD, Q_HEAD, **head)
    else:
        add("Dense", Q_HEAD, units=network.action_count, **head)
    return {"class_name": "Sequential", "config": {"name": MODEL_NAME, "layers": layers}}
