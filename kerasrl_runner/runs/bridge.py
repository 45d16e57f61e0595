"""keras-rl's callbacks as step and episode events."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from kerasrl_runner.environments.adapter import KerasRLEnvironment
from kerasrl_runner.keras_rl import Callback
from kerasrl_runner.parts.policies import exploration
from kerasrl_runner.runs.events import EpisodeEvent, Listener, StepEvent


class EventBridge(Callback):
    """The one callback of a run's `agent.fit`: tells listeners what happened."""

    def __init__(
        self, agent: Any, environment: KerasRLEnvironment, listeners: Sequence[Listener]
    ) -> None:
        super().__init__()
        self.episodes = 0
        self._agent = agent
        self._environment = environment
        self._listeners = listeners
        self._losses: list[float] = []

    def on_step_end(self, step: int, logs: dict[str, Any] | None = None) -> None:
        loss = float((logs or {})["metrics"][0])
        learned = not math.isnan(loss)
        if learned:
            self._losses.append(loss)
        # The vendor counts the step only after its callbacks.
        event = StepEvent(self._agent.step + 1, loss if learned else None)
        for listener in self._listeners:
            listener.on_step(event)

    def on_episode_end(self, episode: int, logs: dict[str, Any] | None = None) -> None:
        environment = self._environment
        event = EpisodeEvent(
            episode=self.episodes,
            env_steps=self._agent.step,
            episode_return=environment.episode_return,
            episode_length=environment.episode_length,
            terminated=environment.terminated,
            epsilon=exploration(self._agent.policy),
            loss=sum(self._losses) / len(self._losses) if self._losses else None,
        )
        self._losses.clear()
        self.episodes += 1
        for listener in self._listeners:
            listener.on_episode(event)
