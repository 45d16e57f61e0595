"""Self-describing legacy Keras .h5 weights: write, read, compare. h5py and NumPy alone.

The layout is Keras 2's `save_weights`: the root's attribute `layer_names` lists the layers, each
layer's group has the attribute `weight_names`, and `group[weight_name]` is the array. tf_keras and
Keras 3 load such files; what this project adds are more attributes of the root.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from kerasrl_runner.errors import WeightsError
from kerasrl_runner.files.atomic import replacing

# Far above any network this project trains, far below what would exhaust a machine.
MAX_BYTES = 1 << 30


class Layer(NamedTuple):
    """One layer's name and its (weight name, array) pairs, in Keras' order."""

    name: str
    weights: tuple[tuple[str, np.ndarray], ...]


@dataclass(frozen=True)
class WeightsFile:
    """What a weights file holds.

    `attributes` are strings, numbers, or JSON-able dicts; this project writes `preset` (TOML),
    `engine`, `seed`, `env_steps`, `versions`, `architecture` and `score`. Files of others have
    none of them.
    """

    layers: tuple[Layer, ...]
    attributes: dict[str, Any]


def check_suffix(path: Path) -> None:
    """Raises WeightsError for anything but .h5, and for the .weights.h5 of another format (D11)."""
    if path.name.endswith(".weights.h5"):
        raise WeightsError(
            f"{path}: the suffix .weights.h5 means another file format to Keras. Name it .h5."
        )
    if path.suffix != ".h5":
        raise WeightsError(f"{path}: expected a weights file whose name ends in .h5.")


def write_weights(path: Path, weights: WeightsFile, *, overwrite: bool) -> None:
    """Write the whole file beside its place, then rename.

    Raises:
        WeightsError: wrong suffix, a file in the way without `overwrite`, or a weight that is
            NaN or infinite (the file in place, if any, stays as it was).
        RunError: the folder cannot be written.
    """
    check_suffix(path)
    if path.exists() and not overwrite:
        raise WeightsError(f"{path} exists. Pass overwrite=True, or choose another name.")
    _check_finite(path, weights)
    content = _hdf5(weights)
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def _hdf5(weights: WeightsFile) -> bytes:
    """The file's bytes, made in memory: on a full disk HDF5 raises what it likes, even at exit."""
    with h5py.File("weights", "w", driver="core", backing_store=False) as file:
        for key, value in weights.attributes.items():
            file.attrs[key] = json.dumps(value) if isinstance(value, dict) else value
        file.attrs["layer_names"] = _names([layer.name for layer in weights.layers])
        file.attrs["backend"] = "tensorflow"
        file.attrs["keras_version"] = "2"
        for layer in weights.layers:
            group = file.create_group(layer.name)
            group.attrs["weight_names"] = _names([name for name, _ in layer.weights])
            for name, value in layer.weights:
                group.create_dataset(name, data=value)
        file.flush()
        image: bytes = file.id.get_file_image()
    return image


def read_weights(path: Path) -> WeightsFile:
    """Read legacy .h5 weights of this project, tf_keras or Keras 3.

    Raises:
        WeightsError: no such file, not HDF5, truncated, of another layout, too large, or with
            weights that are NaN or infinite.
    """
    check_suffix(path)
    if not os.path.isfile(path):
        raise WeightsError(f"there is no weights file {path}.")
    try:
        with h5py.File(path, "r") as file:
            weights = WeightsFile(_layers(path, file), _attributes(file))
    except WeightsError:
        raise
    except Exception as error:  # h5py raises OSError, KeyError, RuntimeError, ... on broken files
        raise WeightsError(
            f"{path} is not a readable HDF5 weights file: {error}. Expected what save_weights "
            f"writes; a truncated download is the usual cause."
        ) from error
    _check_finite(path, weights)
    return weights


def _layers(path: Path, file: Any) -> tuple[Layer, ...]:
    root = file.get("model_weights", file)
    if "layer_names" not in root.attrs:
        raise WeightsError(
            f"{path} holds no Keras weights in the legacy layout (no layer_names). Save them "
            f"with model.save_weights('name.h5')."
        )
    layers, total = [], 0
    for layer_name in _texts(root.attrs["layer_names"]):
        group = root[layer_name]
        weights = []
        for name in _texts(group.attrs["weight_names"]):
            dataset = group[name]
            total += dataset.nbytes
            if total > MAX_BYTES or dataset.dtype.kind not in "fiu":
                raise WeightsError(
                    f"{path}: {layer_name}/{name}: expected numbers, {MAX_BYTES >> 20} MiB at "
                    f"most in all; received {dataset.dtype} of shape {dataset.shape}."
                )
            weights.append((name, np.asarray(dataset)))
        layers.append(Layer(layer_name, tuple(weights)))
    return tuple(layers)


def _attributes(file: Any) -> dict[str, Any]:
    own = {}
    for key, value in file.attrs.items():
        if key in ("layer_names", "backend", "keras_version", "model_config", "training_config"):
            continue
        if isinstance(value, bytes):
            value = value.decode("utf-8")
        elif isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, str) and value.startswith("{"):
            value = json.loads(value)
        own[key] = value
    return own


def _check_finite(path: Path, weights: WeightsFile) -> None:
    for layer in weights.layers:
        for name, value in layer.weights:
            if not np.isfinite(value).all():
                raise WeightsError(
                    f"{path}: {name} holds NaN or infinite numbers: the training diverged. Use "
                    f"the best weights of that run, or train again with a lower learning rate."
                )


def _names(names: list[str]) -> np.ndarray:
    return np.array([name.encode("utf-8") for name in names], dtype="S") if names else np.zeros(0)


def _texts(names: Any) -> list[str]:
    return [name.decode("utf-8") if isinstance(name, bytes) else str(name) for name in names]
