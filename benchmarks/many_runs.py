"""Many runs one after another in one process: seconds a run, resident memory, open files.

    python benchmarks/many_runs.py [--engine compiled] [--runs 200] [--steps 400] [--json FILE]

Each run is a `kerasrl_runner.fit` with a seed of its own, evaluation and checkpoints included.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

from soak import resident_mb


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engine", default="compiled")
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    import kerasrl_runner

    rows: list[tuple[float, float, int]] = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(arguments.runs):
            started = time.perf_counter()
            kerasrl_runner.fit(
                "cartpole",
                engine=arguments.engine,
                seed=number,
                steps=arguments.steps,
                run_dir=f"{folder}/{number}",
                agent={"nb_steps_warmup": 100},
                evaluate={"every_steps": arguments.steps // 2, "episodes": 2},
            )
            seconds = time.perf_counter() - started
            files = len(os.listdir("/proc/self/fd"))
            rows.append((seconds, resident_mb(os.getpid()), files))
            if arguments.json:
                arguments.json.write_text(json.dumps(rows) + "\n")
    print("| runs | median seconds a run | resident MB after the last | open files |")
    print("|---|---|---|---|")
    step = max(1, len(rows) // 10)
    for first in range(0, len(rows), step):
        part = rows[first : first + step]
        seconds = statistics.median(row[0] for row in part)
        end = first + len(part)
        print(f"| {first + 1} to {end} | {seconds:.3f} | {part[-1][1]:.0f} | {part[-1][2]} |")
    print(f"\nFrom the first run's end to the last's: {rows[-1][1] - rows[0][1]:+.0f} MB")


if __name__ == "__main__":
    main()
