"""Runs the real command in forks of one process that has TensorFlow loaded, and breaks it there.

A fork starts in a tenth of a second, where a process needs five for its imports. As a program this
is that process: it reads requests from stdin, a line of JSON each, and answers on stdout.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

from commands import Outcome, child_environment

HERE = Path(__file__).parent
# Calls that a fault can count: before, after, and in the midst of those that write.
WRITES = ("array", "text", "bytes", "row")
CALLS = ("fsync", "replace", "truncate", "unlink", *WRITES)
LIMIT = 120  # seconds
RESULTS = ("weights.h5", "best.h5", "log.csv", "evaluation.csv")


def results_of(run_dir: Path) -> dict[str, bytes]:
    """The files of a run that are equal, byte for byte, where nothing differs that matters."""
    return {name: (run_dir / name).read_bytes() for name in RESULTS}


@dataclass(frozen=True)
class Fault:
    """At the `number`th call of a kind, counted from 1, something happens.

    `moment`: before, middle (half is written) or after. `action`: signals' names, or ENOSPC, from
    which on the disk is full: every further write fails.
    """

    call: str
    number: int
    moment: str = "before"
    action: str = "SIGKILL"


@dataclass
class Child:
    """One command on its way."""

    pid: int
    folder: Path
    number: int

    def send(self, number: signal.Signals) -> float:
        """Send a signal; returns the time of that, for `seconds_since`."""
        os.kill(self.pid, number)
        return time.monotonic()

    def running(self) -> bool:
        """Whether it has not ended yet."""
        return bool(_server().ask({"ask": "running", "pid": self.pid}))

    def finish(self, limit: float = LIMIT) -> Outcome:
        """Wait for its end; a child that outlives the limit is killed and fails the test."""
        deadline = time.monotonic() + limit
        while self.running():
            if time.monotonic() > deadline:
                self.send(signal.SIGKILL)
                raise AssertionError(f"no end within {limit} s; stderr: {self.said('stderr')}")
            time.sleep(0.005)
        code = _server().ask({"ask": "code", "pid": self.pid})
        return Outcome(code, self.said("stdout"), self.said("stderr"))

    def said(self, stream: str) -> str:
        """What it has written to stdout or stderr so far."""
        return (self.folder / f"{stream}-{self.number}").read_text(encoding="utf-8")

    def wait_for(self, what: Callable[[], Any], limit: float = LIMIT) -> None:
        """Until `what` is true; fails where the child ends before."""
        deadline = time.monotonic() + limit
        while not what():
            assert self.running(), self.said("stderr")
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(0.002)


def start(*arguments: object, folder: Path, fault: Fault | None = None) -> Child:
    """The command, just started."""
    return _server().start([*map(str, arguments)], folder, fault)


def run(*arguments: object, folder: Path, fault: Fault | None = None) -> Outcome:
    """The command from start to end."""
    return start(*arguments, folder=folder, fault=fault).finish()


class _Server:
    def __init__(self) -> None:
        path = os.pathsep.join([child_environment()["PYTHONPATH"], str(HERE), str(HERE.parent)])
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            env=child_environment(PYTHONPATH=path),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._children = 0
        atexit.register(self._end)

    def start(self, arguments: list[str], folder: Path, fault: Fault | None) -> Child:
        self._children += 1
        job = {
            "ask": "start",
            "arguments": arguments,
            "folder": str(folder),
            "fault": asdict(fault) if fault else None,
            "number": self._children,
        }
        return Child(self.ask(job), folder, self._children)

    def ask(self, request: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def _end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)


@functools.cache
def _server() -> _Server:
    return _Server()


def _serve() -> None:
    import kerasrl_runner.cli.fit
    import kerasrl_runner.engines.keras_agents
    import kerasrl_runner.engines.reference
    import kerasrl_runner.runs.training  # noqa: F401

    codes: dict[int, int] = {}
    for line in sys.stdin:
        request = json.loads(line)
        answer: Any
        if request["ask"] == "start":
            answer = os.fork()
            if answer == 0:
                _be_child(request)
        elif request["ask"] == "running":
            pid = request["pid"]
            if pid not in codes and (ended := os.waitpid(pid, os.WNOHANG))[0]:
                codes[pid] = os.waitstatus_to_exitcode(ended[1])
            answer = pid not in codes
        else:
            answer = codes[request["pid"]]
        print(json.dumps(answer), flush=True)
    for pid in _children_left(codes):
        os.kill(pid, signal.SIGKILL)


def _children_left(ended: dict[int, int]) -> list[int]:
    listed = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii")
    return [pid for pid in map(int, listed.split()) if pid not in ended]


def _be_child(job: dict[str, Any]) -> NoReturn:
    """Become `python -m kerasrl_runner`, as far as that can be told from outside."""
    os.chdir(job["folder"])
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        file = os.open(f"{name}-{job['number']}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.argv = ["kerasrl-run", *job["arguments"]]
    counts = _count_calls(Fault(**job["fault"]) if job["fault"] else None)
    from kerasrl_runner.cli import main

    code: Any = 1
    try:
        main(job["arguments"])
        code = 0
    except SystemExit as ended:
        code = ended.code or 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    with open(f"{job['folder']}/calls-{job['number']}", "w", encoding="utf-8") as file:
        json.dump(counts, file)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _count_calls(fault: Fault | None) -> dict[str, int]:
    """Count the calls from here on, and let the fault happen at its call."""
    import numpy as np

    from kerasrl_runner.runs.callbacks import CsvFile

    counts = dict.fromkeys(CALLS, 0)
    folder = os.getcwd()
    full = False

    def act(log: Any) -> None:
        nonlocal full
        assert fault is not None
        if fault.action != "ENOSPC":
            for name in fault.action.split():
                os.kill(os.getpid(), signal.Signals[name])
            return
        full = True
        if log is None:
            raise OSError(28, "No space left on device")
        os.dup2(os.open("/dev/full", os.O_WRONLY), log._file.fileno())

    def watched(call: str, function: Any, half: Any = None) -> Any:
        def counted(*arguments: Any, **keywords: Any) -> Any:
            if call in ("replace", "truncate", "unlink"):
                path = os.path.join(folder, os.fspath(arguments[0]))
                if not path.startswith(folder):  # Python writes its own caches
                    return function(*arguments, **keywords)
            counts[call] += 1
            hit = fault is not None and (fault.call, fault.number) == (call, counts[call])
            moment = fault.moment if fault and hit else None
            log = arguments[0] if call == "row" else None
            if moment == "before" or (full and call in WRITES):
                act(log)
            if moment == "middle":
                half(*arguments)
                act(log)
            try:
                return function(*arguments, **keywords)
            finally:  # also after the unlinking of what is not there, which raises
                if moment == "after":
                    act(log)

        return counted

    def half_array(member: Any, array: Any) -> None:
        member.write(np.asarray(array).tobytes()[: array.nbytes // 2])
        member._fileobj.flush()

    def half_text(path: Path, text: str, **_: Any) -> None:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text[: len(text) // 2])

    def half_bytes(path: Path, content: bytes) -> None:
        with open(path, "wb") as file:
            file.write(content[: len(content) // 2])

    def half_row(log: Any, row: Any) -> None:
        log._file.write(",".join(map(str, row))[:5])
        log._file.flush()

    os.fsync = watched("fsync", os.fsync)
    os.replace = watched("replace", os.replace)
    os.truncate = watched("truncate", os.truncate)
    os.unlink = watched("unlink", os.unlink)
    np.lib.format.write_array = watched("array", np.lib.format.write_array, half_array)
    Path.write_text = watched("text", Path.write_text, half_text)  # type: ignore[method-assign]
    Path.write_bytes = watched("bytes", Path.write_bytes, half_bytes)  # type: ignore[method-assign]
    CsvFile.write = watched("row", CsvFile.write, half_row)  # type: ignore[method-assign]
    return counts


if __name__ == "__main__":
    _serve()
