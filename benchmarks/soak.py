"""A long training by the real command: resident memory, speed and open files over env steps.

    python benchmarks/soak.py [--engine compiled] [--steps 1000000] [--every 50000] [--json FILE]

CartPole, memory 50,000, checkpoints as by default. The training is watched from outside, through
/proc and its log; rows are printed as they come.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PRESET = ["--preset", "cartpole-kerasrl", "--set", "env.max_episode_steps=500",
          "--set", "agent.nb_steps_warmup=1000"]  # fmt: skip


def resident_mb(process: int) -> float:
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def env_steps_of(log: Path) -> int:
    """Of the last whole row."""
    if not log.exists():
        return 0
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 400))
        rows = file.read().decode().split("\n")[:-1]
    return int(rows[-1].split(",")[1]) if rows and rows[-1][0].isdigit() else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engine", default="compiled")
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--every", type=int, default=50_000)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows: list[list[float]] = []
    print("| env steps | resident MB | env steps/s | open files |")
    print("|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        command = [sys.executable, "-m", "kerasrl_runner", "fit", *PRESET, "--quiet"]
        command += ["--engine", arguments.engine, "--steps", str(arguments.steps)]
        command += ["--run-dir", str(run)]
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        before, then = 0, time.perf_counter()
        while child.poll() is None:
            time.sleep(0.2)
            done, now = env_steps_of(run / "log.csv"), time.perf_counter()
            if done - before < arguments.every:
                continue
            files = len(os.listdir(f"/proc/{child.pid}/fd"))
            rows.append([done, resident_mb(child.pid), (done - before) / (now - then), files])
            print("| {:,} | {:.0f} | {:,.0f} | {} |".format(*rows[-1]), flush=True)
            before, then = done, now
            if arguments.json:
                arguments.json.write_text(json.dumps(rows) + "\n")
    sys.exit(child.returncode)


if __name__ == "__main__":
    main()
