"""Whatever a user does wrong ends in one message that helps, and changes nothing.

What each package refuses is tested there; here is one case for each way to the message.
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import pytest
from commands import Outcome, run_many
from records import write_record

from kerasrl_runner.files.places import shipped_folder

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


def weights(folder: Path) -> None:
    shutil.copy(shipped_folder("weights") / "cartpole.h5", folder / "weights.h5")


def weights_of_a_module(folder: Path) -> None:
    """The module lies beside them: an import would find it."""
    shutil.copy(Path(__file__).with_name("worlds.py"), folder / "strangers.py")
    weights(folder)
    with h5py.File(folder / "weights.h5", "r+") as file:
        file.attrs["preset"] = SMALL.format(id="strangers:Corridor-v0")


def two_runs(folder: Path) -> None:
    for name in ("pole-1", "pole-2"):
        write_record(folder / "runs" / name, status="running")


MODEL = '[env]\nid = "CartPole-v1"\n[model]\nlayers = [{}]\n'.format

CASES = [
    Case("command", "fti", 2, ('no command "fti"', 'mean "fit"', "Known: fit, test, runs, pre")),
    Case("option", "fit --step 5", 2, ("No such option", "--steps")),
    Case("preset", "fit --preset cartpol", 2, ('"cartpol"', 'mean "cartpole"', "cartpole-kerasrl")),
    Case("key", "fit --preset mine.toml", 2, ("mine.toml, line 3", "env.idd", 'mean "id"'),
         preset('[env]\nid = "CartPole-v1"\nidd = 3\n[model]\nlayers = []\n')),
    Case("set of a wrong type", "fit --set agent.gamma=high", 2,
         ("--set agent.gamma=high", "expected a number", "received 'high'")),
    Case("layer", "fit --preset mine.toml", 2, ("line 4: model.layers.0", 'mean "Dense"'),
         preset(MODEL("{ Dens = { units = 4 } }"))),
    Case("policy", "fit --set policy.EpsGreedy.eps=0.1", 2, ("unknown", 'mean "EpsGreedyQPolicy"')),
    Case("arguments of a layer", "fit --preset mine.toml", 2,
         ("model.layers.0 (Dense)", "Keras refuses", "unit"),
         preset(MODEL("{ Dense = { unit = 4 } }"))),
    Case("arguments of an optimizer", "fit --set optimizer.Adam.beta=0.9", 2,
         ("optimizer.Adam", "Keras refuses", "beta")),
    Case("optimizer argument that keras-rl cannot do",
         "fit --engine keras-rl --set optimizer.Adam.weight_decay=0.1", 2,
         ("optimizer.Adam", "weight_decay")),
    Case("environment", "fit --set env.id=CartPol-v1", 2, ("env.id", "CartPol", "module:Id-v0")),
    Case("continuous actions", "fit --set env.id=Pendulum-v1", 2,
         ("Pendulum-v1", "Box(", "expected Discrete(n)", "Wrap")),
    Case("memory beyond the machine", "fit --set memory.limit=1000000000000000", 2,
         ("needs 34,000,000,000,000,000 bytes", "memory.limit")),
    Case("table without its engine", "fit --preset frozenlake-table", 2,
         ("model: missing", "frozenlake-table", "--engine qtable")),
    Case("observations without number", "fit --preset mine.toml --engine qtable", 2,
         ("Box(", "expected Discrete", "wrappers = [", "environments.wrappers:Discretize"),
         preset('[env]\nid = "CartPole-v1"\n')),
    Case("cells without edges", "fit --preset cells.toml --engine qtable", 2,
         ("env.wrappers.0", "part 1", "unbounded", "low = [...]"),
         lambda folder: (folder / "cells.toml").write_text(
             '[env]\nid = "CartPole-v1"\nwrappers = [{ "kerasrl_runner.environments.wrappers:'
             'Discretize" = { bins = [3, 3, 3, 3] } }]\n')),
    Case("setting that a table does not have",
         "fit --preset frozenlake-table --engine qtable --set memory.limit=9000", 2,
         ("--set memory.limit=9000", "for a table, where this changes nothing")),
    Case("engine", "fit --engine keras-rll", 2, ('no engine "keras-rll"', 'mean "keras-rl"')),
    Case("no steps", "fit --steps 0", 2, ("--steps", "1 or more", "received 0")),
    Case("run directory that is taken", "fit --run-dir taken", 1,
         ("run directory taken is not empty", "expected a new or empty one"), in_the_way),
    Case("picture of what has none", "fit --preset mine.toml --steps 40 --visualize", 1,
         ("cannot be shown", "--visualize"), world("Endless")),
    Case("environment that cannot be made", "fit --preset mine.toml", 1,
         ("RaisesWhenMade-v0", "no port is free"), world("RaisesWhenMade")),
    Case("no episodes", "test --weights weights.h5 --episodes 0", 2,
         ("--episodes", "1 or more", "received 0"), weights),
    Case("ambiguous run", "test --run pole", 1, ("names 2 runs", "pole-2, pole-1"), two_runs),
    Case("run without weights", "test --run pole-1", 1, ("has no weights yet",), two_runs),
    Case("run and weights", "test --run pole-1 --weights weights.h5", 2, ("--run and --weights",)),
    Case("table that was not trained", "test --preset mine.toml", 1,
         ("fit --preset mine.toml --engine qtable",), preset('[env]\nid = "FrozenLake-v1"\n')),
    Case("weights of another environment", "test --preset mine.toml --weights weights.h5", 1,
         ("trained on CartPole-v1", "Acrobot-v1"),
         lambda folder: (weights(folder), preset(SMALL.format(id="Acrobot-v1"))(folder))[0]),
    Case("weights that would import a module", "test --weights weights.h5", 1,
         ("needs strangers", "imports nothing by itself", "--preset"), weights_of_a_module),
    Case("video of an unknown kind", "test --weights weights.h5 --video film.avi", 2,
         ("film.avi", ".mp4 or .gif"), weights),
    Case("video below a file", "test --weights weights.h5 --episodes 1 --video file/film.mp4", 1,
         ("cannot write file/film.mp4", "choose another folder"),
         lambda folder: (weights(folder), in_the_way(folder))[0]),
]  # fmt: skip


def content(folder: Path) -> dict[str, bytes]:
    """Every file below `folder` and what it holds; folders hold nothing."""
    return {
        str(path.relative_to(folder)): b"" if path.is_dir() else path.read_bytes()
        for path in folder.rglob("*")
        if "__pycache__" not in path.parts
    }


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> dict[str, tuple[Outcome, bool]]:
    """Case -> its outcome, and whether its folder is as it was; all in one child process."""
    root = tmp_path_factory.mktemp("bad")
    folders = {case.name: root / str(number) for number, case in enumerate(CASES)}
    for case in CASES:
        folders[case.name].mkdir()
        case.prepare(folders[case.name])
    before = {name: content(folder) for name, folder in folders.items()}
    jobs = [
        {"arguments": shlex.split(case.arguments), "folder": str(folders[case.name])}
        for case in CASES
    ]
    outcomes = zip(folders, run_many(jobs, root, timeout=240), strict=True)
    return {name: (outcome, content(folders[name]) == before[name]) for name, outcome in outcomes}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_input(case: Case, results: dict[str, tuple[Outcome, bool]]):
    outcome, is_unchanged = results[case.name]
    assert "Traceback" not in outcome.stderr, outcome.stderr
    assert outcome.code == case.code
    assert sum(line.lower().startswith("error:") for line in outcome.stderr.splitlines()) == 1
    for word in case.words:
        assert word in outcome.stderr
    # `test` says what it tests before it meets a problem of those weights.
    assert outcome.stdout == "" or outcome.stdout.startswith("Testing the weights weights.h5")
    assert outcome.stdout.count("\n") <= case.arguments.startswith("test")
    assert is_unchanged
