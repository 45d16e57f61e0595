"""Old module names for today's modules: gym, keras, rl, and what left NumPy and TensorFlow."""

from __future__ import annotations

import functools
import importlib
import importlib.abc
import importlib.util
import os
import re
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace
from typing import Any

import h5py
import numpy as np

from kerasrl_runner import keras_rl
from kerasrl_runner.old_scripts import agents, gym
from kerasrl_runner.vendor import ignore_graph_mode, rl_core, tf

# Names of Python's types left NumPy with 1.24, the others with 2.0.
_NUMPY = {
    "int": int, "float": float, "complex": complex, "object": object, "str": str,
    "bool8": np.bool_, "float_": np.float64, "Inf": np.inf, "infty": np.inf, "NaN": np.nan,
    "NAN": np.nan, "product": np.prod, "alltrue": np.all, "sometrue": np.any, "in1d": np.isin,
    "row_stack": np.vstack, "trapz": np.trapezoid, "asscalar": lambda array: array.item(),
}  # fmt: skip
# Keras 2.3's and gym's packages, and where the same lies today.
_TODAY = {
    "keras.engine": "tensorflow.keras.layers",
    "keras.objectives": "tensorflow.keras.losses",
    "keras": "tensorflow.keras",
    "tensorflow.python.keras": "tensorflow.keras",
    "gym": "gymnasium",
}
_OTHER_AGENTS = re.compile(r"\b(SARSA|CEM|DDPG|NAF|ContinuousDQN)Agent\b")
_FACADES: dict[str, ModuleType] = {}
_CORE = {
    "Env": gym.Env,
    "Wrapper": gym.Wrapper,
    "ObservationWrapper": gym.Wrapper,
    "RewardWrapper": gym.Wrapper,
    "ActionWrapper": gym.Wrapper,
}
_MAKING = {"make": gym.make, "register": gym.register}
# What is another thing in old gym than in Gymnasium.
_GYM: dict[str, dict[str, Any]] = {
    "gym": {**_CORE, **_MAKING, "__version__": "0.21.0"},
    "gym.core": _CORE,
    "gym.envs": _MAKING,
    "gym.envs.registration": _MAKING,
    "gym.utils": {},
    "gym.utils.seeding": {"np_random": gym.np_random},
    "gym.wrappers": {"Monitor": gym.Monitor},
}
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
        name = module.__name__
        sys.modules[name] = find_module(name)  # type: ignore[assignment]  # the import's answer


def find_module(name: str) -> ModuleType | None:
    """The module that serves for an old name; None for a name that is none of these.

    Where the module itself is gone its parent serves: keras.layers has all that was in
    keras.layers.core, keras.layers.convolutional and so on.
    """
    if name in _FACADES:
        return _FACADES[name]
    root = next((old for old in _TODAY if f"{name}.".startswith(f"{old}.")), None)
    if root is not None:
        today = _TODAY[root] + name[len(root) :]
        try:
            return importlib.import_module(today)
        except ModuleNotFoundError as error:
            if not f"{today}.".startswith(f"{error.name}."):  # what that module needs is missing
                raise
    elif not name.startswith("tensorflow.keras."):
        return None
    parent = name.rpartition(".")[0]
    return find_module(parent) if parent.count(".") else None


def _overlay(changes: Mapping[str, Mapping[str, Any]]) -> dict[str, ModuleType]:
    """Modules like today's of these old names, in which some names stand for something else."""
    modules = {}
    for name, changed in changes.items():
        real = importlib.import_module(name.replace("gym", "gymnasium", 1))
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
    _FACADES.update(_overlay(_GYM))
    sys.meta_path.insert(0, _OldNames())
    door = {key: getattr(keras_rl, key) for key in keras_rl.__all__}
    if _OTHER_AGENTS.search(statements):
        _serve_other_agents()
        if not re.search(r"\b(SARSA|CEM)Agent\b", statements):
            del door["SequentialMemory"]  # the others store actions that are vectors
    else:
        ignore_graph_mode()
    door["DQNAgent"] = agents.DQNAgent
    loaded = {name: vars(m) for name, m in sys.modules.items() if f"{name}.".startswith("rl.")}
    changes = {name: {k: door[k] for k in door if k in names} for name, names in loaded.items()}
    sys.modules.update(_overlay(changes))
    # The vendor's other agents count in int16 and never end (D3); the door's do not.
    rl_core.np = SimpleNamespace(**{**vars(np), "int16": int})
    for name, value in _NUMPY.items():
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
    _KERAS.Model.save_weights = _save_as_keras_2(_KERAS.Model.save_weights)
    _KERAS.Model.load_weights = _load_as_keras_2(_KERAS.Model.load_weights)
    if "tensorflow.python.keras" in statements:
        for name in [name for name in sys.modules if name.startswith("tensorflow.python.keras")]:
            del sys.modules[name]


def _save_as_keras_2(save: Callable[..., None]) -> Callable[..., None]:
    """Keras 2 wrote HDF5 whatever the file's name, such as x.h5f."""
    return functools.wraps(save)(
        lambda model, path, *args, **kwargs: save(
            model, path, *args, **{"save_format": "h5", **kwargs}
        )
    )


def _load_as_keras_2(load: Callable[..., Any]) -> Callable[..., Any]:
    """And it read HDF5 whatever the file's name; today's goes by the name."""

    @functools.wraps(load)
    def load_weights(model: Any, path: Any, *args: Any, **kwargs: Any) -> Any:
        if not (os.path.isfile(path) and h5py.is_hdf5(path)):
            return load(model, path, *args, **kwargs)
        with tempfile.TemporaryDirectory() as folder:
            link = os.path.join(folder, "weights.h5")
            os.symlink(os.path.abspath(path), link)
            return load(model, link, *args, **kwargs)

    return load_weights


def _serve_other_agents() -> None:
    """Give these of the vendor's agents the graph mode and the optimizers that they know."""
    tf.compat.v1.disable_eager_execution()
    tf.compat.v1.disable_control_flow_v2()
    for name, optimizer in vars(_KERAS.optimizers.legacy).items():
        if isinstance(optimizer, type):
            setattr(_KERAS.optimizers, name, optimizer)
