"""`test`: which weights, what it says, and a video where no window can be seen."""

from __future__ import annotations

import imageio
import numpy as np
import pytest
from commands import run_many

FIT = "fit --preset cartpole --steps 60 --set evaluate.every_steps=0 --run-dir runs/mine"
WEIGHTS = "runs/mine/weights.h5"
JOBS = {
    "fit": FIT.split(),
    "newest": ["test"],
    "json": "test --episodes 3 --seed 7 --json".split(),
    "again": "test --episodes 3 --seed 7 --json".split(),
    "other seed": "test --episodes 3 --seed 8 --json".split(),
    "weights": f"test --weights {WEIGHTS} --episodes 1".split(),
    "gif": "test --episodes 1 --video films/play.gif --json".split(),
    "visualize": "test --episodes 2 --visualize".split(),
    "visualize weights": f"test --weights {WEIGHTS} --episodes 1 --visualize --json".split(),
    "fit visualize": f"{FIT}-seen --visualize --json".split(),
}
SHIPPED = "test --episodes 5".split()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("test")


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    return tmp_path_factory.mktemp("empty")


@pytest.fixture(scope="module")
def outcomes(folder, empty):
    jobs = [{"folder": str(folder), "arguments": arguments} for arguments in JOBS.values()]
    jobs.append({"folder": str(empty), "arguments": SHIPPED})
    done = dict(zip([*JOBS, "shipped"], run_many(jobs, folder, timeout=150), strict=True))
    for name, outcome in done.items():
        assert outcome.code == 0, (name, outcome.stderr)
    return done


def frames_of(path):
    return np.stack(list(imageio.get_reader(path).iter_data()))  # [T, height, width, 3]


def test_fit_ends_with_where_the_weights_are_and_test_begins_with_it(outcomes):
    first, last = outcomes["fit"].stdout.splitlines()
    assert first.startswith("Finished: 60 env steps, ")
    assert last == "Last:    runs/mine/weights.h5"
    assert outcomes["newest"].stdout.startswith("Testing the last weights of run runs/mine\n")
    assert outcomes["weights"].stdout.startswith("Testing the weights runs/mine/weights.h5\n")


def test_a_person_gets_a_table_a_mean_and_the_way_to_reuse_the_weights(outcomes):
    lines = outcomes["newest"].stdout.splitlines()
    assert lines[1].split() == ["episode", "return", "length", "seed"]
    table = [line.split() for line in lines[2:7]]
    assert [row[0] for row in table] == ["0", "1", "2", "3", "4"]
    returns = [float(row[1]) for row in table]
    assert lines[7] == (
        f"Mean return {np.mean(returns):.1f} ± {np.std(returns):.1f} over 5 episodes"
    )
    assert "Weights: runs/mine/weights.h5" in lines
    assert "    model = keras.models.load_model('runs/mine/weights.h5', compile=False)" in lines


def test_json_is_one_object_of_these_keys(outcomes):
    result = outcomes["json"].json
    assert set(result) == {
        "preset", "weights", "engine", "episodes", "mean_return", "std_return", "video",
    }  # fmt: skip
    assert (result["preset"], result["engine"], result["video"]) == ("cartpole", "compiled", None)
    assert [set(episode) for episode in result["episodes"]] == [{"return", "length", "seed"}] * 3
    returns = [episode["return"] for episode in result["episodes"]]
    assert result["mean_return"] == pytest.approx(np.mean(returns))
    assert result["std_return"] == pytest.approx(np.std(returns))
    assert outcomes["json"].stderr == "Testing the last weights of run runs/mine\n"


def test_the_seed_decides_the_episodes(outcomes):
    first, again, other = (outcomes[name].json for name in ("json", "again", "other seed"))
    assert first == again
    seeds = {episode["seed"] for result in (first, other) for episode in result["episodes"]}
    assert len(seeds) == 6


def test_without_a_display_visualize_writes_a_video_and_says_so(outcomes, folder):
    stdout = outcomes["visualize"].stdout
    assert (
        "There is no display to open a window on; the video goes to runs/mine/cartpole.mp4"
        in stdout.splitlines()
    )
    assert "Video: runs/mine/cartpole.mp4" in stdout.splitlines()
    frames = frames_of(folder / "runs" / "mine" / "cartpole.mp4")
    lengths = [int(line.split()[2]) for line in stdout.splitlines()[3:5]]
    assert len(frames) == sum(lengths) + 2  # one before each step, and each episode's last
    assert frames.shape[1:] == (400, 600, 3)
    assert len(np.unique(frames)) > 1


def test_a_video_goes_where_it_was_asked_for_or_else_to_the_run_or_here(outcomes, folder):
    assert outcomes["gif"].json["video"] == "films/play.gif"
    assert outcomes["visualize weights"].json["video"] == "cartpole.mp4"
    assert "Video: runs/mine-seen/cartpole.mp4" in outcomes["fit visualize"].stderr
    for name in ("films/play.gif", "cartpole.mp4", "runs/mine-seen/cartpole.mp4"):
        assert len(frames_of(folder / name)) > 1


def test_without_any_run_the_shipped_cartpole_is_tested(outcomes, empty):
    outcome = outcomes["shipped"]
    assert (outcome.code, outcome.stderr) == (0, "")
    assert outcome.stdout.startswith("Testing the shipped weights of cartpole\n")
    (line,) = (line for line in outcome.stdout.splitlines() if line.startswith("Mean return"))
    assert float(line.split()[2]) >= 475
    assert list(empty.iterdir()) == []
