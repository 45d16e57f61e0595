"""Runs the real command in a child process, from a folder of its own and under a time limit.

As a program it is that child for many command lines in a row, which load TensorFlow only once:
`python commands.py JOBS.json OUTCOMES.json`.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
COMMAND = [sys.executable, "-m", "kerasrl_runner"]


@dataclass(frozen=True)
class Outcome:
    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> dict[str, Any]:
        """The one line of stdout."""
        (line,) = self.stdout.splitlines()
        return dict(json.loads(line))


def child_environment(**changes: str) -> dict[str, str]:
    """This process's, without a display and without what loading TensorFlow set in it."""
    unwanted = ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER", "KERASRL_RUNS")
    kept = {
        key: value
        for key, value in os.environ.items()
        if key not in unwanted and not key.startswith("TF_")
    }
    path = os.pathsep.join(filter(None, [str(REPOSITORY), kept.get("PYTHONPATH")]))
    return {**kept, "PYTHONPATH": path, **changes}


def start(*arguments: object, folder: Path, **environment: str) -> subprocess.Popen[str]:
    """The command, just started, with stdin closed: a prompt would fail."""
    return subprocess.Popen(
        ["sh", "-c", 'exec "$@" <&-', "sh", *COMMAND, *map(str, arguments)],
        cwd=folder,
        env=child_environment(**environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(child: subprocess.Popen[str], timeout: float = 120) -> Outcome:
    """Wait for its end; a child that outlives the time limit is killed and fails the test."""
    try:
        stdout, stderr = child.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        child.kill()
        raise
    return Outcome(child.returncode, stdout, stderr)


def run(*arguments: object, folder: Path, timeout: float = 120, **environment: str) -> Outcome:
    """The command from start to end."""
    return finish(start(*arguments, folder=folder, **environment), timeout)


def python(code: str, folder: Path, timeout: float = 120, **environment: str) -> str:
    """The stdout of `python -c code`, which must end well."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=child_environment(**environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def run_many(
    jobs: Sequence[Mapping[str, Any]],
    folder: Path,
    timeout: float,
    program: Path | None = None,
    **environment: str,
) -> list[Outcome]:
    """Each job's `arguments` in its `folder` (or in `folder`) and `environment`, in one child."""
    jobs_file, outcomes_file = folder / "jobs.json", folder / "outcomes.json"
    described = [{"folder": str(folder), **job} for job in jobs]
    jobs_file.write_text(json.dumps(described), encoding="utf-8")
    subprocess.run(
        [sys.executable, program or __file__, jobs_file, outcomes_file],
        cwd=folder,
        env=child_environment(**environment),
        stdin=subprocess.DEVNULL,
        timeout=timeout,
        check=True,
    )
    return [Outcome(**entry) for entry in json.loads(outcomes_file.read_text(encoding="utf-8"))]


def run_here(arguments: list[str]) -> Outcome:
    from kerasrl_runner.cli import main

    code: Any = 0
    sys.argv = ["kerasrl-run", *arguments]
    stdout, stderr = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        try:
            main(arguments)
        except SystemExit as ended:
            code = ended.code or 0
        except BaseException:  # what the interpreter would do
            traceback.print_exc()
            code = 1
    return Outcome(code, stdout.getvalue(), stderr.getvalue())


def _serve(jobs_file: str, outcomes_file: str) -> None:
    outcomes = []
    before = dict(os.environ)
    for job in json.loads(Path(jobs_file).read_text(encoding="utf-8")):
        os.chdir(job["folder"])
        os.environ.update(job.get("environment", {}))
        outcomes.append(asdict(run_here(job["arguments"])))
        for name in job.get("environment", {}):
            os.environ.pop(name)
            os.environ.update({name: before[name]} if name in before else {})
    Path(outcomes_file).write_text(json.dumps(outcomes), encoding="utf-8")


if __name__ == "__main__":
    _serve(*sys.argv[1:])
