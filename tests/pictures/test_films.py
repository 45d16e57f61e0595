"""Videos from frames: whole or not at all, of the size that was drawn."""

from __future__ import annotations

import imageio
import numpy as np
import pytest
from disks import fill_disk

from kerasrl_runner.errors import RunError, UsageError
from kerasrl_runner.pictures.video import check_video_path, video


def film(path, frames=5, height=40, width=60, torn=False, noise=False):
    random = np.random.default_rng(0)
    with video(path, frames_per_second=10) as add:
        for number in range(frames):
            frame = np.full((height, width, 3), 40 * number % 255, np.uint8)
            add(random.integers(0, 256, (100, 100, 3), np.uint8) if noise else frame)
            if torn:
                raise IndexError("no more frames")


def read(path):
    return np.stack(list(imageio.get_reader(path).iter_data()))  # [T, height, width, 3]


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_every_frame_is_in_the_video_in_its_order(tmp_path, suffix):
    film(tmp_path / f"film{suffix}")
    frames = read(tmp_path / f"film{suffix}").astype(int)
    assert frames.shape == (5, 40, 60, 3)
    np.testing.assert_allclose(frames.mean(axis=(1, 2, 3)), [0, 40, 80, 120, 160], atol=4)
    assert [path.name for path in tmp_path.iterdir()] == [f"film{suffix}"]


def test_odd_sizes_grow_by_one(tmp_path):
    film(tmp_path / "film.mp4", height=33, width=51)
    assert read(tmp_path / "film.mp4").shape[1:] == (34, 52, 3)


@pytest.mark.parametrize("name", ["film.avi", "film", "film.MP4.txt"])
def test_another_suffix_is_refused(tmp_path, name):
    with pytest.raises(UsageError, match=r"\.mp4 or \.gif"):
        check_video_path(tmp_path / name)


def test_a_film_that_breaks_off_leaves_the_old_one(tmp_path):
    film(tmp_path / "film.mp4")
    old = (tmp_path / "film.mp4").read_bytes()
    with pytest.raises(IndexError):
        film(tmp_path / "film.mp4", torn=True)
    assert (tmp_path / "film.mp4").read_bytes() == old
    assert [path.name for path in tmp_path.iterdir()] == ["film.mp4"]


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
@pytest.mark.parametrize("free", [0, 20])  # KiB
def test_a_full_disk_is_a_run_error_and_leaves_the_old_one(disk, suffix, free):
    path = disk / f"film{suffix}"
    film(path)
    old = path.read_bytes()
    fill_disk(disk, free)
    with pytest.raises(RunError, match=rf"cannot write .*film\{suffix}") as failed:
        film(path, frames=10, noise=True)
    assert len(str(failed.value).splitlines()) == 1
    assert path.read_bytes() == old
    assert sorted(entry.name for entry in disk.iterdir()) == ["filler", path.name]


def test_a_film_without_a_frame_is_a_run_error(tmp_path):
    with pytest.raises(RunError, match="drew no frame"):
        film(tmp_path / "film.mp4", frames=0)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_a_run_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunError, match=r"cannot write .*film\.mp4"):
        film(tmp_path / "file" / "film.mp4")
