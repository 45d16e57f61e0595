"""Earn the weights that ship with a preset: train, score on fresh episodes, write, tabulate.

    python benchmarks/ship_weights.py cartpole [--seed 0] [--episodes 100]

The score's episodes are of the test stream, which neither training nor evaluation ever plays. It
is written into the file's attributes, with the command, and into weights/README.md.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import kerasrl_runner
from kerasrl_runner.weights.file import WeightsFile, read_weights, write_weights

WEIGHTS = Path(__file__).resolve().parent.parent / "weights"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("preset")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--episodes", type=int, default=100)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = kerasrl_runner.fit(
            arguments.preset, seed=arguments.seed, run_dir=Path(folder) / "run", progress=True
        )
        earned = run.best["weights"] if run.best else run.weights
        score = kerasrl_runner.test(
            weights=earned, episodes=arguments.episodes, seed=arguments.seed
        ).score
        file = read_weights(Path(earned))
    command = f"kerasrl-run fit --preset {arguments.preset} --seed {arguments.seed}"
    attributes = {
        **file.attributes,
        "command": command,
        "score": {
            "mean_return": score.mean_return,
            "std_return": score.std_return,
            "min_return": min(episode.episode_return for episode in score.episodes),
            "episodes": len(score.episodes),
            "seed": arguments.seed,
            "stream": "test",
        },
    }
    path = WEIGHTS / f"{arguments.preset}.h5"
    write_weights(path, WeightsFile(file.layers, file.config, attributes), overwrite=True)
    tabulate(
        path.name,
        f"| `{path.name}` | {score.mean_return:.1f} ± {score.std_return:.1f} | "
        f"{attributes['score']['min_return']:.0f} | {len(score.episodes)} | {arguments.seed} | "
        f"{file.attributes['env_steps']} | {file.attributes['engine']} | "
        f"{time.strftime('%Y-%m-%d')} | `{command}` |",
    )
    print(f"{path}: {score.mean_return:.1f} ± {score.std_return:.1f}")


def tabulate(name: str, row: str) -> None:
    """Replace the file's row in weights/README.md, or add it."""
    readme = WEIGHTS / "README.md"
    lines = [line for line in readme.read_text().splitlines() if not line.startswith(f"| `{name}`")]
    last = max(number for number, line in enumerate(lines) if line.startswith("|"))
    lines.insert(last + 1, row)
    readme.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
