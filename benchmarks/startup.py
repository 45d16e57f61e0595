"""Seconds until something useful happens, whole processes.

    python benchmarks/startup.py [--rounds 5] [--json FILE]

`help`: the command's --help. `test`: 5 episodes of the shipped CartPole weights. `first update`:
a fit that ends with its first gradient update. `import tensorflow` stands beside them.
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
COMMANDS = {
    "help": [*RUN, "--help"],
    "import tensorflow": [sys.executable, "-c", "import tensorflow"],
    "test": [*RUN, "test", "--preset", "cartpole", "--episodes", "5"],
    "first update": [*RUN, "fit", "--preset", "cartpole-kerasrl", "--steps", "34", "--quiet"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(arguments.rounds):
        for name, command in COMMANDS.items():
            with tempfile.TemporaryDirectory() as folder:
                started = time.perf_counter()
                subprocess.run(command, cwd=folder, check=True, capture_output=True)
                times[name].append(time.perf_counter() - started)
    print("| command | seconds (median) | fastest |")
    print("|---|---|---|")
    for name, values in times.items():
        print(f"| {name} | {statistics.median(values):.2f} | {min(values):.2f} |")
    if arguments.json:
        arguments.json.write_text(json.dumps(times, indent=2) + "\n")


if __name__ == "__main__":
    main()
