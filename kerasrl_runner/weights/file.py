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

from kerasrl_runner.errors import WeightsError, shortened
from kerasrl_runner.files.atomic import replacing
from kerasrl_runner.files.hdf5 import MAX_BYTES, Hdf5, Refused
from kerasrl_runner.files.plain import check_plain


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

    @property
    def numbers(self) -> int:
        """How many there are in all the arrays."""
        return sum(value.size for layer in self.layers for _, value in layer.weights)


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
        WeightsError: no such file, not HDF5, truncated, of another layout, too large, with links
            or arrays that lead out of the file, or with weights that are NaN or infinite.
    """
    check_suffix(path)
    if not os.path.isfile(path):
        raise WeightsError(f"there is no weights file {path}.")
    try:
        with path.open("rb") as opened:
            file = Hdf5(opened)
            weights = WeightsFile(_layers(path, file), _attributes(file))
    except WeightsError:
        raise
    except Refused as error:
        raise WeightsError(f"{path}: {error}. Expected what save_weights writes.") from error
    except Exception as error:  # what Python makes of broken bytes, of JSON, of the disk
        raise WeightsError(
            f"{path} is not a readable HDF5 weights file: {shortened(error)}. Expected what "
            f"save_weights writes; a truncated download is the usual cause."
        ) from error
    _check_finite(path, weights)
    return weights


def _layers(path: Path, file: Hdf5) -> tuple[Layer, ...]:
    root = file.root
    if file.has(root, "model_weights"):  # a whole model's file
        root = file.member(root, "model_weights")
    layer_names = file.texts(root, "layer_names")
    if layer_names is None:
        raise WeightsError(
            f"{path} holds no Keras weights in the legacy layout (no layer_names). Save them "
            f"with model.save_weights('name.h5')."
        )
    # Every number takes its bytes of the file, so that no header can claim more than there is.
    layers, bytes_left = [], min(MAX_BYTES, file.size)
    for layer_name in layer_names:
        group = file.member(root, layer_name)
        names, weights = file.texts(group, "weight_names"), []
        if names is None:
            raise Refused(f"{group.path} has no weight_names")
        for name in names:
            value = file.array(file.member(group, name), bytes_left)
            bytes_left -= value.nbytes
            weights.append((name, value))
        layers.append(Layer(layer_name, tuple(weights)))
    return tuple(layers)


def _attributes(file: Hdf5) -> dict[str, Any]:
    own: dict[str, Any] = {}
    for key, value in file.scalars(file.root).items():
        if key in ("layer_names", "backend", "keras_version", "model_config", "training_config"):
            continue
        if isinstance(value, str) and value.startswith("{"):
            value = json.loads(value)
            check_plain(value)
        own[key] = value
    return own


def _check_finite(path: Path, weights: WeightsFile) -> None:
    for layer in weights.layers:
        for name, value in layer.weights:
            if value.dtype.kind == "f" and value.itemsize > 4:
                with np.errstate(over="ignore"):  # Keras would make them infinite float32
                    value = value.astype(np.float32)
            if not np.isfinite(value).all():
                raise WeightsError(
                    f"{path}: {name} holds NaN or infinite numbers: the training diverged. Use "
                    f"the best weights of that run, or train again with a lower learning rate."
                )


def _names(names: list[str]) -> np.ndarray:
    return np.array([name.encode("utf-8") for name in names], dtype="S") if names else np.zeros(0)
