"""`kerasrl-run runs`: which runs there are, and what became of them."""

from __future__ import annotations

import json

from commands import run


def write(folder, name, **record):
    path = folder / "runs" / name
    path.mkdir(parents=True)
    (path / "run.json").write_text(json.dumps(record))


def test_runs_are_listed_newest_first_with_their_status(tmp_path):
    best = {"weights": "best.h5", "mean_return": 487.25, "env_steps": 3000}
    common = {"preset": "cartpole", "engine": "compiled", "seed": 3}
    write(tmp_path, "old", status="finished", started="1", env_steps=5000, best=best, **common)
    write(tmp_path, "new", status="failed", started="2", env_steps=12, best=None, **common)
    said = run("runs", folder=tmp_path)
    assert said.code == 0, said.stderr
    assert said.stdout.splitlines() == [
        "run  status    preset    engine    seed  env steps  best",
        "new  failed    cartpole  compiled  3     12         -",
        "old  finished  cartpole  compiled  3     5000       487.2",
    ]


def test_a_run_whose_process_is_gone_is_interrupted(tmp_path):
    write(tmp_path, "gone", status="running", started="1", process=1)
    said = run("runs", "--json", folder=tmp_path)
    assert said.json["runs"][0]["status"] == "interrupted"
    assert said.json["runs"][0]["run"] == "gone"


def test_without_runs_it_says_how_to_begin_one(tmp_path):
    said = run("runs", folder=tmp_path)
    assert said.code == 0
    assert "kerasrl-run fit" in said.stdout


def test_what_is_no_run_is_left_out(tmp_path):
    (tmp_path / "runs" / "notes").mkdir(parents=True)
    (tmp_path / "runs" / "broken").mkdir()
    (tmp_path / "runs" / "broken" / "run.json").write_text("{")
    assert run("runs", "--json", folder=tmp_path).json["runs"] == []
