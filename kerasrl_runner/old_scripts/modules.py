"""Old module names for today's modules: gym, keras, rl, and what left NumPy and TensorFlow."""

from __future__ import annotations

import collections.abc
import functools
import importlib
import importlib.abc
import importlib.util
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import h5py
import numpy as np

from kerasrl_runner import keras_rl
from kerasrl_runner.old_scripts import agents, gym
from kerasrl_runner.old_scripts.shims import NUMPY_NAMES, OTHER_AGENTS
from kerasrl_runner.vendor import ignore_graph_mode, rl_core, tf

# Keras 2.3's and gym's packages, and where the same lies today.
_TODAY = {
    "keras.engine": "tensorflow.keras.layers",
    "keras.objectives": "tensorflow.keras.losses",
    "keras": "tensorflow.keras",
    "tensorflow.python.keras": "tensorflow.keras",
    "gym": "gymnasium",
}
_FACADES: dict[str, ModuleType] = {}
# What is another thing in old gym than in Gymnasium; each of these modules gets all of it.
_GYM_NAMES = (
    "Env Wrapper ObservationWrapper RewardWrapper ActionWrapper Monitor TimeLimit make register "
    "registry np_random set_level setLevel undo_logger_setup"
).split()
_GYM_MODULES = (
    "gym gym.core gym.envs gym.envs.registration gym.logger gym.utils gym.utils.seeding "
    "gym.wrappers gym.wrappers.monitor"
).split()
_KERAS: Any = importlib.import_module("tensorflow.keras")


class _OldNames(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Answers an import of an old name with the module that serves for it."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if find_module(name) is None:
            return None
        return importlib.util.spec_from_loader(name, self, is_package=True)

    def exec_module(self, module: ModuleType) -> None:
        found = find_module(module.__name__)
        assert found is not None, "find_spec has found it"
        sys.modules[module.__name__] = found  # the import's answer


def find_module(name: str) -> ModuleType | None:
    """The module that serves for an old name; None for a name that is none of these.

    Where the module itself is gone its parent serves: keras.layers has all that was in
    keras.layers.core, keras.layers.convolutional and so on.
    """
    if name in _FACADES:
        return _FACADES[name]
    root = next((old for old in _TODAY if f"{name}.".startswith(f"{old}.")), None)
    if root is None:
        return None
    today = _TODAY[root] + name[len(root) :]
    try:
        return importlib.import_module(today)
    except ModuleNotFoundError as error:
        if not f"{today}.".startswith(f"{error.name}."):  # what that module needs is missing
            raise
    parent = name.rpartition(".")[0]
    return find_module(parent) if parent.count(".") else None


def _overlay(changes: Mapping[str, Mapping[str, Any]]) -> dict[str, ModuleType]:
    """Modules like today's of these old names, in which some names stand for something else."""
    modules = {}
    for name, changed in changes.items():
        real = find_module(name) or importlib.import_module(name)
        modules[name] = ModuleType(name)
        vars(modules[name]).update({**vars(real), **changed})
    for name, module in modules.items():
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(modules[parent], child, module)
    return modules


def install(statements: str) -> None:
    """Let the old names be imported from now on, by whatever module.

    `statements` is the script's text: names that left TensorFlow are put back where it has them,
    and the vendor's other agents get the graph mode that they were written for.
    """
    old = {"__version__": "0.21.0", **{name: getattr(gym, name) for name in _GYM_NAMES}}
    _FACADES.update(_overlay(dict.fromkeys(_GYM_MODULES, old)))
    sys.meta_path.insert(0, _OldNames())
    door = {key: getattr(keras_rl, key) for key in keras_rl.__all__}
    if re.search(OTHER_AGENTS + "[()]", statements):  # made or derived from, not only imported
        _serve_other_agents()
    else:
        ignore_graph_mode()
    door["DQNAgent"] = agents.DQNAgent
    loaded = {name: vars(m) for name, m in sys.modules.items() if f"{name}.".startswith("rl.")}
    changes = {name: {k: door[k] for k in door if k in names} for name, names in loaded.items()}
    sys.modules.update(_overlay(changes))
    # The vendor's other agents count in int16 and never end (D3); the door's do not.
    rl_core.np = SimpleNamespace(**{**vars(np), "int16": int})
    for name, value in NUMPY_NAMES.items():
        if name not in vars(np):
            setattr(np, name, value)
    for name in set(re.findall(r"\b(?:tf|tensorflow)\.(\w+)", statements)):
        if not hasattr(tf, name) and hasattr(tf.compat.v1, name):
            setattr(tf, name, getattr(tf.compat.v1, name))
    backend, layers = _KERAS.backend, _KERAS.layers
    backend.image_dim_ordering, backend.set_image_dim_ordering = lambda: "tf", lambda order: None
    backend.get_session = tf.compat.v1.keras.backend.get_session
    backend.set_session = tf.compat.v1.keras.backend.set_session
    layers.CuDNNLSTM, layers.CuDNNGRU = layers.LSTM, layers.GRU
    layers.core = layers.normalization = layers
    _KERAS.utils.np_utils, _KERAS.objectives = _KERAS.utils, _KERAS.losses
    for name in ("Adadelta", "Adagrad", "Adam", "Adamax", "Nadam", "RMSprop", "SGD"):
        setattr(_KERAS.optimizers, name.lower(), getattr(_KERAS.optimizers, name))
    time.clock = time.perf_counter  # type: ignore[attr-defined]  # gone with Python 3.8
    for name in ("Callable", "Iterable", "Mapping", "MutableMapping", "Sequence"):
        setattr(collections, name, getattr(collections.abc, name))  # gone with Python 3.10
    # Keras 2 wrote and read HDF5 whatever the file's name, such as x.h5f.
    model = _KERAS.Model
    model.save_weights = functools.partialmethod(model.save_weights, save_format="h5")
    model.load_weights = _load_hdf5_by_content(model.load_weights)
    if "tensorflow.python.keras" in statements:
        for name in [name for name in sys.modules if name.startswith("tensorflow.python.keras")]:
            del sys.modules[name]


def _load_hdf5_by_content(load: Callable[..., Any]) -> Callable[..., Any]:
    """Today's load_weights, which goes by the file's name, for HDF5 of any name."""

    def load_weights(model: Any, path: Any, *args: Any, **kwargs: Any) -> Any:
        if not (os.path.isfile(path) and h5py.is_hdf5(path)):
            return load(model, path, *args, **kwargs)
        with tempfile.TemporaryDirectory() as folder:
            link = Path(folder, "weights.h5")
            link.symlink_to(Path(path).resolve())
            return load(model, str(link), *args, **kwargs)

    return load_weights


def _serve_other_agents() -> None:
    """Give these of the vendor's agents the graph mode and the optimizers that they know."""
    tf.compat.v1.disable_eager_execution()
    tf.compat.v1.disable_control_flow_v2()
    for name, optimizer in vars(_KERAS.optimizers.legacy).items():
        if isinstance(optimizer, type):
            setattr(_KERAS.optimizers, name, optimizer)
