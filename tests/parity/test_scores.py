"""The engines play alike: scores over seeds, by the study that documentation quotes.

The margins of the equivalence are the study's own, chosen before it was first run. That a wrong
agent is caught is shown where the proof is exact (test_reference_parity.py), not by luck of scores.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from commands import REPOSITORY, child_environment

from kerasrl_runner.engines import ENGINES

NETWORKS = [engine for engine in ENGINES if engine != "qtable"]  # three, and three pairs of them
STUDY = REPOSITORY / "benchmarks" / "comparison.py"


def studied(out: Path, *arguments: object) -> str:
    """The tables that the study prints; its rows are in `out`."""
    done = subprocess.run(
        [sys.executable, STUDY, "--out", out, *map(str, arguments)],
        env=child_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.timeout(280)
def test_the_fast_engines_solve_cartpole_on_three_seeds(tmp_path):
    """keras-rl takes two minutes a seed, most of them for its evaluations: it is a slow test."""
    out = tmp_path / "rows.jsonl"
    chosen = ("--presets", "cartpole", "--seeds", 0, 3, "--engines", "compiled", "reference")
    tables = studied(out, *chosen)
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert {(row["engine"], row["seed"]) for row in rows} == {
        (engine, seed) for engine in ("compiled", "reference") for seed in range(3)
    }
    assert min(row["mean_return"] for row in rows) >= 475
    assert tables.count("| yes |") == 1
    # What the file holds already is not run again.
    before = out.read_text()
    studied(out, *chosen)
    assert out.read_text() == before


@pytest.mark.slow
@pytest.mark.timeout(6_000)
def test_scores_of_all_engines_over_ten_seeds_are_equivalent(tmp_path):
    tables = studied(tmp_path / "rows.jsonl", "--seeds", 0, 10, "--presets", "cartpole")
    assert tables.count("| yes |") == len(NETWORKS)
