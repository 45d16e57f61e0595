"""A table beside a network: what each scores, and what it takes.

    python benchmarks/tables.py [TASK ...] [--seeds 0 3] [--out FILE]

Each seed trains as `kerasrl-run fit --preset PRESET --seed SEED --engine ENGINE` does, one after
the other, in a process of one thread whose wall time and peak memory are taken; then its best
weights play 500 greedy episodes of the test stream. Prints a row a preset; `--out` adds one line of
JSON a seed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from zoo import choose_engine, load

import kerasrl_runner

TASKS = {
    "frozenlake": ("frozenlake-table", "frozenlake"),
    "cartpole": ("cartpole-table", "cartpole"),
    "blob": ("blob-table", "blob", "blob-image"),
}
THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "KERASRL_THREADS": "1"}


def measure(name: str, seed: int) -> dict[str, Any]:
    """Train one seed in a process of its own and score it."""
    engine = choose_engine(load(name))
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "kerasrl_runner", "fit", "--preset", name, "--json"]
        command += ["--seed", str(seed), "--engine", engine, "--run-dir", f"{folder}/run"]
        started = time.perf_counter()
        child = subprocess.Popen(
            command, env={**os.environ, **THREADS}, stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        said = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - started
        if status:
            sys.exit(f"{name}, seed {seed} failed")
        result = json.loads(said)
        weights = Path(folder) / "run" / "best.h5"
        test = kerasrl_runner.test(weights=weights, preset=load(name), episodes=500, seed=seed)
        return {
            "preset": name,
            "seed": seed,
            "engine": engine,
            "score": test.score.mean_return,
            "env_steps": result["env_steps"],
            "env_steps_of_best": result["best"]["env_steps"],
            "env_steps_per_second": round(result["env_steps_per_second"]),
            "seconds": round(seconds, 1),
            "peak_megabytes": round(usage.ru_maxrss / 1024),
            "file_kilobytes": round(weights.stat().st_size / 1024),
            "date": time.strftime("%Y-%m-%d"),
        }


def summarize(rows: list[dict[str, Any]]) -> str:
    """A row of the page."""
    scores = [row["score"] for row in rows]
    middle = {key: statistics.median(row[key] for row in rows) for key in rows[0] if "_" in key}
    seconds = statistics.median(row["seconds"] for row in rows)
    return (
        f"| `{rows[0]['preset']}` | {rows[0]['engine']} | {statistics.mean(scores):.2f} | "
        f"{min(scores):.2f} | {middle['env_steps']:,.0f} | {seconds:.0f} | "
        f"{middle['env_steps_per_second']:,.0f} | {middle['peak_megabytes']:.0f} | "
        f"{middle['file_kilobytes']:,.0f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tasks", nargs="*", metavar="TASK", default=list(TASKS))
    parser.add_argument("--seeds", nargs=2, type=int, default=[0, 3])
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    print(
        "| preset | engine | mean return | worst seed | env steps | seconds | env steps a second "
        "| peak MB | file, kB |\n" + "|---" * 9 + "|"
    )
    for name in [name for task in arguments.tasks for name in TASKS[task]]:
        rows = [measure(name, seed) for seed in range(*arguments.seeds)]
        print(summarize(rows), flush=True)
        if arguments.out:
            with arguments.out.open("a") as file:
                file.writelines(json.dumps(row) + "\n" for row in rows)


if __name__ == "__main__":
    main()
