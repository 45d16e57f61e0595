"""Who calls whom: an agent in a Gymnasium environment, one event at a time.

The caller decides when to stop: budgets, evaluation and logs live in the `for` over the events.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

from kerasrl_runner.reference.agent import Agent, LearnResult
from kerasrl_runner.reference.replay import StateWindow


@dataclass(frozen=True, slots=True)
class StepEvent:
    """One env step. `env_step` counts those done, this one included; episodes count from 0."""

    env_step: int
    episode: int
    episode_step: int
    action: int
    reward: float
    terminated: bool
    truncated: bool
    info: dict[str, Any]
    learned: LearnResult | None


@dataclass(frozen=True, slots=True)
class EpisodeEvent:
    """One finished episode: its undiscounted return and its length in env steps."""

    env_step: int
    episode: int
    episode_return: float
    episode_length: int
    terminated: bool


def train(
    env: Any, agent: Agent, seed_of_episode: Callable[[int], int]
) -> Generator[StepEvent | EpisodeEvent]:
    """Train `agent` in `env` for as long as events are asked for, from episode `agent.episode` on.

    `seed_of_episode` gives the seed of `env.reset` for each episode number, so that episode k
    starts the same whoever plays it. Where the memory keeps them, the legal actions, bool [A], are
    info["action_mask"] of each reset and step. Closing the generator ends the open episode in the
    agent's memory, as a cut one, so that no sample crosses into what comes next.
    """
    window = StateWindow(agent.memory.window_length)
    has_masks = agent.memory.legal is not None
    while True:
        episode = agent.episode
        window.reset()
        observation, info = env.reset(seed=seed_of_episode(episode))
        legal = info["action_mask"] if has_masks else None  # [A]
        episode_return, episode_step = 0.0, 0
        episode_over = False
        try:
            while not episode_over:
                action = agent.select_action(window.push(observation), legal)
                next_observation, reward, terminated, truncated, info = env.step(action)
                reward, terminated, truncated = float(reward), bool(terminated), bool(truncated)
                learned = agent.observe(
                    observation, action, reward, terminated, legal, truncated=truncated
                )
                observation, legal = next_observation, info["action_mask"] if has_masks else None
                episode_return += reward
                episode_step += 1
                episode_over = terminated or truncated
                yield StepEvent(
                    *(agent.env_step, episode, episode_step, action, reward),
                    *(terminated, truncated, info, learned),
                )
        finally:
            if episode_step:
                agent.end_episode(observation, legal)
        yield EpisodeEvent(agent.env_step, episode, episode_return, episode_step, terminated)
