"""What a run is asked to be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kerasrl_runner.engines import DEFAULT_ENGINE, check_engine, check_trainable
from kerasrl_runner.environments.seeds import check_seed
from kerasrl_runner.errors import UsageError, whole_number
from kerasrl_runner.preset import Preset

# Some seconds of training, and about ten milliseconds to write (benchmarks/README.md).
CHECKPOINT_EVERY = 5_000


@dataclass(frozen=True)
class RunSettings:
    """What a run is asked to be; NumPy's integers become Python's.

    Raises:
        UsageError: an unknown engine, or a number that no run can have.
        PresetError: the engine trains no such preset.
    """

    preset: Preset
    steps: int  # env steps in all
    seed: int = 0
    engine: str = DEFAULT_ENGINE
    checkpoint_every: int = CHECKPOINT_EVERY  # env steps; 0: no checkpoints
    initial_weights: Path | None = None

    def __post_init__(self) -> None:
        check_engine(self.engine)
        check_trainable(self.preset, self.engine)
        whole = {
            "steps": whole_number("--steps", self.steps),
            "seed": check_seed(self.seed),
            "checkpoint_every": whole_number("--checkpoint-every", self.checkpoint_every),
        }
        for name, value in whole.items():
            object.__setattr__(self, name, value)
        if self.steps < 1:
            raise UsageError(f"--steps: expected 1 or more env steps, received {self.steps}.")
        if self.checkpoint_every < 0:
            raise UsageError(
                f"--checkpoint-every: expected env steps, or 0 for no checkpoints; received "
                f"{self.checkpoint_every}."
            )
