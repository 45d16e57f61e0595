"""Runs many commands in one process, some of which get a signal at an env step of their own.

`python interrupting.py JOBS.json OUTCOMES.json`; a job may name `signal_at`, an env step.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from commands import run_here

from kerasrl_runner.runs.run import Run

on_step = Run.on_step
signal_at = 0


def with_signal(run, event):
    if event.env_steps == signal_at:
        os.kill(os.getpid(), signal.SIGINT)
    on_step(run, event)


if __name__ == "__main__":
    Run.on_step = with_signal
    jobs_file, outcomes_file = map(Path, sys.argv[1:])
    outcomes = []
    for job in json.loads(jobs_file.read_text()):
        signal_at = job.get("signal_at", 0)
        os.chdir(job["folder"])
        outcomes.append(asdict(run_here(job["arguments"])))
    outcomes_file.write_text(json.dumps(outcomes))
