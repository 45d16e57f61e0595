"""The script that `test` prints runs as it is printed, in Keras 3, without this project."""

from __future__ import annotations

import json
import textwrap

import numpy as np
import pytest
from commands import python, run_many

from kerasrl_runner.engines import build_learner
from kerasrl_runner.preset import load_preset, preset_to_toml
from kerasrl_runner.preset.modules import modules_of
from kerasrl_runner.weights.file import WeightsFile, write_weights
from kerasrl_runner.weights.keras_weights import load_model

SHORT = ["test.nb_max_episode_steps=3"]
WINDOW = ["memory.window_length=2"]
DISCRETE = ["env.observation_scale=1.0", "env.max_episode_steps=9"]
# File name -> preset, overrides and the shape of a state.
# One of each kind: a window, wrappers, modules, tables and pictures make the scripts differ.
PRESETS = ("cartpole", "cartpole-kerasrl", "blob", "blob-image", "cartpole-table",
           "minatar-breakout", "atari-breakout")  # fmt: skip
CASES = {
    **{f"{name}.h5": (name, SHORT, None) for name in PRESETS},
    'the agent\'s "best".h5': ("cartpole", SHORT, (1, 4)),
    "taxi.h5": (
        "cartpole-kerasrl",
        ["env.id=Taxi-v4", "env.action_mask=true", *SHORT, *WINDOW, *DISCRETE],
        (2, 500),
    ),
    "lake.h5": (
        "cartpole-kerasrl",
        ["env.id=FrozenLake-v1", "env.kwargs={is_slippery=false}", *SHORT, *DISCRETE],
        (1, 16),
    ),
    "limited.h5": (
        "cartpole",
        ['env.wrappers=[{"gymnasium.wrappers:TimeLimit" = {max_episode_steps = 9}}]', *SHORT],
        (1, 4),
    ),
    "max.h5": (
        "cartpole",
        ["agent.enable_dueling_network=true", "agent.dueling_type=max", *SHORT, *WINDOW],
        (2, 4),
    ),
}
OWN_HEAD = ["max.h5"]

EXECUTE = """
import json
results = {}
for name, script in json.load(open("scripts.json")).items():
    names = {}
    exec(script, names)
    assert 0 <= names["action"] < names["environment"].action_space.n
    assert name != "taxi.h5" or names["info"]["action_mask"][names["action"]]
    results[name] = [names["state"].tolist(), names["q_values"].tolist()]
print(json.dumps(results))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("reuse")


@pytest.fixture(scope="module")
def scripts(folder):
    """File name -> what `test` printed below "Reuse them"."""
    jobs = []
    for name, (preset_name, overrides, _) in CASES.items():
        preset = load_preset(preset_name, overrides)
        learner = build_learner(preset, 1, "compiled")
        weights = learner.exported_weights()
        learner.environment.close()
        attributes = {"preset": preset_to_toml(preset)}
        described = WeightsFile(weights.layers, weights.config, attributes)
        write_weights(folder / name, described, overwrite=False)
        arguments = ["test", "--weights", name, "--episodes", "1"]
        if "ale_py" in modules_of(preset):  # which the weights alone do not import
            (folder / f"{name}.toml").write_text(preset_to_toml(preset))
            arguments += ["--preset", f"{name}.toml"]
        jobs.append({"arguments": arguments})
    printed = {}
    for name, outcome in zip(CASES, run_many(jobs, folder, timeout=120), strict=True):
        assert outcome.code == 0, outcome.stderr
        printed[name] = textwrap.dedent(outcome.stdout.partition("in any script:\n\n")[2])
    return printed


@pytest.fixture(scope="module")
def results(folder, scripts):
    """File name -> the state [W, *observation] and the Q values [A] that its script came to."""
    of_keras = {name: script for name, script in scripts.items() if name not in OWN_HEAD}
    (folder / "scripts.json").write_text(json.dumps(of_keras))
    found = json.loads(python(EXECUTE, folder).splitlines()[-1])
    for name in OWN_HEAD:
        names: dict = {}
        exec(scripts[name].replace(f"'{name}'", repr(str(folder / name))), names)
        found[name] = [names["state"].tolist(), names["q_values"].tolist()]
    return found


@pytest.mark.parametrize("name", CASES)
def test_what_test_prints_runs_as_it_is_printed(folder, scripts, results, name):
    state, q_values = (np.array(values, np.float32) for values in results[name])
    assert ("kerasrl_runner.load_model" in scripts[name]) == (name in OWN_HEAD)
    assert CASES[name][2] in (None, state.shape)
    expected = load_model(folder / name).predict_on_batch(state[None])[0]
    np.testing.assert_allclose(q_values, expected, rtol=1e-5, atol=1e-6)
