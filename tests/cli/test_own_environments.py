"""Presets of one's own: other environments of Gymnasium, and some of a module beside the preset,
whose constructors take no render_mode."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from commands import run_many

PRESET = """\
[env]
id = "{id}"

[model]
layers = [{{ Dense = {{ units = 8, activation = "relu" }} }}]

[agent]
nb_steps_warmup = 50

[fit]
nb_steps = 150

[evaluate]
every_steps = 100
episodes = 1
nb_max_episode_steps = 20

[test]
nb_episodes = 2
nb_max_episode_steps = 20
"""

ENVIRONMENTS = {  # and the engine that trains there
    "Taxi-v4": "compiled",
    "FrozenLake-v1": "reference",
    "worlds:Corridor-v0": "reference",
    "worlds:Endless-v0": "reference",
    "worlds:Printing-v0": "compiled",
}


def copy_worlds(folder: Path) -> None:
    shutil.copy(Path(__file__).with_name("worlds.py"), folder)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """environment -> (outcome of fit, outcome of test); the working folder is not the preset's."""
    root = tmp_path_factory.mktemp("own")
    (root / "presets").mkdir()
    copy_worlds(root / "presets")
    jobs = []
    for name, engine in ENVIRONMENTS.items():
        file = root / "presets" / f"{name.split(':')[-1]}.toml"
        file.write_text(PRESET.format(id=name))
        folder = root / name.split(":")[-1]
        folder.mkdir()
        fit = ["fit", "--preset", str(file), "--engine", engine, "--json"]
        for arguments in (fit, ["test", "--json"]):
            jobs.append({"folder": str(folder), "arguments": arguments})
    done = run_many(jobs, root, timeout=120)
    return dict(zip(ENVIRONMENTS, zip(done[0::2], done[1::2], strict=True), strict=True))


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_trains_and_its_newest_run_is_tested(outcomes, name):
    fit, test = outcomes[name]
    assert (fit.code, test.code) == (0, 0), fit.stderr + test.stderr
    assert (fit.json["status"], fit.json["env_steps"]) == ("finished", 150)
    assert fit.json["best"]["env_steps"] in (100, 150)
    assert test.json["weights"] == fit.json["best"]["weights"]
    assert len(test.json["episodes"]) == 2


def test_an_episode_that_never_ends_is_capped(outcomes):
    _, test = outcomes["worlds:Endless-v0"]
    assert [(e["return"], e["length"]) for e in test.json["episodes"]] == [(20.0, 20)] * 2
    assert (test.json["mean_return"], test.json["std_return"]) == (20.0, 0.0)
