"""What every engine's loop tells: one event a step, one an episode."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StepEvent:
    """One env step of the training."""

    env_steps: int  # of the whole run, this one included
    loss: float | None  # None where nothing was learned at this step


@dataclass(frozen=True, slots=True)
class EpisodeEvent:
    """One finished episode of the training."""

    episode: int  # from 0
    env_steps: int
    episode_return: float  # the environment's own rewards, undiscounted
    episode_length: int  # env steps
    terminated: bool  # False: truncated
    epsilon: float | None  # None where the policy has none
    loss: float | None  # mean over the episode's learn steps


class Listener:
    """Something that follows a run; every method may be left as it is."""

    def on_step(self, event: StepEvent) -> None:
        """After each env step."""

    def on_episode(self, event: EpisodeEvent) -> None:
        """After each episode."""

    def close(self) -> None:
        """After the run, however it ended."""
