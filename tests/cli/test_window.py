"""A window beside TensorFlow, on a screen that nobody sees: Xvfb, from Debian's package xvfb."""

from __future__ import annotations

import mmap
import os
import shutil
import subprocess
import threading
import time
import zlib

import pytest
from commands import run_many

PRESET = """\
[env]
id = "CartPole-v1"
max_episode_steps = 30

[model]
layers = [{ Dense = { units = 8 } }]

[evaluate]
every_steps = 0
"""

SCRIPT = """\
import gym
from keras.layers import Dense, Flatten
from keras.models import Sequential
from rl.agents import DQNAgent
from rl.memory import SequentialMemory

model = Sequential([Flatten(input_shape=(1, 4)), Dense(2)])
dqn = DQNAgent(model, nb_actions=2, memory=SequentialMemory(100, window_length=1))
dqn.compile('adam')
dqn.test(gym.make('CartPole-v0'), nb_episodes=2, visualize=True)
"""


class Screen:
    """What is on an Xvfb screen, read from the file that it keeps it in."""

    def __init__(self, folder):
        reader, writer = os.pipe()
        self.server = subprocess.Popen(
            ["Xvfb", "-displayfd", str(writer), "-screen", "0", "800x600x24", "-fbdir", folder],
            pass_fds=[writer],
            stderr=subprocess.DEVNULL,
        )
        os.close(writer)
        with os.fdopen(reader) as announced:
            self.display = f":{announced.readline().strip()}"
        with open(folder / "Xvfb_screen0", "rb") as file:
            self._content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def watch(self, over: threading.Event, windows: list[set[int]]) -> None:
        """Until `over`: for each window, one after the other, the different pictures of it."""
        empty = zlib.crc32(self._content)
        before = empty
        while not over.is_set():
            now = zlib.crc32(self._content)
            if now != empty:
                if before == empty:
                    windows.append(set())
                windows[-1].add(now)
            before = now
            time.sleep(0.01)


@pytest.fixture(scope="module")
def screen(tmp_path_factory):
    if shutil.which("Xvfb") is None:
        pytest.skip("there is no Xvfb to open a window on; it is Debian's package xvfb")
    screen = Screen(tmp_path_factory.mktemp("screen"))
    yield screen
    screen.server.terminate()
    screen.server.wait()


def test_fit_test_and_an_old_script_open_a_window_in_which_something_moves(screen, tmp_path):
    (tmp_path / "mine.toml").write_text(PRESET)
    (tmp_path / "old.py").write_text(SCRIPT)
    jobs = [
        "fit --preset mine.toml --engine compiled --steps 40 --run-dir run --visualize",
        "test --run run --episodes 2 --visualize --json",
        "script old.py",  # the last: old names stay for the process
    ]
    over, windows = threading.Event(), []
    watcher = threading.Thread(target=screen.watch, args=(over, windows))
    watcher.start()
    try:
        fit, test, script = run_many(
            [{"arguments": job.split()} for job in jobs],
            tmp_path,
            timeout=120,
            DISPLAY=screen.display,
        )
    finally:
        over.set()
        watcher.join()
    codes = (fit.code, test.code, script.code)
    assert codes == (0, 0, 0), fit.stderr + test.stderr + script.stderr
    assert test.json["video"] is None
    assert len(windows) == 3
    for pictures in windows:
        assert len(pictures) > 10
