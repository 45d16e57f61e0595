"""Old module names for today's modules: gym, keras, rl, and what left NumPy and TensorFlow."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.util
import re
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace
from typing import Any

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
OTHER_AGENTS = ("SARSAAgent", "CEMAgent", "DDPGAgent", "NAFAgent", "ContinuousDQNAgent")
_FACADES: dict[str, ModuleType] = {}
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


def _overlay(real: ModuleType, **names: Any) -> ModuleType:
    """A module like `real`, but for these names."""
    module = ModuleType(real.__name__)
    vars(module).update({**vars(real), **names})
    return module


def _gym_modules() -> dict[str, ModuleType]:
    """The modules of gym that hold more than Gymnasium's of the same name."""
    import gymnasium

    wrapper_names = ("Wrapper", "ObservationWrapper", "RewardWrapper", "ActionWrapper")
    core = {"Env": gym.Env, **dict.fromkeys(wrapper_names, gym.Wrapper)}
    making = {"make": gym.make, "register": gym.register}
    registration = _overlay(gymnasium.envs.registration, **making)
    wrappers = _overlay(gymnasium.wrappers, Monitor=gym.Monitor)
    seeding = _overlay(gymnasium.utils.seeding, np_random=gym.np_random)
    utils = _overlay(gymnasium.utils, seeding=seeding)
    envs = _overlay(gymnasium.envs, registration=registration, **making)
    parts = {"envs": envs, "wrappers": wrappers, "utils": utils}
    return {
        "gym": _overlay(gymnasium, **core, **making, **parts, __version__="0.21.0"),
        "gym.core": _overlay(gymnasium.core, **core),
        "gym.envs": envs,
        "gym.envs.registration": registration,
        "gym.utils": utils,
        "gym.utils.seeding": seeding,
        "gym.wrappers": wrappers,
    }


def _rl_modules(door: dict[str, Any]) -> dict[str, ModuleType]:
    """keras-rl2's modules with the door's classes; keras-rl2 itself keeps its own."""
    loaded = {name: m for name, m in sys.modules.items() if name.partition(".")[0] == "rl"}
    modules = {
        name: _overlay(real, **{key: door[key] for key in door.keys() & vars(real).keys()})
        for name, real in loaded.items()
    }
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
    _FACADES.update(_gym_modules())
    sys.meta_path.insert(0, _OldNames())
    others = [name for name in OTHER_AGENTS if name in statements]
    door = {name: getattr(keras_rl, name) for name in keras_rl.__all__}
    sys.modules.update(_rl_modules({**door, "DQNAgent": agents.DQNAgent}))
    for name, value in _NUMPY.items():
        if not hasattr(np, name):
            setattr(np, name, value)
    for name in set(re.findall(r"\b(?:tf|tensorflow)\.(\w+)", statements)):
        if not hasattr(tf, name) and hasattr(tf.compat.v1, name):
            setattr(tf, name, getattr(tf.compat.v1, name))
    backend, layers = _KERAS.backend, _KERAS.layers
    backend.image_dim_ordering, backend.set_image_dim_ordering = lambda: "tf", lambda order: None
    backend.get_session = tf.compat.v1.keras.backend.get_session
    backend.set_session = tf.compat.v1.keras.backend.set_session
    layers.CuDNNLSTM, layers.CuDNNGRU = layers.LSTM, layers.GRU
    if "tensorflow.python.keras" in statements:
        for name in [name for name in sys.modules if name.startswith("tensorflow.python.keras")]:
            del sys.modules[name]
    if others:
        _serve_other_agents()
    else:
        ignore_graph_mode()


def _serve_other_agents() -> None:
    """Give the vendor's other agents graph mode, legacy optimizers and an `int` as counter (D3)."""
    tf.compat.v1.disable_eager_execution()
    rl_core.np = SimpleNamespace(**{**vars(np), "int16": int})
    for name, optimizer in vars(_KERAS.optimizers.legacy).items():
        if isinstance(optimizer, type):
            setattr(_KERAS.optimizers, name, optimizer)
