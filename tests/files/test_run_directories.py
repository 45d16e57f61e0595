"""Run directories: made, found, and never mixed up."""

from __future__ import annotations

import json
import os

import pytest
from records import RECORD, write_record

from kerasrl_runner.errors import RunError
from kerasrl_runner.files.run_directory import (
    all_runs,
    find_run,
    new_run,
    newest_finished,
    runs_folder,
)


@pytest.fixture
def record_run():
    """Write a run of a name, minute and status into the runs folder."""

    def record(name, minute=0, **changes):
        started = f"2026-01-01T10:{minute:02}:00.000000+00:00"
        return write_record(runs_folder() / name, started=started, **changes)

    return record


def create_run(name, text, path):
    """A new run whose process has ended."""
    with new_run(name, text, path) as directory:
        return directory


def test_runs_lie_under_runs_of_the_working_folder(monkeypatch):
    monkeypatch.delenv("KERASRL_RUNS")
    assert str(runs_folder()) == "runs"


def test_a_run_gets_a_folder_named_after_its_preset_with_the_preset_in_it(tmp_path):
    directory = create_run("cartpole", "text", None)
    assert directory.path.parent == tmp_path / "runs"
    assert directory.path.name.startswith("cartpole-20")
    assert directory.preset_file.read_text() == "text"


def test_two_runs_of_the_same_second_get_two_folders():
    paths = {create_run("cartpole", "", None).path for _ in range(5)}
    assert len(paths) == 5


def test_a_named_folder_is_taken_if_it_is_new_or_empty(tmp_path):
    assert create_run("x", "", tmp_path / "a" / "new").path == tmp_path / "a" / "new"
    (tmp_path / "empty").mkdir()
    assert create_run("x", "", tmp_path / "empty").path == tmp_path / "empty"


def test_a_folder_that_is_not_empty_is_refused_and_left_alone(tmp_path):
    (tmp_path / "kept.txt").write_text("mine")
    with pytest.raises(RunError, match="is not empty; expected a new or empty one"):
        create_run("x", "", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["kept.txt"]


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_folder_that_cannot_be_made_is_refused_with_the_way_out(tmp_path, place):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunError, match=r"cannot make the run directory .*--run-dir or KERASRL"):
        create_run("x", "", tmp_path / place)


@pytest.mark.parametrize("leads_nowhere", [False, True])
def test_a_runs_folder_that_is_none_is_refused(tmp_path, monkeypatch, leads_nowhere):
    if leads_nowhere:
        (tmp_path / "link").symlink_to(tmp_path / "unmounted")
    else:
        (tmp_path / "link").write_text("in the way")
    monkeypatch.setenv("KERASRL_RUNS", str(tmp_path / "link"))
    with pytest.raises(RunError, match="cannot make the run directory"):
        create_run("x", "", None)


def test_runs_are_listed_newest_first(record_run, tmp_path):
    for name, minute in [("a", 1), ("b", 3), ("c", 2)]:
        record_run(name, minute)
    (tmp_path / "runs" / "no-run").mkdir()
    (tmp_path / "runs" / "broken").mkdir()
    (tmp_path / "runs" / "broken" / "run.json").write_text("{")
    assert [directory.path.name for directory, _ in all_runs()] == ["b", "c", "a"]


def test_no_runs_folder_means_no_runs():
    assert list(all_runs()) == []
    assert newest_finished() is None
    with pytest.raises(RunError, match=r"There are: none\."):
        find_run("latest")


def test_the_newest_finished_run_of_a_preset(record_run):
    record_run("taxi", 1, preset="taxi")
    record_run("pole", 2)
    record_run("failed", 3, status="failed")
    record_run("running", 4, status="running")
    assert newest_finished().path.name == "pole"
    assert newest_finished("taxi").path.name == "taxi"
    assert newest_finished("pong") is None


def test_a_run_is_found_by_directory_name_prefix_or_latest(record_run):
    old, new = record_run("cartpole-1", 1), record_run("taxi-1", 2, status="running")
    assert find_run(str(old.path)) == old
    assert find_run("cartpole-1") == old
    assert find_run("cart") == old
    assert find_run("latest") == new


def test_a_whole_name_wins_over_longer_ones(record_run):
    run = record_run("cartpole-1")
    record_run("cartpole-11")
    assert find_run("cartpole-1") == run


def test_an_ambiguous_prefix_names_the_candidates(record_run):
    record_run("cartpole-1", 1)
    record_run("cartpole-2", 2)
    record_run("taxi-1", 3)
    with pytest.raises(RunError) as error:
        find_run("cart")
    assert str(error.value).endswith("expected one. These match: cartpole-2, cartpole-1.")


@pytest.mark.parametrize("name", ["pong", "x" * 300])
def test_an_unknown_run_names_those_there_are(record_run, name):
    record_run("taxi-1")
    with pytest.raises(RunError, match=r"expected one\. There are: taxi-1\."):
        find_run(name)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "it has no run.json"),
        ("{", "Invalid JSON"),
        ("[]", "should be an object"),
        ("\udcff", "Invalid JSON"),
        ({"seed": "4"}, "seed: Input should be a valid integer"),
        ({"status": "asleep"}, "status"),
    ],
    ids=str,
)
def test_a_folder_without_a_readable_record_is_no_run(tmp_path, content, words):
    if isinstance(content, dict):
        content = json.dumps(RECORD | content)
    if content is not None:
        (tmp_path / "run.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(RunError, match=r"run\.json") as refused:
        find_run(str(tmp_path))
    assert words in str(refused.value)


def test_a_record_is_replaced_as_a_whole(record_run):
    directory = record_run("a")
    directory.write_record(directory.record().model_copy(update={"status": "failed"}))
    assert directory.record().status == "failed"
    assert [path.name for path in directory.path.iterdir()] == ["run.json"]


def test_a_run_that_ends_while_its_record_is_read_is_not_interrupted(record_run, monkeypatch):
    directory = record_run("a", status="running")

    def has_just_ended(path):
        record_run("a", status="finished")
        return False

    monkeypatch.setattr("kerasrl_runner.files.run_directory.is_locked", has_just_ended)
    assert directory.record().status == "finished"


def test_a_directory_that_was_deleted_or_replaced_is_no_longer_held(tmp_path):
    run_dir = tmp_path / "run"
    with new_run("x", "", run_dir) as directory:
        directory.check_held()
        os.rename(run_dir, tmp_path / "moved")
        for make_another in (lambda: None, run_dir.mkdir, (run_dir / "run.lock").touch):
            make_another()
            with pytest.raises(RunError, match="was deleted or moved while the run was going on"):
                directory.check_held()
