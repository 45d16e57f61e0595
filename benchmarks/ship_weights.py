"""Earn the weights that ship with a preset: train, score on fresh episodes, write, tabulate.

    python benchmarks/ship_weights.py cartpole [--seed 0] [--engine ENGINE] [--episodes 100]
    python benchmarks/ship_weights.py minatar-breakout --run RUN    # of a run that is finished

The score's episodes are of the test stream of seed 10,000 and the run's, which no training,
evaluation or study ever plays. It is written into the file's attributes, with the command, and into
weights/README.md.
"""

from __future__ import annotations

import argparse
import contextlib
import shlex
import tempfile
import time
from pathlib import Path

from zoo import WEIGHTS, choose_engine, load, show_return

import kerasrl_runner
from kerasrl_runner.files.run_directory import find_run
from kerasrl_runner.weights.file import WeightsFile, read_weights, write_weights

SCORE_SEED = 10_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("preset")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--engine")
    parser.add_argument("--run")
    parser.add_argument("--episodes", type=int, default=100)
    arguments = parser.parse_args()
    preset = load(arguments.preset)
    with contextlib.ExitStack() as stack:
        if arguments.run is None:
            engine = arguments.engine or choose_engine(preset)
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "run"
            kerasrl_runner.fit(
                preset, seed=arguments.seed, engine=engine, run_dir=folder, progress=True
            )
            command = ["fit", "--preset", arguments.preset, "--seed", str(arguments.seed)]
            command += ["--engine", engine]
        else:
            folder = find_run(arguments.run).path
            # The folder of the run is of the machine that it ran on.
            command = shlex.split(find_run(arguments.run).record().command)[1:]
            if "--run-dir" in command:
                at = command.index("--run-dir")
                del command[at : at + 2]
        best = folder / "best.h5"
        earned = best if best.exists() else folder / "weights.h5"
        file = read_weights(earned)
        seed = SCORE_SEED + int(file.attributes["seed"])
        score = kerasrl_runner.test(
            preset, weights=earned, episodes=arguments.episodes, seed=seed
        ).score
    command_line = f"kerasrl-run {shlex.join(command)}"
    attributes = {
        **file.attributes,
        "command": command_line,
        "score": {
            "mean_return": score.mean_return,
            "std_return": score.std_return,
            "min_return": min(episode.episode_return for episode in score.episodes),
            "episodes": len(score.episodes),
            "seed": seed,
            "stream": "test",
        },
    }
    path = WEIGHTS / f"{arguments.preset}.h5"
    write_weights(path, WeightsFile(file.layers, file.config, attributes), overwrite=True)
    tabulate(
        path.name,
        f"| `{path.name}` | {show_return(score.mean_return)} ± {show_return(score.std_return)} | "
        f"{show_return(attributes['score']['min_return'])} | {len(score.episodes)} | {seed} | "
        f"{file.attributes['env_steps']} | {file.attributes['engine']} | "
        f"{time.strftime('%Y-%m-%d')} | `{command_line}` |",
    )
    print(f"{path}: {score.mean_return:.1f} ± {score.std_return:.1f}")


def tabulate(name: str, row: str) -> None:
    """Replace the file's row in the first table of weights/README.md, or add it."""
    readme = WEIGHTS / "README.md"
    lines = readme.read_text().splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("|---"))
    last = next(n for n in range(first, len(lines) + 1) if not "".join(lines[n : n + 1]))
    rows = [line for line in lines[first + 1 : last] if not line.startswith(f"| `{name}`")]
    lines[first + 1 : last] = sorted([*rows, row])
    readme.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
