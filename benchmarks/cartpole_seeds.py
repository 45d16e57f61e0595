"""The shipped cartpole preset over seeds, by the real commands: wall time, stop, score.

    python benchmarks/cartpole_seeds.py --out results.jsonl [--seeds 100 120] [--engine compiled]

Each seed: `kerasrl-run fit --preset cartpole --seed S`, timed from the shell, then `test
--episodes 100` of its best weights on the test stream. Seeds that the file already holds are
left out, so an interrupted study goes on.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUN = [sys.executable, "-m", "kerasrl_runner"]


def command(folder: str, *arguments: str) -> dict:
    done = subprocess.run(
        [*RUN, *arguments, "--json"], cwd=folder, check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout)


def measured(seed: int, engine: str) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        fit = command(folder, "fit", "--preset", "cartpole", "--seed", str(seed),
                      "--engine", engine)  # fmt: skip
        seconds = time.perf_counter() - started
        test = command(folder, "test", "--weights", fit["best"]["weights"], "--episodes", "100",
                       "--seed", str(seed))  # fmt: skip
    return {
        "seed": seed,
        "engine": engine,
        "shell_seconds": seconds,
        "env_steps": fit["env_steps"],
        "env_steps_per_second": fit["env_steps_per_second"],
        "mean_return": test["mean_return"],
        "min_return": min(episode["return"] for episode in test["episodes"]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", nargs=2, type=int, default=[100, 120])
    parser.add_argument("--engine", default="compiled")
    arguments = parser.parse_args()
    rows = []
    if arguments.out.exists():
        rows = [json.loads(line) for line in arguments.out.read_text().splitlines()]
    done = {(row["seed"], row["engine"]) for row in rows}
    for seed in range(*arguments.seeds):
        if (seed, arguments.engine) not in done:
            rows.append(measured(seed, arguments.engine))
            with arguments.out.open("a") as file:
                file.write(json.dumps(rows[-1]) + "\n")
    print("| seed | engine | seconds from the shell | env steps | mean return | worst |")
    print("|---|---|---|---|---|---|")
    for row in rows:
        cells = [row["seed"], row["engine"], f"{row['shell_seconds']:.1f}", row["env_steps"],
                 f"{row['mean_return']:.1f}", f"{row['min_return']:.0f}"]  # fmt: skip
        print(f"| {' | '.join(map(str, cells))} |")
    seconds = [row["shell_seconds"] for row in rows]
    print(f"\nmedian {statistics.median(seconds):.1f} s, at most {max(seconds):.1f} s; "
          f"{sum(value <= 12 for value in seconds)} of {len(rows)} within 12 s; "
          f"{sum(row['mean_return'] >= 475 for row in rows)} of {len(rows)} solved")  # fmt: skip


if __name__ == "__main__":
    main()
