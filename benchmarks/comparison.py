"""The three engines over seeds: do they play alike?

    python benchmarks/comparison.py --out results.jsonl [--seeds 0 10] [--presets cartpole ...]
                                    [--engines compiled ...] [--plot docs/comparison.png]

Every engine begins seed s with the same weights (written once, read by each) and episode k of it
from the same state. `cartpole-kerasrl` is scored by its last weights, as its text does, `cartpole`
by its best: 100 greedy episodes of the test stream, the same for all engines. Rows that the file
already holds are left out, so an interrupted study goes on. Statistics after Agarwal 2021, "Deep RL
at the edge of the statistical precipice".
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from kerasrl_runner.engines import ENGINES, build_learner
from kerasrl_runner.engines.greedy import play
from kerasrl_runner.environments.make import build_environment
from kerasrl_runner.environments.seeds import TEST
from kerasrl_runner.preset import load_preset
from kerasrl_runner.weights.file import read_weights, write_weights

# Chosen before the first study was run: a fifth of the longest episode for a walk-through whose
# seeds differ by as much, a twentieth for a preset that is meant to solve its task.
MARGINS = {"cartpole-kerasrl": 40.0, "cartpole": 25.0}
NETWORKS = [engine for engine in ENGINES if engine != "qtable"]
EPISODES = 100
RESAMPLES = 10_000


def measured(preset_name: str, engine: str, seed: int) -> dict:
    """Train one seed and score it. In its worker's process."""
    from kerasrl_runner.runs.training import fit

    preset = load_preset(preset_name)
    with tempfile.TemporaryDirectory() as folder:
        given = Path(folder) / "given.h5"
        player = build_learner(preset, seed, "reference")
        write_weights(given, player.exported_weights(), overwrite=False)
        run_dir = Path(folder) / "run"
        result = fit(preset, seed=seed, engine=engine, run_dir=run_dir, initial_weights=given)
        if result.status != "finished":
            sys.exit(f"seed {seed} was {result.status}")
        weights = result.best["weights"] if result.best else result.weights
        player.set_weights(read_weights(Path(weights)))
    environment = build_environment(preset, seed, TEST)
    score = play(environment, player.q_values, player.window_length, EPISODES)
    return {
        "preset": preset_name,
        "engine": engine,
        "seed": seed,
        "mean_return": score.mean_return,
        "env_steps": result.env_steps,
        "seconds": result.wall_seconds,
    }


def run_all(out: Path, presets: list[str], engines: list[str], seeds: range) -> list[dict]:
    """One process an engine and preset, so that TensorFlow is loaded once for all its seeds."""
    rows = rows_of(out)
    for preset, engine in itertools.product(presets, engines):
        done = {row["seed"] for row in rows if (row["preset"], row["engine"]) == (preset, engine)}
        missing = [str(seed) for seed in seeds if seed not in done]
        if missing:
            worker = [sys.executable, __file__, "--out", str(out), "--worker", preset, engine]
            subprocess.run([*worker, *missing], check=True)
    wanted = set(itertools.product(presets, engines, seeds))
    return [r for r in rows_of(out) if (r["preset"], r["engine"], r["seed"]) in wanted]


def rows_of(out: Path) -> list[dict]:
    return [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []


def scores_of(rows: list[dict], preset: str, engine: str) -> list[float]:
    wanted = (preset, engine)
    return [row["mean_return"] for row in rows if (row["preset"], row["engine"]) == wanted]


def interquartile_mean(scores: list[float] | np.ndarray) -> np.ndarray:
    """Mean of the middle half of the scores [..., N]; a quarter at each end is left out."""
    ordered = np.sort(scores, axis=-1)  # [..., N]
    cut = ordered.shape[-1] // 4
    return ordered[..., cut : ordered.shape[-1] - cut].mean(axis=-1)  # [...]


def resampled_means(scores: list[float], seed: int = 0) -> np.ndarray:
    """Bootstrap (Efron 1979): means of scores drawn with replacement, [RESAMPLES]."""
    drawn = np.random.default_rng(seed).choice(scores, (RESAMPLES, len(scores)))  # [R, N]
    return interquartile_mean(drawn)


def print_tables(rows: list[dict], presets: list[str], engines: list[str]) -> None:
    for preset in presets:
        scores = {engine: scores_of(rows, preset, engine) for engine in engines}
        print(f"\n### {preset}\n\n| engine | seeds | IQM | 95% interval | min | max | each seed |")
        print("|---|---|---|---|---|---|---|")
        for engine, values in scores.items():
            low, high = np.quantile(resampled_means(values), [0.025, 0.975])
            each = ", ".join(f"{value:.0f}" for value in values)
            print(f"| {engine} | {len(values)} | {interquartile_mean(values):.1f} | {low:.1f} to "
                  f"{high:.1f} | {min(values):.1f} | {max(values):.1f} | {each} |")  # fmt: skip
        print(f"\n| pair | difference of IQMs | 90% interval | within ±{MARGINS[preset]:.0f} |")
        print("|---|---|---|---|")
        for first, second in itertools.combinations(engines, 2):
            difference = interquartile_mean(scores[first]) - interquartile_mean(scores[second])
            spread = resampled_means(scores[first], 0) - resampled_means(scores[second], 1)  # [R]
            low, high = np.quantile(spread, [0.05, 0.95])
            # Two one-sided tests at 5% (Schuirmann 1987): the 90% interval lies within the margin.
            within = -MARGINS[preset] < low and high < MARGINS[preset]
            print(
                f"| {first}, {second} | {difference:+.1f} | {low:+.1f} to {high:+.1f} "
                f"| {'yes' if within else 'not shown'} |"
            )


def plot(path: Path, rows: list[dict], presets: list[str], engines: list[str]) -> None:
    """Each seed a dot, the interquartile mean and its interval beside them."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    size = (4.2 * len(presets), 3.6)
    figure, (axes,) = pyplot.subplots(1, len(presets), figsize=size, squeeze=False)
    for axis, preset in zip(axes, presets, strict=True):
        for place, engine in enumerate(engines):
            values = scores_of(rows, preset, engine)
            spread = np.linspace(-0.12, 0.12, len(values))
            axis.plot(place + spread, values, "o", color="tab:blue", alpha=0.45, markersize=5)
            mean = interquartile_mean(values)
            low, high = np.quantile(resampled_means(values), [0.025, 0.975])
            error = [[mean - low], [high - mean]]
            style = {"fmt": "D", "color": "black", "capsize": 4, "markersize": 5}
            axis.errorbar(place + 0.25, mean, error, **style)
        axis.set_xticks(range(len(engines)), engines)
        axis.set_xlim(-0.5, len(engines) - 0.4)
        axis.set_ylim(0, None)
        axis.set_title(preset)
        axis.grid(axis="y", alpha=0.3)
    axes[0].set_ylabel("mean return of 100 greedy episodes")
    figure.tight_layout()
    figure.savefig(path, dpi=110, metadata={"Software": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", nargs=2, type=int, default=[0, 10])
    parser.add_argument("--presets", nargs="+", default=list(MARGINS), choices=MARGINS)
    parser.add_argument("--engines", nargs="+", default=NETWORKS, choices=NETWORKS)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--worker", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        preset, engine, *seeds = arguments.worker
        for seed in map(int, seeds):
            row = measured(preset, engine, seed)
            with arguments.out.open("a") as file:
                file.write(json.dumps(row) + "\n")
        return
    seeds = range(*arguments.seeds)
    rows = run_all(arguments.out, arguments.presets, arguments.engines, seeds)
    print_tables(rows, arguments.presets, arguments.engines)
    if arguments.plot:
        plot(arguments.plot, rows, arguments.presets, arguments.engines)


if __name__ == "__main__":
    main()
