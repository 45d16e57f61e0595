"""What the command says without training anything."""

from __future__ import annotations

import json

import pytest
from commands import run

from kerasrl_runner.engines import DEFAULT_ENGINE
from kerasrl_runner.files.places import shipped_folder
from kerasrl_runner.preset import known_presets, load_preset, preset_from_toml
from kerasrl_runner.runs.settings import CHECKPOINT_EVERY
from kerasrl_runner.weights.file import read_weights


def test_help_lists_every_command(tmp_path):
    outcome = run("--help", folder=tmp_path, timeout=20)
    assert (outcome.code, outcome.stderr) == (0, "")
    for name in ("fit", "test", "runs", "presets", "doctor"):
        assert f"\n  {name} " in outcome.stdout


def test_the_help_shows_the_defaults(invoke):
    said = " ".join(invoke("fit", "--help").stdout.split())
    for default in ("cartpole", DEFAULT_ENGINE, CHECKPOINT_EVERY, 0):
        assert f"[default: {default}]" in said


def test_presets_are_listed_with_task_network_budget_and_measured_score(invoke):
    outcome = invoke("presets", "list")
    assert (outcome.code, outcome.stderr) == (0, "")
    title, *lines = outcome.stdout.splitlines()
    assert title.split() == ["preset", "task", "network", "budget", "score"]
    assert [line.split()[0] for line in lines] == list(known_presets())
    scores = json.loads((shipped_folder("weights") / "scores.json").read_text())
    assert set(scores) - set(known_presets()) == {name for name in scores if "+" in name}
    for name, line in zip(known_presets(), lines, strict=True):
        preset = load_preset(name)
        assert line.endswith(preset.description)
        assert preset.env.id.rpartition(":")[2] in line
        episodes = preset.fit.nb_episodes
        assert (
            f" {f'{episodes:,} episodes' if episodes else f'{preset.fit.nb_steps:,} steps'} "
            in line
        )
        if name in scores:
            mean, low, high = scores[name]["score"]
            assert f"{mean:g} ({low:g} to {high:g}), {scores[name]['seeds']} seeds" in line
        elif (weights := shipped_folder("weights") / f"{name}.h5").exists():
            claim = read_weights(weights).attributes["score"]["mean_return"]
            assert f" {claim:g}, one run " in line
    (cartpole,) = (line for line in lines if line.startswith("cartpole "))
    assert " 24-24 " in cartpole


def test_a_shown_preset_is_the_resolved_one(invoke):
    outcome = invoke("presets", "show", "cartpole", "--set", "agent.gamma=0.5")
    assert (outcome.code, outcome.stderr) == (0, "")
    assert preset_from_toml(outcome.stdout) == load_preset("cartpole", ["agent.gamma=0.5"])


@pytest.mark.parametrize("arguments", [[], ["presets"]])
def test_without_a_command_there_is_the_help_and_exit_code_2(invoke, arguments):
    outcome = invoke(*arguments)
    assert outcome.code == 2
    assert "Usage: kerasrl-run" in outcome.stdout + outcome.stderr
