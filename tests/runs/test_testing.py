"""`test` plays with the engine that trained the weights, or with the one that is asked for."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import hard_presets
import pytest
from commands import python

import kerasrl_runner
from kerasrl_runner.errors import UsageError
from kerasrl_runner.preset import load_preset
from kerasrl_runner.runs.testing import find_subject, play_subject
from kerasrl_runner.runs.training import fit
from kerasrl_runner.weights.file import read_weights, write_weights

ENGINES = ("compiled", "keras-rl", "reference")
NORMALIZED = """
[model]
layers = [{ SpectralNormalization = { layer = { Dense = { units = 8 } } } }]
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of the engine `reference` with a window of two observations."""
    folder = tmp_path_factory.mktemp("testing")
    preset = load_preset("cartpole", ["memory.window_length=2", "evaluate.every_steps=0"])
    return fit(preset, engine="reference", steps=60, run_dir=folder / "run").run


def test_every_engine_plays_the_same_episodes(run):
    tested = [kerasrl_runner.test(run=run, engine=name, episodes=3) for name in ENGINES]
    assert [result.engine for result in tested] == list(ENGINES)
    assert len(tested[0].score.episodes) == 3
    assert tested[1].score == tested[2].score == tested[0].score


def test_a_run_and_its_weights_are_tested_by_the_engine_that_trained_them(run, tmp_path):
    assert kerasrl_runner.test(run=run, episodes=1).engine == "reference"
    weights = Path(run) / "weights.h5"
    assert kerasrl_runner.test(weights=weights, episodes=1).engine == "reference"
    attributes = dict(read_weights(weights).attributes)
    del attributes["engine"]
    nameless = dataclasses.replace(read_weights(weights), attributes=attributes)
    write_weights(tmp_path / "nameless.h5", nameless, overwrite=False)
    assert kerasrl_runner.test(weights=tmp_path / "nameless.h5", episodes=1).engine == "compiled"


def test_a_test_of_the_reference_engine_does_not_import_tensorflow(run, tmp_path):
    code = (
        "import sys; from kerasrl_runner.cli import main\n"
        f"main(['test', '--run', {run!r}, '--episodes', '1'])\n"
        "assert 'tensorflow' not in sys.modules"
    )
    assert "Mean return" in python(code, tmp_path)


def test_an_unknown_engine_is_refused(run, tmp_path):
    known = r'no engine "referense"\. Did you mean "reference"\?'
    with pytest.raises(UsageError, match=known):
        kerasrl_runner.test(run=run, engine="referense")
    weights = read_weights(Path(run) / "weights.h5")
    weights.attributes["engine"] = "referense"
    write_weights(tmp_path / "other.h5", weights, overwrite=False)
    with pytest.raises(UsageError, match=known):
        kerasrl_runner.test(weights=tmp_path / "other.h5")


def test_a_network_that_one_engine_refuses_is_tested_by_the_one_that_trained_it(tmp_path):
    path = tmp_path / "normalized.toml"
    path.write_text(f'[env]\nid = "CartPole-v1"\n{NORMALIZED}\n[evaluate]\nevery_steps = 0\n')
    trained = fit(load_preset(path), engine="keras-rl", steps=20, run_dir=tmp_path / "run")
    tested = kerasrl_runner.test(run=trained.run, episodes=1)
    assert (tested.engine, len(tested.score.episodes)) == ("keras-rl", 1)


@pytest.mark.parametrize("engine", ["compiled", "reference"])
def test_ctrl_c_goes_on_to_the_caller(engine, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "once").touch()  # the training goes well
    kwargs = {"fault": "step interrupt", "at": 20, "once": "once"}
    preset = load_preset(hard_presets.write(tmp_path, "Broken", env={"kwargs": kwargs}))
    trained = fit(preset, engine="reference", steps=40, run_dir=tmp_path / "run")
    (tmp_path / "once").unlink()
    with pytest.raises(KeyboardInterrupt):
        play_subject(find_subject(run=trained.run), engine=engine, episodes=9)
