"""Presets over seeds: what each really scores, and how soon it reaches its goal.

    python benchmarks/zoo.py [PRESET ...] [--seeds 0 10] [--workers 2] [--out benchmarks/zoo.jsonl]
    python benchmarks/zoo.py --table             # print the tables of what was measured so far
    python benchmarks/zoo.py --publish           # the same into weights/, for `presets list`

`PRESET+VARIANT` trains a preset with one change (`acrobot+double`; VARIANTS names them). Each seed
trains as `kerasrl-run fit --preset PRESET --seed SEED --engine ENGINE` does, in a process with one
thread; then the best and the last weights play 100 greedy episodes of the test stream, which
neither training nor evaluation ever plays. A seed's row is written when it is done, and rows that
the file holds are not measured again: an interrupted study goes on.

The goal is the return at which Gymnasium calls the environment solved: how many seeds' scores reach
it, and after how many env steps the first periodic evaluation did; the seconds until then are that
part of the training's.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
WEIGHTS = ROOT / "weights"
SCORES = WEIGHTS / "scores.json"
EPISODES = 100
HEADING = "## What presets really score\n"
INTRODUCTION = """\
`python benchmarks/zoo.py PRESET... --seeds 0 10`, then `--publish`: each seed trained in a process
of one thread; its best weights (or the last, where a preset keeps no best) played 100 greedy
episodes of the test stream. IQM is the mean of the middle half of the seeds, with the 95% interval
of a percentile bootstrap; env steps, seconds and the process's peak memory are medians. The goal
is the mean return at which Gymnasium calls the environment solved: how many seeds' scores reach
it, and after how many env steps the first periodic evaluation did; the seconds until then are that
part of the training's. RL Baselines3 Zoo publishes one run each, CleanRL three seeds of 500,000
env steps. `kerasrl-run presets list` shows the scores.
"""
_DOUBLE = {"enable_double_dqn": True}
VARIANTS: dict[str, dict[str, Any]] = {
    "single": {"agent": {"enable_double_dqn": False}},
    "double": {"agent": _DOUBLE},
    "double-dueling": {"agent": {**_DOUBLE, "enable_dueling_network": True}},
    "double-prioritized": {"agent": _DOUBLE, "memory": {"priority": {}}},
    "double-nstep": {"agent": {**_DOUBLE, "n_steps": 3}},
}
# What the tutorials' own texts prescribe or claim; other presets claim what is measured.
CLAIMS = {
    "cartpole-kerasrl": "5,000 steps, then 5 test episodes",
    "cartpole-kerasrl-deep": "50,000 steps, then 5 test episodes",
    "cartpole-minidqn": "learns in “several hundreds of episodes”",
    "cartpole-minidqn-2017": "learns in “several hundreds of episodes”",
    "mountaincar-tutorial": "stops at the first trial under 199 steps",
}
# One run each (RL Baselines3 Zoo's table for DQN), mean of three seeds (CleanRL's dqn.py, 500,000
# env steps).
PUBLISHED = {
    "CartPole-v1": ("500.0 in 50,000", "488.7 ± 16.1"),
    "MountainCar-v0": ("-100.8 in 120,000", "-195.0 ± 8.5"),
    "Acrobot-v1": ("-76.6 in 100,000", "-91.5 ± 7.2"),
    "LunarLander-v3": ("154.4 in 100,000 (v2)", "–"),
}


def load(name: str) -> Any:
    """The preset of `PRESET` or `PRESET+VARIANT`."""
    from kerasrl_runner import load_preset

    base, _, variant = name.partition("+")
    return load_preset(base, sections=VARIANTS[variant] if variant else None)


def choose_engine(preset: Any) -> str:
    """The fastest engine that has all of the preset."""
    if preset.model is None:
        return "qtable"
    known = {"Dense", "Flatten", "Activation"}
    is_dense = {layer.name for layer in preset.model.layers} <= known
    return "reference" if is_dense else "compiled"


def measure(name: str, seed: int, engine: str | None) -> dict[str, Any]:
    """Train one seed and score it. In a process of its own."""
    import kerasrl_runner
    from kerasrl_runner.environments.make import build_environment

    preset = load(name)
    engine = engine or choose_engine(preset)
    with tempfile.TemporaryDirectory() as folder:
        result = kerasrl_runner.fit(
            preset, seed=seed, engine=engine, run_dir=Path(folder) / "run", checkpoint_every=0
        )
        if result.status != "finished":
            sys.exit(f"{name}, seed {seed}: {result.status}")
        scores = {
            kind: kerasrl_runner.test(preset, weights=weights, episodes=EPISODES, seed=seed).score
            for kind, weights in (("best", result.best and result.best["weights"]),
                                  ("final", result.weights))
            if weights
        }  # fmt: skip
        evaluation = Path(result.run) / "evaluation.csv"
        rows = list(csv.DictReader(evaluation.open())) if evaluation.exists() else []
    environment = build_environment(preset, 0, 0)
    goal = environment.env.spec.reward_threshold
    environment.close()
    hits = [int(r["env_steps"]) for r in rows if goal and float(r["mean_return"]) >= goal]
    return {
        "preset": name,
        "seed": seed,
        "engine": engine,
        "kept": "best" if "best" in scores else "final",
        **{kind: score.mean_return for kind, score in scores.items()},
        "env_steps": result.env_steps,
        "episodes": result.episodes,
        "seconds": round(result.wall_seconds, 1),
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "goal": goal,
        "steps_to_goal": hits[0] if hits else None,
        "date": time.strftime("%Y-%m-%d"),
    }


def run(names: list[str], seeds: range, engine: str | None, workers: int, out: Path) -> None:
    """Measure what the file does not hold yet."""
    # Read by NumPy's and TensorFlow's libraries when a worker loads them.
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", KERASRL_THREADS="1")
    done = {(row["preset"], row["seed"]) for row in read(out)}
    wanted = [(name, seed) for name in names for seed in seeds if (name, seed) not in done]
    context = get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, max_tasks_per_child=1) as pool:
        futures = {pool.submit(measure, *pair, engine): pair for pair in wanted}
        for future in as_completed(futures):
            row = future.result()
            with out.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(row, flush=True)


def read(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []


def summarize(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """One preset's rows as one: interquartile means with 95% intervals (Agarwal 2021)."""
    import numpy as np
    from scipy import stats

    def interquartile_mean(values: Any, axis: int = -1) -> Any:
        return stats.trim_mean(values, 0.25, axis=axis)

    def estimate(kind: str) -> list[float] | None:
        values = [row[kind] for row in rows if kind in row]
        if not values:
            return None
        found = stats.bootstrap(
            (values,), interquartile_mean, n_resamples=10_000, method="percentile", rng=0
        ).confidence_interval
        return [round(float(v), 2) for v in (interquartile_mean(values), *found)]

    preset = load(rows[0]["preset"])
    sizes = [row["megabytes"] for row in rows if "megabytes" in row]
    kept, hits = rows[0]["kept"], [r["steps_to_goal"] for r in rows if r["steps_to_goal"]]
    seconds = [
        r["seconds"] * r["steps_to_goal"] / r["env_steps"] for r in rows if r["steps_to_goal"]
    ]
    return {
        "task": preset.env.id.rpartition(":")[2],
        "engine": rows[0]["engine"],
        "kept": kept,
        "score": estimate(kept),
        "worst": min(row[kept] for row in rows),
        "final": estimate("final"),
        "seeds": len(rows),
        "env_steps": int(np.median([row["env_steps"] for row in rows])),
        "seconds": round(float(np.median([row["seconds"] for row in rows])), 1),
        "megabytes": round(float(np.median(sizes))) if sizes else None,
        "goal": rows[0]["goal"],
        "reached": sum(row["goal"] is not None and row[kept] >= row["goal"] for row in rows),
        "steps_to_goal": int(np.median(hits)) if hits else None,
        "seconds_to_goal": round(float(np.median(seconds)), 1) if seconds else None,
        "date": max(row["date"] for row in rows),
    }


def summarize_all(out: Path) -> dict[str, dict[str, Any]]:
    rows = sorted(read(out), key=lambda row: (row["preset"], row["seed"]))
    names = dict.fromkeys(row["preset"] for row in rows)
    return {name: summarize([r for r in rows if r["preset"] == name]) for name in names}


def tables(summaries: dict[str, dict[str, Any]]) -> str:
    """Markdown: scores, and how soon, beside what others publish."""
    lines = [
        "| preset | engine | seeds | score: IQM (95% interval), worst seed | last weights | env "
        "steps | seconds | MB | goal reached | after env steps, s | RL Baselines3 Zoo | CleanRL | "
        "its text |",
        "|---" * 13 + "|",
    ]
    for name, s in summaries.items():
        zoo, cleanrl = PUBLISHED.get(s["task"], ("–", "–"))
        goal = f"{s['reached']} of {s['seeds']} ({s['goal']:g})" if s["goal"] else "–"
        soon = f"{s['steps_to_goal']:,}, {s['seconds_to_goal']}" if s["steps_to_goal"] else "–"
        lines.append(
            f"| `{name}` | {s['engine']} | {s['seeds']} | {show(s['score'])}, "
            f"{show_return(s['worst'])} | "
            f"{show(s['final'])} | {s['env_steps']:,} | {s['seconds']} | {s['megabytes'] or '–'} | "
            f"{goal} | {soon} | {zoo} | {cleanrl} | {CLAIMS.get(name, '–')} |"
        )
    return "\n".join(lines)


def show(estimate: list[float]) -> str:
    return "{} ({} to {})".format(*map(show_return, estimate))


def show_return(value: float) -> str:
    """FrozenLake's and the like need two decimals."""
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("presets", nargs="*", metavar="PRESET")
    parser.add_argument("--seeds", nargs=2, type=int, default=[0, 10])
    parser.add_argument("--engine", help="instead of the fastest that has all of the preset")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "zoo.jsonl")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--publish", action="store_true")
    arguments = parser.parse_args()
    for name in arguments.presets:
        load(name)
    run(arguments.presets, range(*arguments.seeds), arguments.engine, arguments.workers,
        arguments.out)  # fmt: skip
    summaries = summarize_all(arguments.out)
    if arguments.publish:
        SCORES.write_text(json.dumps(summaries, indent=1) + "\n")
        readme = WEIGHTS / "README.md"
        before = readme.read_text().partition(HEADING)[0]
        readme.write_text(f"{before}{HEADING}\n{INTRODUCTION}\n{tables(summaries)}\n")
    elif arguments.table:
        print(tables(summaries))


if __name__ == "__main__":
    main()
