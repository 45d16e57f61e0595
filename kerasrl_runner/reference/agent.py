"""Deep Q-learning, Mnih 2015 algorithm 1: act, remember, learn."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kerasrl_runner.reference.network import Network, td_loss
from kerasrl_runner.reference.optimizers import Optimizer
from kerasrl_runner.reference.replay import Batch, ReplayMemory
from kerasrl_runner.reference.schedule import Schedule, constant

Array = NDArray[Any]
Count = Literal["env_step", "learn_call", "episode"]  # the agent's, by its attribute's name


class Policy(Protocol):
    """Chooses an action in [0, A) from q_values [A]; its schedules are of a count of the agent."""

    @property
    def per(self) -> Count: ...

    def choose(self, q_values: Array, count: int, rng: np.random.Generator) -> int: ...


@dataclass(frozen=True)
class EpsilonGreedy:
    """Mnih 2015, algorithm 1: with probability epsilon a random action, else the greedy one."""

    epsilon: Schedule
    per: Count = "env_step"

    def choose(self, q_values: Array, count: int, rng: np.random.Generator) -> int:
        if rng.random() < self.epsilon(count):
            return int(rng.integers(q_values.size))
        return int(q_values.argmax())


@dataclass(frozen=True)
class Boltzmann:
    """P(a) proportional to exp(Q(a) / tau); with probability 1 - epsilon greedy (Wiering 1999)."""

    tau: Schedule
    epsilon: Schedule = constant(1.0)  # noqa: RUF009  a function without state
    per: Count = "env_step"

    def choose(self, q_values: Array, count: int, rng: np.random.Generator) -> int:
        if rng.random() >= self.epsilon(count):
            return int(q_values.argmax())
        logits = q_values.astype(np.float64) / self.tau(count)  # [A]
        weights = np.exp(logits - logits.max())  # [A], the maximum taken off: none overflows
        cumulative = weights.cumsum()  # [A]
        return int(cumulative.searchsorted(rng.random() * cumulative[-1], side="right"))


GREEDY = EpsilonGreedy(constant(0.0))


def choose_legal(
    policy: Policy, q_values: Array, legal: Array | None, count: int, rng: np.random.Generator
) -> int:
    """The policy's action by the q_values [A] of the `legal` ones alone, bool [A]; None is all."""
    if legal is None:
        return policy.choose(q_values, count, rng)
    actions = legal.nonzero()[0]  # [legal]
    return int(actions[policy.choose(q_values[actions], count, rng)])


class LearnResult(NamedTuple):
    """A learn step's values before its update: q_values [B, A], td_error [B], losses [B]."""

    q_values: Array
    td_error: Array
    losses: Array

    @property
    def loss(self) -> float:
        """Mean loss of the batch."""
        return float(self.losses.mean())


@dataclass
class Agent:
    """A DQN agent made of finished parts.

    The target network follows in one of two ways. With `target_rate` in (0, 1] it moves that part
    of the way to the online network after each learn step; 1 means no delay. With
    `target_interval` it is copied every so many env steps, after the update.
    It learns at every `train_interval`th env step, or at the last of each "episode".
    The agent's state is the networks' parameters, optimizer, memory, rng, and its counts: env_step,
    learn_call (of `gradient_steps` learn steps each) and episode.

    Raises:
        ValueError: a setting out of its range, or a memory too small to start learning.
    """

    network: Network
    optimizer: Optimizer
    memory: ReplayMemory
    policy: Policy
    rng: np.random.Generator
    _: KW_ONLY
    gamma: float = 0.99
    batch_size: int = 32
    warmup: int = 1000
    train_interval: int | Literal["episode"] = 1
    gradient_steps: int = 1
    n_steps: int = 1
    target_rate: float | None = None
    target_interval: int | None = None
    double: bool = False
    huber_clip: float = math.inf
    env_step: int = field(default=0, init=False)
    learn_call: int = field(default=0, init=False)
    episode: int = field(default=0, init=False)
    policy_count: int = field(default=0, init=False)  # what the newest action was chosen at

    def __post_init__(self) -> None:
        rate, interval = self.target_rate, self.target_interval
        if (rate is None) == (interval is None):
            raise ValueError(
                f"expected one of target_rate and target_interval, received {rate} and {interval}"
            )
        if rate is not None and not 0 < rate <= 1:
            raise ValueError(f"expected a target_rate in (0, 1], received {rate}")
        if not 0 <= self.gamma <= 1:
            raise ValueError(f"expected a gamma in [0, 1], received {self.gamma}")
        if not self.huber_clip > 0:
            raise ValueError(f"expected a huber_clip above 0, received {self.huber_clip}")
        counts = "batch_size", "train_interval", "gradient_steps", "n_steps", "target_interval"
        for name in counts:
            value = getattr(self, name)
            if isinstance(value, int) and value < 1:
                raise ValueError(f"expected a {name} of 1 or more, received {value}")
        self.learning_starts = max(self.warmup, self.batch_size, self.memory.window_length + 2)
        if self.memory.capacity < self.learning_starts:
            raise ValueError(
                f"expected a memory of at least {self.learning_starts} entries, where learning "
                f"starts, received {self.memory.capacity}"
            )
        self.online_network, self.target_network = self.network, self.network.clone()

    @property
    def learn_step(self) -> int:
        """Gradient updates so far."""
        return self.optimizer.learn_step

    def q_values(self, state: ArrayLike) -> Array:
        """The online network's values [A] of one state [W, *observation]."""
        flat = np.asarray(state, self.network.dtype).reshape(-1)  # [W * observation]
        return self.online_network.q_values(flat)  # [A]

    def select_action(self, state: ArrayLike, legal: Array | None = None) -> int:
        """The policy's action in a state [W, *observation], by `choose_legal`."""
        self.policy_count = getattr(self, self.policy.per)
        return choose_legal(self.policy, self.q_values(state), legal, self.policy_count, self.rng)

    def observe(
        self,
        observation: ArrayLike,
        action: int,
        reward: float,
        terminated: bool,
        legal: Array | None = None,
        *,
        truncated: bool = False,
    ) -> LearnResult | None:
        """Store one env step that began at `observation` [*observation], and learn when it is time.

        A memory with masks keeps the `legal` actions there, bool [A], too.
        Returns the result of the last learn step, or None where nothing was learned.
        """
        self.memory.append(observation, action, reward, terminated, legal)
        result = None
        if self.train_interval == "episode":
            is_due = terminated or truncated
        else:
            is_due = self.env_step % self.train_interval == 0
        if is_due and self.memory.size >= self.learning_starts:
            # All are drawn before the first is learned from: by the same priorities.
            batches = [self._sample() for _ in range(self.gradient_steps)]
            for batch in batches:
                result = self.learn(batch)
            self.learn_call += 1
        # Mnih 2015, algorithm 1, last line: every C steps reset Q^ = Q
        if self.target_interval and self.env_step % self.target_interval == 0:
            self.copy_to_target()
        self.env_step += 1
        return result

    def end_episode(self, observation: ArrayLike, legal: Array | None = None) -> None:
        """Store the last observation [*observation] of an episode, terminated or truncated."""
        self.memory.end_episode(observation, legal)
        self.episode += 1

    def td_target(
        self, reward: Array, next_state: Array, terminated: Array, steps: Any = 1, legal: Any = None
    ) -> Array:
        """y [B] from reward [B], next states [B, W * observation] and terminated (bool) [B].

        `steps` [B] or 1 counts the env steps whose rewards `reward` sums up; `legal` are the
        actions of the next states, bool [B, A], or None for all.
        A truncated episode is not terminated: the value of its last state counts.
        """
        next_q = self.target_network.q_values(next_state)  # [B, A]
        # Mnih 2015, algorithm 1, "set y_j": the target network chooses the action that it values;
        # van Hasselt 2016, eq. 4 (Double DQN): the online network chooses it
        choosing_q = self.online_network.q_values(next_state) if self.double else next_q  # [B, A]
        if legal is not None:
            choosing_q = np.where(legal, choosing_q, -np.inf)  # [B, A]
        best = choosing_q.argmax(axis=1)  # [B]
        next_value = next_q[np.arange(len(best)), best]  # [B]
        # Hessel 2018, "multi-step learning": R^(n) + gamma^n max Q, of the steps that there were
        y: Array = reward + self.gamma**steps * next_value * ~terminated  # [B]
        return y

    def learn(self, batch: Batch | None = None) -> LearnResult:
        """One learn step on `batch`, or on one drawn from the memory; then a soft target moves."""
        if batch is None:
            batch = self._sample()
        size, dtype = len(batch.action), self.network.dtype
        state = batch.state.reshape(size, -1).astype(dtype, copy=False)  # [B, W * observation]
        next_state = batch.next_state.reshape(size, -1).astype(dtype, copy=False)  # [B, W * obs]
        reward = batch.reward.astype(dtype, copy=False)  # [B]
        ends, steps, legal = batch.terminated, batch.steps, batch.next_legal
        td_target = self.td_target(reward, next_state, ends, steps, legal)  # [B]
        outputs = self.online_network.trace(state)  # [B, W * observation], ..., [B, A]
        q_values, rows = outputs[-1], np.arange(size)  # [B, A], [B]
        td_error = td_target - q_values[rows, batch.action]  # [B]
        losses, slope = td_loss(td_error, self.huber_clip)  # [B], [B]
        losses, slope = batch.weight * losses, batch.weight * slope  # [B], [B]
        # Mnih 2015, algorithm 1, gradient of (y_j - Q(phi_j, a_j))^2; keras-rl: mean of the half
        delta = np.zeros(q_values.shape, dtype)  # [B, A], the actions not taken have no error
        delta[rows, batch.action] = slope / size  # [B]
        self.online_network.backward(outputs, delta)
        self.optimizer.update(self.online_network)
        if self.target_rate is not None:  # Lillicrap 2016, algorithm 1, last lines
            target_parameters = self.target_network.parameters  # [P]
            target_parameters *= 1 - self.target_rate  # [P]
            target_parameters += self.target_rate * self.online_network.parameters  # [P]
        if self.memory.priorities:
            self.memory.priorities.update(batch.place, td_error)
        return LearnResult(q_values, td_error, losses)

    def _sample(self) -> Batch:
        return self.memory.sample(self.batch_size, n_steps=self.n_steps, gamma=self.gamma)

    def copy_to_target(self) -> None:
        """Make the target network equal to the online network."""
        self.target_network.parameters[...] = self.online_network.parameters  # [P]
