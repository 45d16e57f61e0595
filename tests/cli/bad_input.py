"""What a user can do wrong: the command line, what lies there, and words of the error."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from records import write_record

from kerasrl_runner.preset import load_preset, preset_to_toml
from kerasrl_runner.weights.file import Layer, WeightsFile, write_weights

SMALL = """\
[env]
id = "{id}"

[model]
layers = [{{ Dense = {{ units = 4 }} }}]

[fit]
nb_steps = 2_000

[evaluate]
every_steps = 0
"""


@dataclass(frozen=True)
class Case:
    name: str
    arguments: str
    code: int
    words: tuple[str, ...]
    prepare: Callable[[Path], None] = lambda folder: None
    environment: tuple[tuple[str, str], ...] = ()


def preset(text: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / "mine.toml").write_text(text, encoding="utf-8")

    return write


def world(name: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        preset(SMALL.format(id=f"worlds:{name}-v0"))(folder)
        shutil.copy(Path(__file__).with_name("worlds.py"), folder)

    return write


def in_the_way(folder: Path) -> None:
    (folder / "taken").mkdir()
    (folder / "taken" / "thesis.txt").write_text("mine")
    (folder / "file").write_text("mine")


def weights(units: int = 24, of: str = "cartpole") -> Callable[[Path], None]:
    """weights.h5 for the shipped preset `of`, whose hidden layers may be of another size."""

    def write(folder: Path) -> None:
        shapes = [(4, units), (units, units), (units, 2)]
        layers = tuple(
            Layer(name, ((f"{name}/kernel:0", np.zeros(shape)), (f"{name}/bias:0", np.zeros(b))))
            for name, shape in zip(("layer_0", "layer_1", "q_values"), shapes, strict=True)
            for b in [shape[1]]
        )
        attributes = {"preset": preset_to_toml(load_preset(of))}
        write_weights(folder / "weights.h5", WeightsFile(layers, None, attributes), overwrite=False)

    return write


def truncated(folder: Path) -> None:
    weights()(folder)
    content = (folder / "weights.h5").read_bytes()
    (folder / "weights.h5").write_bytes(content[: len(content) // 2])


def with_nan(folder: Path) -> None:
    weights()(folder)
    with h5py.File(folder / "weights.h5", "r+") as file:
        file["layer_1"]["layer_1/bias:0"][3] = np.nan


def weights_of_a_module(folder: Path) -> None:
    """The module lies beside them: an import would find it."""
    shutil.copy(Path(__file__).with_name("worlds.py"), folder / "strangers.py")
    weights()(folder)
    with h5py.File(folder / "weights.h5", "r+") as file:
        file.attrs["preset"] = SMALL.format(id="strangers:Corridor-v0")


def outside(folder: Path) -> None:
    weights()(folder)
    (folder / "secret").write_bytes(bytes(96))
    with h5py.File(folder / "weights.h5", "r+") as file:
        del file["layer_1"]["layer_1/bias:0"]
        storage = [(str(folder / "secret"), 0, 96)]
        file["layer_1"].create_dataset("layer_1/bias:0", (24,), "f4", external=storage)


def other_suffix(folder: Path) -> None:
    weights()(folder)
    (folder / "weights.h5").rename(folder / "my.weights.h5")


def two_runs(folder: Path) -> None:
    for name in ("pole-1", "pole-2"):
        write_record(folder / "runs" / name, status="running")


def not_hdf5(folder: Path) -> None:
    (folder / "weights.h5").write_text("<html>404 Not Found</html>")


MODEL = '[env]\nid = "CartPole-v1"\n[model]\nlayers = [{}]\n'.format

CASES = [
    Case("command", "fti", 2, ('no command "fti"', 'mean "fit"', "Known: fit, test, runs, pre")),
    Case("option", "fit --step 5", 2, ("No such option", "--steps")),
    Case("preset", "fit --preset cartpol", 2, ('"cartpol"', 'mean "cartpole"', "cartpole-kerasrl")),
    Case("preset file", "fit --preset mine.toml", 2, ("no preset file mine.toml", "existing")),
    Case("long name", f"fit --preset {'x' * 300}.toml", 2, ("there is no preset file",)),
    Case("TOML", "fit --preset mine.toml", 2, ("mine.toml", "line 2"), preset("[env]\nid = \n")),
    Case("key", "fit --preset mine.toml", 2, ("mine.toml, line 3", "env.idd", 'mean "id"'),
         preset('[env]\nid = "CartPole-v1"\nidd = 3\n[model]\nlayers = []\n')),
    Case("set of a wrong type", "fit --set agent.gamma=high", 2,
         ("--set agent.gamma=high", "expected a number", "received 'high'")),
    Case("set without a value", "fit --set gamma", 2, ("--set gamma", "expected KEY=VALUE")),
    Case("set of an unknown key", "presets show cartpole --set agent.gama=1", 2, ('mean "gamma"',)),
    Case("layer", "fit --preset mine.toml", 2, ("line 4: model.layers.0", 'mean "Dense"'),
         preset(MODEL("{ Dens = { units = 4 } }"))),
    Case("Lambda", "fit --preset mine.toml", 2, ("Lambda layers carry code", "module:Class"),
         preset(MODEL("{ Lambda = {} }"))),
    Case("policy", "fit --set policy.EpsGreedy.eps=0.1", 2, ("unknown", 'mean "EpsGreedyQPolicy"')),
    Case("optimizer", "fit --set optimizer.adam.learning_rate=0.1", 2, ('mean "Adam"',)),
    Case("arguments of a policy", "fit --set policy.EpsGreedyQPolicy.epsilon=0.1", 2, ("eps",)),
    Case("arguments of a layer", "fit --preset mine.toml", 2,
         ("model.layers.0 (Dense)", "Keras refuses", "unit"),
         preset(MODEL("{ Dense = { unit = 4 } }"))),
    Case("place of a layer", "fit --preset mine.toml", 2,
         ("model.layers.1 (Conv2D)", "after an output of shape"),
         preset(MODEL("{ Flatten = {} }, { Conv2D = { filters = 2, kernel_size = 3 } }"))),
    Case("layer of no module", "fit --preset mine.toml", 2, ('"nowhere:Layer"', "module:Class"),
         preset(MODEL('{ "nowhere:Layer" = {} }'))),
    Case("layer that is none", "fit --preset mine.toml", 2, ('"math:sqrt" is not a Layer',),
         preset(MODEL('{ "math:sqrt" = {} }'))),
    Case("arguments of an optimizer", "fit --set optimizer.Adam.beta=0.9", 2,
         ("optimizer.Adam", "Keras refuses", "beta")),
    Case("optimizer argument of a wrong type", "fit --set optimizer.Adam.epsilon=small", 2,
         ("optimizer.Adam", "epsilon")),
    Case("optimizer argument that keras-rl cannot do",
         "fit --engine keras-rl --set optimizer.Adam.weight_decay=0.1", 2,
         ("optimizer.Adam", "weight_decay")),
    Case("arguments of a schedule", "fit --set optimizer.SGD.learning_rate.CosineDecay.steps=3", 2,
         ("optimizer.SGD.learning_rate.CosineDecay", "Keras refuses")),
    Case("environment", "fit --set env.id=CartPol-v1", 2, ("env.id", "CartPol", "module:Id-v0")),
    Case("module of an environment", "fit --set env.id=nowhere:Id-v0", 2, ("env.id", "nowhere")),
    Case("missing extra", "fit --set env.id=LunarLander-v3", 1, ("needs a package", "box2d")),
    Case("arguments of an environment", "fit --set env.kwargs.size=3", 2, ("env.kwargs", "size")),
    Case("continuous actions", "fit --set env.id=Pendulum-v1", 2,
         ("Pendulum-v1", "Box(", "expected Discrete(n)", "Wrap")),
    Case("Dict observations", "fit --preset mine.toml", 2, ("Dict(", "expected Box", "Flatten"),
         world("DictObservations")),
    Case("scale of another length", "fit --set env.observation_scale=[1.0,2.0]", 2,
         ("env.observation_scale", "expected one number or (4,) numbers", "received 2")),
    Case("memory beyond the machine", "fit --set memory.limit=1000000000000000", 2,
         ("needs 34,000,000,000,000,000 bytes", "memory.limit")),
    Case("engine", "fit --engine keras-rll", 2, ('no engine "keras-rll"', 'mean "keras-rl"')),
    Case("negative steps", "fit --steps -5", 2, ("--steps", "1 or more", "received -5")),
    Case("no steps", "fit --steps 0", 2, ("--steps", "1 or more", "received 0")),
    Case("steps that are no number", "fit --steps many", 2, ("--steps", "'many'", "integer")),
    Case("negative seed", "fit --seed -1", 2, ("--seed", "from 0", "received -1")),
    Case("run directory that is taken", "fit --run-dir taken", 1,
         ("run directory taken is not empty", "expected a new or empty one"), in_the_way),
    Case("run directory below a file", "fit --run-dir file/below", 1,
         ("cannot make the run directory", "--run-dir"), in_the_way),
    Case("runs folder that is a file", "fit", 1, ("cannot make the run directory", "KERASRL_RUNS"),
         in_the_way, environment=(("KERASRL_RUNS", "file"),)),
    Case("picture of what has none", "fit --preset mine.toml --steps 40 --visualize", 1,
         ("cannot be shown", "--visualize"), world("Endless")),
    Case("environment that cannot be made", "fit --preset mine.toml", 1,
         ("RaisesWhenMade-v0", "no port is free"), world("RaisesWhenMade")),
    Case("engine of a test", "test --weights weights.h5 --engine keras", 2,
         ('no engine "keras"', 'mean "keras-rl"', "Known: compiled"), weights()),
    Case("no episodes", "test --episodes 0", 2, ("--episodes", "1 or more", "received 0")),
    Case("negative episodes", "test --episodes -3", 2, ("--episodes", "received -3")),
    Case("negative test seed", "test --weights weights.h5 --seed -1", 2, ("--seed", "received -1"),
         weights()),
    Case("run", "test --run pong", 1, ('"pong"', "There are: pole-2, pole-1"), two_runs),
    Case("ambiguous run", "test --run pole", 1, ("names 2 runs", "pole-2, pole-1"), two_runs),
    Case("run without weights", "test --run pole-1", 1, ("has no weights yet",), two_runs),
    Case("run and weights", "test --run pole-1 --weights weights.h5", 2, ("--run and --weights",)),
    Case("no weights file", "test --weights weights.h5", 1, ("no weights file weights.h5",)),
    Case("weights of another architecture", "test --weights weights.h5", 1,
         ("another architecture", "(4, 24)", "(4, 16)", "Use the preset"),
         weights(units=16)),
    Case("weights of another environment", "test --preset mine.toml --weights weights.h5", 1,
         ("trained on CartPole-v1", "Acrobot-v1"),
         lambda folder: (weights()(folder), preset(SMALL.format(id="Acrobot-v1"))(folder))[0]),
    Case("truncated weights", "test --weights weights.h5", 1, ("truncated download",), truncated),
    Case("weights that are no HDF5", "test --weights weights.h5", 1, ("HDF5",), not_hdf5),
    Case("weights of another format", "test --weights my.weights.h5", 1, ("Name it .h5",),
         other_suffix),
    Case("weights that are NaN", "test --weights weights.h5", 1,
         ("layer_1/bias:0 holds NaN", "best weights"), with_nan),
    Case("weights that would import a module", "test --weights weights.h5", 1,
         ("needs strangers", "imports nothing by itself", "--preset"), weights_of_a_module),
    Case("weights in the file of another", "test --weights weights.h5", 1,
         ("kept in another file",), outside),
    Case("huge network", "fit --preset mine.toml", 2,
         ("model.layers.0 (Dense)", "at most 134,217,728 weights"),
         preset(MODEL("{ Dense = { units = 1_000_000_000 } }"))),
    Case("preset that is none", "fit --preset /dev/zero", 2, ("no preset file", ".toml")),
    Case("video of an unknown kind", "test --weights weights.h5 --video film.avi", 2,
         ("film.avi", ".mp4 or .gif"), weights()),
    Case("video below a file", "test --weights weights.h5 --episodes 1 --video file/film.mp4", 1,
         ("cannot write file/film.mp4", "Choose a folder"),
         lambda folder: (weights()(folder), in_the_way(folder))[0]),
]  # fmt: skip
