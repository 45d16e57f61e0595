"""What the command says without training anything."""

from __future__ import annotations

import pytest
from commands import run

from kerasrl_runner.preset import known_presets, load_preset, preset_from_toml

OPTIONS = {
    "fit": "--preset --set --seed --steps --engine --run-dir --visualize --quiet --json",
    "test": "--preset --run --weights --episodes --seed --visualize --video --json",
    "presets": "",
    "doctor": "--json",
}


def test_help_lists_every_command(tmp_path):
    outcome = run("--help", folder=tmp_path, timeout=20)
    assert (outcome.code, outcome.stderr) == (0, "")
    for name in OPTIONS:
        assert f"\n  {name} " in outcome.stdout


@pytest.mark.parametrize("name", OPTIONS)
def test_each_command_explains_each_option(invoke, name):
    outcome = invoke(name, "--help")
    assert (outcome.code, outcome.stderr) == (0, "")
    for option in OPTIONS[name].split():
        (line,) = (line for line in outcome.stdout.splitlines() if f"  {option} " in f"{line} ")
        assert outcome.stdout.count(f"  {option}") == 1, line


def test_presets_are_listed_with_what_they_are(invoke):
    outcome = invoke("presets", "list")
    assert (outcome.code, outcome.stderr) == (0, "")
    assert [line.split()[0] for line in outcome.stdout.splitlines()] == list(known_presets())
    for name, line in zip(known_presets(), outcome.stdout.splitlines(), strict=True):
        assert line.endswith(load_preset(name).description)


def test_a_shown_preset_is_the_resolved_one(invoke):
    outcome = invoke("presets", "show", "cartpole", "--set", "agent.gamma=0.5")
    assert (outcome.code, outcome.stderr) == (0, "")
    assert preset_from_toml(outcome.stdout) == load_preset("cartpole", ["agent.gamma=0.5"])


def test_a_file_is_shown_as_well(invoke, write_preset):
    path = write_preset()
    assert preset_from_toml(invoke("presets", "show", path).stdout) == load_preset(path)


@pytest.mark.parametrize("arguments", [[], ["presets"]])
def test_without_a_command_there_is_the_help_and_exit_code_2(invoke, arguments):
    outcome = invoke(*arguments)
    assert outcome.code == 2
    assert "Usage: kerasrl-run" in outcome.stdout + outcome.stderr
