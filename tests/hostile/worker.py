"""Hostile input is read in a child process under limits, which says what came of it.

In this process it is a `Worker`; as a program (`python worker.py`) it is the child: one line of
JSON in, one out. A read that hangs is killed by its alarm, one that crashes takes the child along,
and either is an outcome like the others.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parent.parent))  # the child starts here

from commands import REPOSITORY, child_environment

SECONDS = 5
BYTES = 1 << 30

# What a read never does, whoever wrote the input. "open" is looked at more closely.
FORBIDDEN = """
pickle.find_class os.system os.exec os.posix_spawn os.fork os.remove os.rename os.mkdir os.rmdir
os.link os.symlink os.truncate subprocess.Popen socket.connect urllib.Request
exec compile import marshal.loads ctypes.dlopen
""".split()


class Worker:
    """A child that reads one case after the other; it is started again where one has ended it."""

    def __init__(self) -> None:
        self.cases = 0
        self._folder = tempfile.TemporaryDirectory(prefix="hostile-")
        self.folder = Path(self._folder.name)
        self._child: subprocess.Popen[str] | None = None

    def read(self, reader: str, *arguments: Any) -> str:
        """'read' or 'refused: …', or what must never be, such as 'hung' or 'imports evil'."""
        self.cases += 1
        if self._child is None:
            self._child = subprocess.Popen(
                [sys.executable, __file__],
                cwd=self.folder,
                env=child_environment(PYTHONPATH=f"{REPOSITORY}{os.pathsep}{REPOSITORY / 'tests'}"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(json.dumps([reader, *arguments]) + "\n")
        self._child.stdin.flush()
        answer = self._child.stdout.readline()
        if answer:
            return str(json.loads(answer))
        code = self._child.wait()
        self._child = None
        return "hung" if code == -signal.SIGALRM else f"crashed: exit code {code}"

    def close(self) -> None:
        if self._child is not None:
            self._child.communicate()
        self._folder.cleanup()


def _serve(readers: dict[str, Callable[..., Any]], forbidden: list[str]) -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what is printed while reading is no answer
    seen: list[str] = []
    watching = False

    def watch(event: str, details: tuple[Any, ...]) -> None:
        if not watching:
            return
        writes = event == "open" and _writes(*details[1:])
        if writes or event in forbidden:
            seen.append(f"{event} {details[:1]!r:.100}")

    sys.addaudithook(watch)
    for line in sys.stdin:
        reader, *arguments = json.loads(line)
        seen.clear()
        before = _peak_bytes()
        signal.alarm(SECONDS)
        watching = True
        try:
            answer = _answer(readers[reader], arguments)
        finally:
            watching = False
            signal.alarm(0)
        if seen:
            answer = f"forbidden: {', '.join(seen[:5])}"
        elif _peak_bytes() - before > BYTES:
            answer = f"memory: {(_peak_bytes() - before) >> 20} MiB"
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _answer(read: Callable[..., Any], arguments: list[Any]) -> str:
    from kerasrl_runner.errors import RunnerError

    try:
        read(*arguments)
    except RunnerError as error:
        cause = error.__cause__
        if isinstance(cause, MemoryError) or "memory alloc" in str(cause):
            return f"memory: {cause}"
        if len(str(error)) > 10_000:
            return f"a message of {len(str(error))} characters"
        return f"refused: {error}"
    except BaseException as error:
        return f"raised {type(error).__name__}: {error!s:.300}"
    return "read"


def _writes(mode: Any, flags: int) -> bool:
    if isinstance(mode, str):
        return any(letter in mode for letter in "wax+")
    return bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC))


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def _main() -> None:
    for module in ("difflib", "encodings.unicode_escape", "pwd"):  # loaded when first needed
        importlib.import_module(module)
    from hostile.readers import LIGHT as readers

    status = Path("/proc/self/status").read_text()
    now = int(status.split("VmSize:")[1].split()[0]) << 10
    resource.setrlimit(resource.RLIMIT_AS, (now + BYTES, now + BYTES))
    _serve(readers, FORBIDDEN)


if __name__ == "__main__":
    _main()
