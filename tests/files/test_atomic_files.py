"""A file is the old one or the new one, whatever happens while it is written."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from kerasrl_runner.errors import RunError
from kerasrl_runner.files.atomic import replacing, write_text


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def broken(*_args, **_kwargs):
    raise OSError(28, "No space left on device")


def test_text_replaces_the_old_file_and_leaves_nothing_beside_it(tmp_path):
    path = tmp_path / "made" / "notes.txt"
    write_text(path, "old")
    write_text(path, "new ±")
    assert path.read_bytes() == "new ±".encode()
    assert files(path.parent) == ["notes.txt"]


@pytest.mark.parametrize(
    ("owner", "call"), [(os, "fsync"), (os, "replace"), (Path, "write_text")], ids=str
)
def test_a_failing_write_keeps_the_old_file(tmp_path, monkeypatch, owner, call):
    path = tmp_path / "notes.txt"
    path.write_text("old")
    monkeypatch.setattr(owner, call, broken)
    with pytest.raises(RunError, match=r"cannot write .*notes\.txt: No space left on device"):
        write_text(path, "new")
    monkeypatch.undo()
    assert path.read_text() == "old"
    assert files(tmp_path) == ["notes.txt"]


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_a_writer_that_breaks_off_keeps_the_old_file(tmp_path, failure):
    path = tmp_path / "notes.txt"
    path.write_text("old")

    def write_half() -> None:
        with replacing(path) as temporary:
            temporary.write_text("ne")
            raise failure

    with pytest.raises(failure):
        write_half()
    assert path.read_text() == "old"
    assert files(tmp_path) == ["notes.txt"]


def test_nothing_is_in_the_place_before_all_is_written(tmp_path):
    path = tmp_path / "video.mp4"
    with replacing(path) as temporary:
        temporary.write_bytes(b"frames")
        assert not path.exists()
        assert temporary.parent == path.parent
        assert temporary.suffix == ".mp4"
    assert path.read_bytes() == b"frames"


def test_what_was_written_is_flushed_before_it_is_renamed_and_the_rename_after(
    tmp_path, monkeypatch
):
    calls = []
    fsync, replace = os.fsync, os.replace

    def flushed(number):
        calls.append("folder" if stat.S_ISDIR(os.fstat(number).st_mode) else "file")
        fsync(number)

    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(os, "replace", lambda *paths: (calls.append("rename"), replace(*paths)))
    write_text(tmp_path / "notes.txt", "new")
    assert calls == ["file", "rename", "folder"]


def test_a_folder_that_cannot_be_made_is_a_run_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunError, match="or choose another folder"):
        write_text(tmp_path / "file" / "notes.txt", "new")
    assert files(tmp_path) == ["file"]
