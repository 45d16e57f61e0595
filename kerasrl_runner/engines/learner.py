"""What a run needs of an engine: a learner, and the events of its training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from kerasrl_runner.environments.adapter import KerasRLEnvironment
from kerasrl_runner.weights.file import WeightsFile


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


class EventSource:
    """Sends the events of the training in an environment to its listeners."""

    def __init__(self, environment: KerasRLEnvironment) -> None:
        self.environment = environment
        self.episodes = 0  # that ended so far
        self.listeners: Sequence[Listener] = ()
        self._losses: list[float] = []  # of the open episode's learn steps

    def send_step(self, env_steps: int, loss: float | None) -> None:
        """Tell the listeners of one env step, with its loss where something was learned."""
        if loss is not None:
            self._losses.append(loss)
        event = StepEvent(env_steps, loss)
        for listener in self.listeners:
            listener.on_step(event)

    def send_episode(self, env_steps: int, epsilon: float | None) -> None:
        """Tell the listeners of the episode that the environment has just ended."""
        environment, losses = self.environment, self._losses
        event = EpisodeEvent(
            episode=self.episodes,
            env_steps=env_steps,
            episode_return=environment.episode_return,
            episode_length=environment.episode_length,
            terminated=environment.terminated,
            epsilon=epsilon,
            loss=sum(losses) / len(losses) if losses else None,
        )
        losses.clear()
        self.episodes += 1
        for listener in self.listeners:
            listener.on_episode(event)


@dataclass(frozen=True)
class TrainingState:
    """Everything beside the replay memory's entries that the next env step depends on.

    `scalars` is JSON as it stands: counters and random streams.
    """

    arrays: dict[str, np.ndarray]
    scalars: dict[str, Any] = field(default_factory=dict)


class ReplayEntries(Protocol):
    """A replay memory as a row of entries, the newest of which it holds."""

    @property
    def appended(self) -> int:
        """Entries ever stored; the memory holds those from `appended - nb_entries` on."""

    @property
    def capacity(self) -> int:
        """Entries that it can hold."""

    def entries(self, first: int) -> dict[str, np.ndarray]:
        """Copies of the entries [first, appended), oldest first, column by column [N, ...]."""

    def refill(self, appended: int, entries: dict[str, np.ndarray]) -> None:
        """Hold just these entries, the last of which was the `appended`th ever stored.

        Raises:
            ValueError: columns of other names, shapes or dtypes.
        """


class Learner(Protocol):
    """One engine's agent in one environment, as a run sees it."""

    environment: KerasRLEnvironment
    agent: Any
    #: Ends `train` at the next step.
    stop_training: bool

    @property
    def window_length(self) -> int:
        """Observations that make a state."""

    @property
    def env_steps(self) -> int:
        """Env steps of the training so far."""

    @property
    def episodes(self) -> int:
        """Episodes of the training that ended so far."""

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended the last `train`."""

    @property
    def replay(self) -> ReplayEntries:
        """The replay memory."""

    @property
    def threads(self) -> dict[str, int]:
        """TensorFlow's threads, empty where there is no TensorFlow."""

    def q_values(self, state: list[np.ndarray]) -> np.ndarray:
        """Q values [A] of a window of W observations.

        Raises:
            TrainingDiverged: they are NaN or infinite.
        """

    def prepare(self) -> None:
        """Make what the first update needs, which may take seconds without heeding a signal."""

    def train(self, env_steps: int, listeners: Sequence[Listener]) -> None:
        """Train until `env_steps` env steps in all were done, or `stop_training`.

        Ctrl-C ends it too: `interrupted` then, and the weights are those of whole updates.
        """

    def test(self, episodes: int, max_episode_steps: int) -> None:
        """Play greedy episodes in `environment`, each of a capped length (D22).

        Ends early at `stop_training`. The environment's watchers follow what is played.
        """

    def exported_weights(self) -> WeightsFile:
        """The online network's configuration and weights, for raw observations."""

    def set_weights(self, weights: WeightsFile) -> None:
        """Put weights into the online and the target network. Raises WeightsError."""

    def state(self) -> TrainingState:
        """What a checkpoint keeps. Between two episodes alone."""

    def restore(self, state: TrainingState) -> None:
        """Go on from `state`; the replay memory is refilled apart from it.

        Raises:
            ValueError, KeyError: a state of another kind of agent.
        """
