"""Weights files: written and read by h5py, in the layout of legacy Keras. Imports no TensorFlow.

A model file's root has the attribute `model_config`, the network's configuration as JSON, and a
group `model_weights`; a file of weights alone has neither, and its root is that group. The group's
attribute `layer_names` lists the layers, each layer's group has the attribute `weight_names`, and
`group[weight_name]` is the array. What this project adds are more attributes of the root.
"""

from __future__ import annotations

import io
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from kerasrl_runner.errors import WeightsError, WeightsNotFound, shorten
from kerasrl_runner.files.atomic import replacing

# Of the root's attributes, those that Keras writes for itself.
_KERAS_ATTRIBUTES = (
    "layer_names", "backend", "keras_version", "model_config", "training_config",
)  # fmt: skip
# deflate packs at most 1,032 bytes into one; h5py's other filters pack less.
_MOST_COMPRESSED = 1_032


class Layer(NamedTuple):
    """One layer's name and its (weight name, array) pairs, in Keras' order."""

    name: str
    weights: tuple[tuple[str, np.ndarray], ...]


@dataclass(frozen=True)
class WeightsFile:
    """What a weights file holds.

    `config` is the network's Keras configuration, `{"class_name": …, "config": {"layers": …}}`;
    None in a file of weights alone. `attributes` are strings, numbers, or JSON-able dicts; this
    project writes `preset` (TOML), `engine`, `seed`, `env_steps`, `versions` and `score`.
    """

    layers: tuple[Layer, ...]
    config: dict[str, Any] | None
    attributes: dict[str, Any]


def check_suffix(path: Path) -> None:
    """Raises WeightsError for .weights.h5, the suffix of another format (D11)."""
    if path.name.endswith(".weights.h5"):
        raise WeightsError(
            f"{path}: the suffix .weights.h5 means another file format to Keras. Name it .h5."
        )


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
    content = _encode(weights)
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def _encode(weights: WeightsFile) -> bytes:
    """The file's bytes, made in memory, since HDF5 cannot be trusted to report a full disk.

    The newest layout of HDF5 has a checksum on each of its parts but on texts of variable length
    and on arrays: texts are of fixed length here, and arrays get a checksum by `_write_array`.
    Times of creation are left out, so that equal weights make equal files.
    """
    content = io.BytesIO()
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_libver_bounds(h5py.h5f.LIBVER_LATEST, h5py.h5f.LIBVER_LATEST)
    access.set_fileobj_driver(h5py.h5fd.fileobj_driver, content)
    creation = _create_properties(h5py.h5p.FILE_CREATE)
    with h5py.File(
        h5py.h5f.create(b"weights", h5py.h5f.ACC_TRUNC, fcpl=creation, fapl=access)
    ) as file:
        for key, value in weights.attributes.items():
            value = json.dumps(value) if isinstance(value, dict) else value
            file.attrs[key] = np.bytes_(value.encode()) if isinstance(value, str) else value
        root = file
        if weights.config is not None:
            file.attrs["model_config"] = np.bytes_(json.dumps(weights.config).encode())
            root = _create_group(file, "model_weights")
        for group in (file, root):
            group.attrs["backend"] = np.bytes_(b"tensorflow")
            group.attrs["keras_version"] = np.bytes_(b"2")  # the layout's, not a package's
        root.attrs["layer_names"] = _encode_names([layer.name for layer in weights.layers])
        for layer in weights.layers:
            group = _create_group(root, layer.name)
            group.attrs["weight_names"] = _encode_names([name for name, _ in layer.weights])
            for name, value in layer.weights:
                parent, _, last = name.rpartition("/")
                _write_array(_create_group(group, parent) if parent else group, last, value)
    return content.getvalue()


def _create_properties(kind: Any) -> Any:
    properties = h5py.h5p.create(kind)
    properties.set_obj_track_times(False)
    return properties


def _create_group(group: h5py.Group, path: str) -> h5py.Group:
    """The group `path` below `group`, made with its parents where they are missing."""
    for part in path.split("/"):
        if part not in group:
            properties = _create_properties(h5py.h5p.GROUP_CREATE)
            h5py.h5g.create(group.id, part.encode(), gcpl=properties)
        group = group[part]
    return group


def _encode_names(names: list[str]) -> np.ndarray:
    return np.array([name.encode() for name in names], "S" if names else "S1")


def _write_array(group: h5py.Group, name: str, value: np.ndarray) -> None:
    """Store an array where a checksum protects it: Fletcher-32, or that of its own header."""
    if value.size and value.ndim:
        group.create_dataset(name, data=value, chunks=value.shape, fletcher32=True)
        return
    # A scalar cannot have chunks, and h5py's high-level interface would keep it out of the header.
    properties = _create_properties(h5py.h5p.DATASET_CREATE)
    properties.set_layout(h5py.h5d.COMPACT)
    space = h5py.h5s.create_simple(value.shape) if value.ndim else h5py.h5s.create(h5py.h5s.SCALAR)
    kind = h5py.h5t.py_create(value.dtype)
    dataset = h5py.h5d.create(group.id, name.encode(), kind, space, properties)
    dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, value)


def read_weights(path: Path) -> WeightsFile:
    """Read a legacy .h5 file of this project, tf_keras, Keras 2 or Keras 3.

    Raises:
        WeightsNotFound: no such file.
        WeightsError: not HDF5, damaged, of another layout, with links or arrays that
            lead out of the file, with arrays larger than the file, or with weights that are NaN or
            infinite.
    """
    check_suffix(path)
    if not os.path.isfile(path):
        raise WeightsNotFound(f"there is no weights file {path}.")
    try:
        with h5py.File(path, "r") as file:
            weights = WeightsFile(
                _read_layers(path, file), _read_config(file), _read_attributes(file)
            )
    except WeightsError:
        raise
    except Exception as error:  # HDF5 and JSON raise whatever they like for a damaged file
        raise WeightsError(
            f"{path} is not a readable HDF5 weights file: {shorten(error)}. Expected what "
            f"Keras' save or save_weights writes; a truncated download is the usual cause."
        ) from error
    _check_finite(path, weights)
    return weights


def _read_layers(path: Path, file: h5py.File) -> tuple[Layer, ...]:
    root = _find(file, "model_weights") if "model_weights" in file else file
    if "layer_names" not in root.attrs:
        raise WeightsError(
            f"{path} holds no Keras weights in the legacy layout (no layer_names). Save them "
            f"with model.save_weights('name.h5')."
        )
    bytes_left = float(path.stat().st_size)
    layers = []
    for layer_name in map(_decode, root.attrs["layer_names"]):
        group = _find(root, layer_name)
        weights = []
        for name in map(_decode, group.attrs["weight_names"]):
            dataset = _find(group, name)
            _check_array(dataset)
            is_compressed = dataset.id.get_create_plist().get_nfilters() - dataset.fletcher32 > 0
            bytes_left -= dataset.nbytes / (_MOST_COMPRESSED if is_compressed else 1)
            if bytes_left < 0:
                raise ValueError(f"{dataset.name} is larger than the file that should hold it")
            value = dataset[()]
            native = value.dtype.newbyteorder("=")
            weights.append((name, np.asarray(value, native)))
        layers.append(Layer(layer_name, tuple(weights)))
    return tuple(layers)


def _find(group: h5py.Group, name: str) -> Any:
    """The group or array `name` below `group`, by hard links alone, which stay in the file."""
    for part in name.split("/"):
        link = group.get(part, getlink=True)
        if not isinstance(link, h5py.HardLink):
            raise ValueError(f"{group.name}: {part} is missing, or a link to elsewhere")
        group = group[part]
    return group


def _check_array(dataset: Any) -> None:
    if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind not in "fiub":
        raise ValueError(f"{dataset.name} is no array of numbers")
    if dataset.is_virtual or dataset.external:
        raise ValueError(f"{dataset.name} is kept in another file, which is not read")


def _read_config(file: h5py.File) -> dict[str, Any] | None:
    if "model_config" not in file.attrs:
        return None
    config = json.loads(_decode(file.attrs["model_config"]))
    return {"class_name": config["class_name"], "config": config["config"]}


def _read_attributes(file: h5py.File) -> dict[str, Any]:
    attributes: dict[str, Any] = {}
    for key, value in file.attrs.items():
        if key in _KERAS_ATTRIBUTES:
            continue
        if isinstance(value, str | bytes):
            text = _decode(value)
            attributes[key] = json.loads(text) if text.startswith("{") else text
        elif isinstance(value, np.generic):
            attributes[key] = value.item()
    return attributes


def _decode(text: str | bytes) -> str:
    return text.decode() if isinstance(text, bytes) else text


def _check_finite(path: Path, weights: WeightsFile) -> None:
    for layer in weights.layers:
        for name, value in layer.weights:
            if not np.isfinite(value).all():
                raise WeightsError(
                    f"{path}: {name} holds NaN or infinite numbers: the training diverged. Use "
                    f"the best weights of that run, or train again with a lower learning rate."
                )
