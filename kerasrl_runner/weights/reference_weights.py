"""The reference network's weights as the .h5 that Keras would write of the same preset."""

from __future__ import annotations

import itertools
from typing import Any

from kerasrl_runner.errors import WeightsError
from kerasrl_runner.preset.schema import Preset
from kerasrl_runner.reference.network import Network
from kerasrl_runner.weights.comparison import check_same
from kerasrl_runner.weights.dueling import fold, is_foldable, unfold
from kerasrl_runner.weights.file import Layer, WeightsFile

# parts/model.py's names: of the layer and, where a dueling head can't be folded, of its class.
_Q_HEAD = "q_values"
_DUELING_HEAD = "kerasrl_runner.parts.model:DuelingHead"


def reference_weights(
    preset: Preset, observation_shape: tuple[int, ...], network: Network
) -> WeightsFile:
    """The weights layer by layer with the architecture, equal to what `compiled` would write."""
    described = _described(preset, observation_shape, network)
    remaining = iter(network.get_weights())
    layers = []
    for entry in described:
        names = {"Dense": ("kernel", "bias"), _DUELING_HEAD: ("kernel", "bias")}
        has_bias = entry["config"].get("use_bias", True)
        wanted = names.get(entry["class"], ())[: 1 + has_bias]
        arrays = list(itertools.islice(remaining, len(wanted)))
        if entry is described[-1] and network.dueling:
            arrays = [fold(array, network.dueling) for array in arrays]
        name = entry["config"]["name"]
        weights = zip((f"{name}/{weight}:0" for weight in wanted), arrays, strict=True)
        layers.append(Layer(name, tuple(weights)))
    return WeightsFile(
        tuple(layers), {"architecture": _architecture(preset, observation_shape, described)}
    )


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
    if "architecture" in weights.attributes:
        described = _described(preset, observation_shape, network)
        check_same(
            _architecture(preset, observation_shape, described),
            weights.attributes["architecture"],
        )
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


def _architecture(
    preset: Preset, observation_shape: tuple[int, ...], described: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "input_shape": [preset.memory.window_length, *observation_shape],
        "layers": described,
    }


def _described(
    preset: Preset, observation_shape: tuple[int, ...], network: Network
) -> list[dict[str, Any]]:
    """Class and config of each layer of parts/model.py's `build_q_network`, Flatten included."""
    described: list[dict[str, Any]] = []
    is_flat = not observation_shape

    def flatten(name: str) -> None:
        nonlocal is_flat
        config = {"name": name, "data_format": "channels_last"}
        described.append({"class": "Flatten", "config": config})
        is_flat = True

    for number, layer in enumerate(preset.model.layers):
        named = {"name": f"layer_{number}", **layer.arguments}
        if layer.name == "Flatten":
            flatten(named["name"])
        elif layer.name == "Activation":
            described.append({"class": "Activation", "config": named})
        else:
            if not is_flat:
                flatten(f"flatten_{len(described)}")
            described.append({"class": "Dense", "config": {**_DENSE, **named}})
    if not is_flat:
        flatten(f"flatten_{len(described)}")
    head: dict[str, Any] = {**_DENSE, "name": _Q_HEAD}
    if network.dueling and not is_foldable(network.dueling):
        head |= {"nb_actions": network.action_count, "dueling_type": network.dueling}
        described.append({"class": _DUELING_HEAD, "config": head})
    else:
        described.append({"class": "Dense", "config": {**head, "units": network.action_count}})
    return described


_DENSE = {"activation": "linear", "use_bias": True}
