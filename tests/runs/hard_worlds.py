"""Environments that are slow, stubborn or broken, such as "hard_worlds:Broken-v0".

Those that go wrong once do so unless the file `once` names exists, and make it.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces


class Walk(gymnasium.Env):
    """Steps to the left and right; every tenth ends the episode."""

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"]}
    observation_space: spaces.Space = spaces.Box(-10, 10, (2,), np.float32)
    action_space: spaces.Space = spaces.Discrete(2)

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode
        self.steps = self.length = self.place = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.length, self.place = 0, int(self.np_random.integers(-3, 4))
        return self.observe(), {}

    def step(self, action: int) -> Any:
        self.steps += 1
        self.length += 1
        self.place += 1 if action else -1
        return self.observe(), float(self.place > 0), self.length == 10, False, {}

    def observe(self) -> Any:
        return np.array([self.place, self.length], np.float32)

    def render(self) -> Any:
        return np.zeros((16, 16, 3), np.uint8)


class Endless(Walk):
    """No episode ever ends."""

    def step(self, action: int) -> Any:
        observation, reward, _, _, info = super().step(action)
        self.place = 0
        return observation, reward, False, False, info


class Broken(Walk):
    """Something is wrong at env step `at`, or at reset or close."""

    def __init__(
        self, fault: str, at: int = 150, once: str = "", render_mode: str | None = None
    ) -> None:
        super().__init__(render_mode)
        self.fault, self.at, self.once = fault, at, once

    def _now(self, where: str) -> bool:
        if self.fault.split()[0] != where or self.steps < self.at:
            return False
        if self.once and Path(self.once).exists():
            return False
        if self.once:
            Path(self.once).touch()
        return True

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        if self._now("reset"):
            raise ConnectionError("the simulator hung up")
        return super().reset(seed=seed)

    def close(self) -> None:
        if self._now("close") or self.fault == "step close":
            raise OSError("the port is stuck")

    def render(self) -> Any:
        if self._now("render"):
            raise RuntimeError("no display")
        return super().render()

    def step(self, action: int) -> Any:
        values = super().step(action)
        if not self._now("step"):
            return values
        name = self.fault.removeprefix("step ")
        if name == "exit":
            sys.exit(0)
        if name == "interrupt":
            raise KeyboardInterrupt
        if name == "signal":  # as of a simulator that Ctrl-C reached as well
            os.kill(os.getpid(), signal.SIGINT)
            raise BrokenPipeError("the simulator is gone")
        raise ZeroDivisionError("the simulator broke")


class Slow(Walk):
    """A step takes minutes from the `at`th on, in the manner of `fault`; `close` may as well."""

    def __init__(self, fault: str, at: int = 60, render_mode: str | None = None) -> None:
        super().__init__(render_mode)
        self.fault, self.at = fault, at

    def step(self, action: int) -> Any:
        if self.steps >= self.at:
            Path("slow").touch()
            if self.fault == "sleeps":
                time.sleep(300)
            elif self.fault == "computes in C":
                hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)
            elif self.fault == "catches everything":
                _sleep_whatever_comes()
            elif self.fault == "takes a little":
                time.sleep(0.05)
        return super().step(action)

    def close(self) -> None:
        if self.fault == "close sleeps":
            Path("closing").touch()
            time.sleep(300)


def _sleep_whatever_comes() -> None:
    while True:
        try:
            time.sleep(300)
        except BaseException:
            continue


class Worker(Walk):
    """Has a forked process of its own, which `close` ends; `orphan` outlives everything."""

    def __init__(self, orphan: bool = False, render_mode: str | None = None) -> None:
        super().__init__(render_mode)
        self.orphan = orphan
        self.worker: Any = None

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        if self.worker is None:
            context = multiprocessing.get_context("fork")
            self.worker = context.Process(target=time.sleep, args=(300,), daemon=not self.orphan)
            self.worker.start()
            Path("worker").write_text(str(self.worker.pid), encoding="ascii")
        return super().reset(seed=seed)

    def step(self, action: int) -> Any:
        time.sleep(0.002)
        return super().step(action)

    def close(self) -> None:
        if self.worker is not None:
            self.worker.terminate()
            self.worker.join()


class Wanders(Walk):
    """Changes the working folder."""

    def step(self, action: int) -> Any:
        if self.steps == 50:
            os.makedirs("elsewhere/elsewhere", exist_ok=True)  # the evaluation's wanders on
            os.chdir("elsewhere")
        return super().step(action)


class Lottery(Walk):
    """What an episode pays depends on its seed alone, whatever is done in it."""

    def step(self, action: int) -> Any:
        observation, _, terminated, truncated, info = super().step(action)
        return observation, self.prize, terminated, truncated, info

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        result = super().reset(seed=seed)
        self.prize = float(self.np_random.integers(100))
        return result


class Forks(Walk):
    """Forks at step 150; the child ends by sys.exit, in the midst of the training."""

    def step(self, action: int) -> Any:
        if self.steps == 150:
            child = os.fork()
            if child == 0:
                sys.exit(7)
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            Path("code").write_text(str(code), encoding="ascii")
        return super().step(action)


class Deletes(Walk):
    """Deletes its own run's folder at step 150."""

    def __init__(self, folder: str, render_mode: str | None = None) -> None:
        super().__init__(render_mode)
        self.folder = folder

    def step(self, action: int) -> Any:
        if self.steps == 150:
            shutil.rmtree(self.folder, ignore_errors=True)
        return super().step(action)


class Calls(Walk):
    """Calls `Calls.function` of a test at step 150."""

    function: ClassVar[Any] = staticmethod(lambda: None)

    def step(self, action: int) -> Any:
        if self.steps == 150:
            type(self).function()
        return super().step(action)


for world in (Walk, Lottery, Forks, Deletes, Calls, Endless, Broken, Slow, Worker, Wanders):
    gymnasium.register(f"{world.__name__}-v0", world, disable_env_checker=True)
