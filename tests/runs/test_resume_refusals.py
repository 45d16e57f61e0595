"""What `--resume` refuses, with the difference shown and nothing changed; and what it says."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

import kerasrl_runner
from kerasrl_runner.errors import CheckpointError, RunError
from kerasrl_runner.files.run_directory import RunDirectory
from kerasrl_runner.preset import load_preset

GOAL = 5.0  # The first evaluation of any policy has a higher mean return.


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A folder with runs of one seed that differ in one setting each."""
    folder = tmp_path_factory.mktemp("runs")

    def fit(name: str, **sections: object) -> None:
        kerasrl_runner.fit(
            "cartpole",
            engine="reference",
            steps=300,
            seed=4,
            run_dir=folder / name,
            checkpoint_every=50,
            **sections,
        )

    fit("run")
    fit("at-goal", evaluate={"every_steps": 100, "episodes": 2, "stop_at_return": GOAL})
    fit("played", fit={"nb_episodes": 3})
    fit("evaluated", evaluate={"every_steps": 100, "episodes": 2})
    fit("other", model={"layers": [{"Dense": {"units": 3}}]})
    return folder


@pytest.fixture
def copy(finished, tmp_path, monkeypatch) -> Path:
    """A copy of them to change, the working folder."""
    shutil.copytree(finished, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return tmp_path / "copy"


def content(folder: Path) -> dict[str, bytes]:
    """What the runs in the folder hold."""
    return {str(path): path.read_bytes() for path in folder.glob("*/**/*") if path.is_file()}


def change_record(run: Path, **changes: object) -> None:
    path = run / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def change_versions(run: Path, **changes: str) -> dict[str, str]:
    """Let the run be one of other versions; returns them."""
    versions = {**RunDirectory(run).record().versions, **changes}
    change_record(run, versions=versions)
    return versions


REFUSALS = [
    ("--seed 5 --engine compiled", 2, ("leave out --seed, --engine.",)),
    ("--preset cartpole --set agent.gamma=0.5", 2, ("leave out --preset, --set.",)),
    ("--steps 299", 2, ("more env steps, not fewer", "300", "299")),
    ("--run-dir other --initial-weights w.h5", 2, ("leave out --initial-weights, --run-dir.",)),
]


@pytest.mark.parametrize(("options", "code", "words"), REFUSALS, ids=[r[0] for r in REFUSALS])
def test_a_run_goes_on_as_it_was_begun_or_not_at_all(options, code, words, copy, invoke):
    before = content(copy)
    outcome = invoke("fit", "--resume", "run", "--steps", "400", *options.split())
    assert outcome.code == code, outcome
    for word in words:
        assert word in outcome.stderr
    assert content(copy) == before


def test_another_version_of_what_computes_is_refused_until_the_user_insists(copy, invoke):
    now = RunDirectory(copy / "run").record().versions
    before = change_versions(copy / "run", numpy="1.26.4")
    refused = invoke("fit", "--resume", "run", "--steps", "400")
    assert refused.code == 1
    assert f"numpy was 1.26.4, now it is {now['numpy']}" in refused.stderr
    assert "--other-versions" in refused.stderr
    with pytest.raises(RunError, match=r"numpy was 1\.26\.4"):
        kerasrl_runner.resume("run", steps=400)
    assert invoke("fit", "--resume", "run", "--steps", "400", "--other-versions").code == 0
    record = RunDirectory(copy / "run").record()
    assert (record.env_steps, record.versions, record.earlier_versions) == (400, now, [before])


def test_versions_of_what_does_not_compute_change_nothing(copy):
    """TensorFlow among them, for the engine that does not use it."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}.99"
    others = {"h5py": "2.0", "kerasrl-runner": "99", "tensorflow": "1.0", "python": python}
    before = change_versions(copy / "run", **others)
    assert kerasrl_runner.resume("run", steps=400).env_steps == 400
    assert RunDirectory(copy / "run").record().earlier_versions == [before]


def test_other_versions_without_resume_is_a_wrong_usage(invoke):
    outcome = invoke("fit", "--other-versions")
    assert (outcome.code, "--resume RUN" in outcome.stderr) == (2, True)


def test_a_run_at_its_goal_says_what_would_change_it_and_trains_nothing(copy, invoke):
    before = content(copy)
    for steps in ((), ("--steps", "400")):
        outcome = invoke("fit", "--resume", "at-goal", *steps)
        assert outcome.code == 0
        assert "reached its goal after 100 env steps" in outcome.stdout
        assert "--set evaluate.stop_at_return=... --initial-weights at-goal/weights.h5" in (
            outcome.stdout
        )
        assert "--steps trains it for more" not in outcome.stdout
    assert content(copy) == before


def test_a_run_with_all_its_episodes_says_what_would_train_on_and_trains_nothing(copy, invoke):
    before = content(copy)
    for steps in ((), ("--steps", "400")):
        outcome = invoke("fit", "--resume", "played", *steps)
        assert outcome.code == 0
        assert "it played the 3 episodes of fit.nb_episodes" in outcome.stdout
        assert "--initial-weights played/weights.h5" in outcome.stdout
    assert content(copy) == before


def test_a_finished_run_says_so_and_trains_nothing(copy, invoke):
    before = content(copy)
    outcome = invoke("fit", "--resume", "run", "--json")
    assert outcome.code == 0
    assert outcome.stderr == "The run run is finished; --steps trains it for more.\n"
    assert (outcome.json["env_steps"], outcome.json["best"]["weights"]) == (300, "run/best.h5")
    assert content(copy) == before


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"engine": "tables"}, 'there is no engine "tables"'), ({"seed": -1}, "seed")],
    ids=str,
)
def test_a_record_that_no_run_can_have_is_refused(changes, words, copy, invoke):
    change_record(copy / "run", **changes)
    outcome = invoke("fit", "--resume", "run", "--steps", "400")
    assert outcome.code in (1, 2)
    assert words in outcome.stderr


@pytest.mark.parametrize("name", ["log.csv", "evaluation.csv"])
def test_a_log_that_lost_rows_is_refused_and_nothing_changed(name, copy):
    path = copy / "run" / name
    path.write_text("episode\n")
    before = {k: v for k, v in content(copy).items() if not k.endswith("run.lock")}
    with pytest.raises(CheckpointError, match=r"missing or shorter than at the checkpoint"):
        kerasrl_runner.resume("run", steps=400)
    assert {k: v for k, v in content(copy).items() if not k.endswith("run.lock")} == before


def test_a_checkpoint_whose_best_weights_are_damaged_is_refused(copy):
    (best,) = (copy / "evaluated" / "checkpoint").glob("best-*.h5")
    best.write_bytes(best.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="the checkpoint is damaged"):
        kerasrl_runner.resume("evaluated", steps=400)


def test_a_checkpoint_of_another_network_is_refused(copy):
    shutil.rmtree(copy / "run" / "checkpoint")
    shutil.copytree(copy / "other" / "checkpoint", copy / "run" / "checkpoint")
    with pytest.raises(CheckpointError, match="not of this training"):
        kerasrl_runner.resume("run", steps=400)


def test_a_preset_that_was_changed_beside_its_run_is_refused(copy, invoke):
    path = copy / "run" / "preset.toml"
    path.write_text(path.read_text().replace("gamma", "gama"))
    outcome = invoke("fit", "--resume", "run", "--steps", "400")
    assert outcome.code == 2
    assert 'Did you mean "gamma"' in outcome.stderr
    assert load_preset("cartpole").agent.gamma > 0
