"""What a run needs of an engine: a learner, and the events of its training."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from kerasrl_runner.environments.adapter import KerasRLEnvironment
from kerasrl_runner.preset.schema import Preset
from kerasrl_runner.reference.priorities import Priorities
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


@dataclass(frozen=True)
class TrainingState:
    """Everything beside the replay memory's entries that the next env step depends on.

    `scalars` is JSON as it stands: counters and random streams.
    """

    arrays: dict[str, np.ndarray]
    scalars: dict[str, Any]


def build_priorities(preset: Preset) -> Priorities | None:
    """The priorities of the preset's replay memory, if it is a prioritized one."""
    memory, priority = preset.memory, preset.memory.priority
    if priority is None:
        return None
    beta_steps = priority.beta_steps or preset.fit.nb_steps
    settings = memory.limit, memory.window_length, priority.alpha, priority.beta, beta_steps
    return Priorities(*settings)


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


class Learner(abc.ABC):
    """One engine's agent in one environment, as a run sees it: what each engine does its own way,
    and the events of the training, which it sends to its listeners."""

    replay: ReplayEntries
    threads: dict[str, int]  # TensorFlow's; empty where there is no TensorFlow
    stop_training: bool  # ends `train` and `test` at the next step
    interrupted = False  # whether Ctrl-C ended the last `train` or `test`

    def __init__(self, environment: KerasRLEnvironment, agent: Any) -> None:
        self.environment = environment
        self.agent = agent
        self.window_length: int = agent.memory.window_length  # observations that make a state
        self.episodes = 0  # of the training that ended so far
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

    @property
    @abc.abstractmethod
    def env_steps(self) -> int:
        """Env steps of the training so far."""

    @abc.abstractmethod
    def q_values(self, state: list[np.ndarray]) -> np.ndarray:
        """Q values [A] of a window of W observations.

        Raises:
            TrainingDiverged: they are NaN or infinite.
        """

    def prepare(self) -> None:  # noqa: B027  most engines need nothing
        """Make what the first update needs, which may take seconds without heeding a signal."""

    @abc.abstractmethod
    def train(self, env_steps: int, listeners: Sequence[Listener]) -> None:
        """Train until `env_steps` env steps in all were done, or `stop_training`.

        Ctrl-C ends it too: `interrupted` then, and the weights are those of whole updates.
        """

    @abc.abstractmethod
    def test(self, episodes: int, max_episode_steps: int) -> None:
        """Play greedy episodes in `environment`, each of a capped length (D22).

        The environment's watchers follow what is played.
        """

    @abc.abstractmethod
    def exported_weights(self) -> WeightsFile:
        """The online network's configuration and weights, for raw observations."""

    @abc.abstractmethod
    def set_weights(self, weights: WeightsFile) -> None:
        """Put weights into the online and the target network. Raises WeightsError."""

    @abc.abstractmethod
    def state(self) -> TrainingState:
        """What a checkpoint keeps. Between two episodes alone."""

    @abc.abstractmethod
    def restore(self, state: TrainingState) -> None:
        """Go on from `state`; the replay memory is refilled apart from it.

        Raises:
            ValueError, KeyError: a state of another kind of agent.
        """
