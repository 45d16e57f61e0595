"""`kerasrl-run runs`: which runs there are, and what became of them."""

from __future__ import annotations

from records import write_record


def test_runs_are_listed_newest_first_with_their_status(tmp_path, invoke):
    best = {"mean_return": 487.25, "env_steps": 3000}
    runs = tmp_path / "runs"
    write_record(runs / "old", started="1", env_steps=5000, best=best)
    write_record(runs / "new", started="2", env_steps=12, status="failed")
    said = invoke("runs")
    assert said.code == 0, said.stderr
    assert said.stdout.splitlines() == [
        "run  status    preset    engine    seed  env steps  best",
        "new  failed    cartpole  compiled  3     12         -",
        "old  finished  cartpole  compiled  3     5000       487.2",
    ]


def test_a_run_whose_process_is_gone_is_interrupted(tmp_path, invoke):
    write_record(tmp_path / "runs" / "gone", status="running")
    said = invoke("runs", "--json")
    assert said.json["runs"][0]["status"] == "interrupted"
    assert said.json["runs"][0]["run"] == "gone"


def test_without_runs_it_says_how_to_begin_one(invoke):
    said = invoke("runs")
    assert said.code == 0
    assert "kerasrl-run fit" in said.stdout


def test_what_is_no_run_is_left_out(tmp_path, invoke):
    (tmp_path / "runs" / "notes").mkdir(parents=True)
    (tmp_path / "runs" / "broken").mkdir()
    (tmp_path / "runs" / "broken" / "run.json").write_text("{")
    assert invoke("runs", "--json").json["runs"] == []
