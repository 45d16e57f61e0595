"""Contiguous replay memory that keeps *terminated* and *the episode ends here* apart."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from kerasrl_runner.parts.ram import check_memory_fits
from kerasrl_runner.reference.priorities import Priorities
from kerasrl_runner.vendor import rl_memory

# After this many redraws of indices that hit closing entries, the valid ones are listed instead.
_REDRAWS = 16


class Batch(NamedTuple):
    """A batch of transitions; `state` and `next_state` are windows of W observations."""

    state: np.ndarray  # [B, W, *observation]
    action: np.ndarray  # [B] int64
    reward: np.ndarray  # [B] float64
    next_state: np.ndarray  # [B, W, *observation]
    terminated: np.ndarray  # [B] bool
    steps: Any  # env steps from `state` to `next_state`: [B] int64, or 1
    place: np.ndarray  # [B] int64, where in the ring the transitions start
    next_legal: np.ndarray | None  # [B, A] bool, the legal actions of `next_state`; None is all


class Column(Sequence[Any]):
    """One field of a memory's entries, oldest first: what the vendor keeps in a deque."""

    def __init__(self, field: str, memory: Any = None) -> None:
        self._field, self._memory = field, memory

    def __get__(self, memory: Any, _: Any) -> Column:
        return Column(self._field, memory)

    def __set__(self, memory: Any, values: Iterable[Any]) -> None:
        for index, value in zip(range(memory.nb_entries), values, strict=True):
            memory._entries[self._field][memory._physical(index)] = value

    def __len__(self) -> int:
        return int(self._memory.nb_entries)

    def __getitem__(self, index: Any) -> Any:
        logical = np.asarray(range(len(self))[index])
        return self._memory._entries[self._field][self._memory._physical(logical)]


class SequentialMemory(rl_memory.SequentialMemory):
    """A ring of entries, each (observation, action, reward, terminated) or a closing entry.

    A transition is two neighbouring entries: the first holds the observation, the action, its
    reward and whether the episode terminated; the second holds the next observation. An episode's
    last observation is stored by `end_episode` as a *closing entry*: it ends the last transition,
    never starts one, and no window crosses it. So an episode that was truncated, or cut by the end
    of `fit`, is not terminal, and yet no sample reaches into the next one (D5, D8 of
    docs/defects.md; rl/memory.py:130-199 has one flag for both). An entry that is appended right
    after a terminal one is a closing entry, too, as it is to the vendor.

    Samples are drawn uniformly with replacement by `generator`, in a bounded time (D17), or by
    their `priorities`. Indices are logical: 0 is the oldest entry.
    """

    def __init__(
        self,
        limit: int,
        window_length: int = 1,
        ignore_episode_boundaries: bool = False,
        generator: np.random.Generator | None = None,
    ) -> None:
        """`limit` and `window_length` count observations.

        Without a `generator` one is seeded from NumPy's global stream, so that
        `np.random.seed` at a script's start still makes its runs equal.

        Raises:
            ValueError: a window or a limit below 1.
        """
        if window_length < 1 or limit < 1:
            raise ValueError(f"expected 1 or more of each, received {window_length=}, {limit=}")
        rl_memory.Memory.__init__(self, window_length, ignore_episode_boundaries)
        self.limit = limit
        self.generator = generator or np.random.default_rng(np.random.randint(2**31, size=4))
        self._recent: deque[Any] = deque(maxlen=window_length - 1)
        self._after_terminal = False
        self._entries: Any = None  # [limit], of an observation, action, reward and terminated
        self.appended = 0  # entries ever stored
        self._size = 0
        self._next = 0

    masked_actions = 0  # A, where an entry keeps which of A actions were legal
    #: Where there are some, transitions are drawn by them: Schaul et al. (2016).
    priorities: Priorities | None = None
    observations, actions = Column("observation"), Column("action")
    rewards, terminals = Column("reward"), Column("terminated")

    def __getstate__(self) -> dict[str, Any]:
        """What is stored, without the room that is reserved for more."""
        state = vars(self).items()
        return {name: v[: self._size] if isinstance(v, np.ndarray) else v for name, v in state}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            if isinstance(value, np.ndarray):
                stored, value = value, np.zeros(state["limit"], value.dtype)
                value[: len(stored)] = stored
            setattr(self, name, value)

    @property
    def nb_entries(self) -> int:
        """How many entries are stored, closing ones included."""
        return self._size

    @property
    def inside_episode(self) -> bool:
        """Whether the newest entry is a transition that still waits for its next observation."""
        return self._size > 0 and not self._closing[self._next - 1]

    @property
    def capacity(self) -> int:
        """`limit`, in the field's word."""
        return self.limit

    def entries(self, first: int) -> dict[str, np.ndarray]:
        """Copies of the entries [first, appended), oldest first, and their closing flags: [N]."""
        place = np.arange(first, self.appended) % self.limit  # [N]
        return {"entries": self._entries[place], "closing": self._closing[place]}

    def refill(self, appended: int, entries: dict[str, np.ndarray]) -> None:
        """Hold just these `entries`, the last of which was the `appended`th ever stored.

        Raises:
            ValueError: entries of another kind, or more than fit.
        """
        stored, closing = entries["entries"], entries["closing"]
        alike = stored.dtype == self._entries.dtype and closing.dtype == self._closing.dtype
        count = len(stored)
        if not alike or stored.shape != closing.shape or not count == min(appended, self.limit):
            raise ValueError("these are no entries of such a replay memory")
        place = np.arange(appended - count, appended) % self.limit  # [N]
        self._entries[place], self._closing[place] = stored, closing
        self.appended, self._size, self._next = appended, count, appended % self.limit

    def reserve(self, observation: Any, action: Any = 0, masked_actions: int = 0) -> None:
        """Allocate `limit` entries for observations like this one; else the first `append` does.

        The system commits the pages as they fill, so an unused memory costs nothing yet. With
        `masked_actions` A an entry also keeps which actions were legal.

        Raises:
            PresetError: a full memory would not fit into this machine's RAM.
        """
        action = np.asarray(action)
        plain = isinstance(observation, np.ndarray) and observation.dtype != object
        shape, dtype = (observation.shape, observation.dtype) if plain else ((), np.dtype(object))
        entry = np.dtype(
            [
                ("observation", dtype, shape),
                ("action", action.dtype if action.dtype.kind == "f" else np.int64, action.shape),
                ("reward", np.float64),
                ("terminated", bool),
                *([("legal", bool, masked_actions)] if masked_actions else []),
            ]
        )
        self.masked_actions = masked_actions
        check_memory_fits(self.limit, entry.itemsize + 1)
        # One array holds whole entries, so that a sample costs one cache miss instead of four.
        self._entries = np.zeros(self.limit, entry)  # [limit]
        self._closing = np.zeros(self.limit, bool)  # [limit]

    def append(
        self,
        observation: Any,
        action: int,
        reward: float,
        terminal: bool,
        training: bool = True,
        legal: Any = True,
    ) -> None:
        """Store the start of a transition; without `training` it only enters the recent window.

        Args:
            legal: which actions were, bool [A] or all; for a memory of `masked_actions`.

        Raises:
            ValueError: the observation's shape or dtype differs from the ones before.
        """
        closing, self._after_terminal = self._after_terminal, bool(terminal)
        if training:
            self._store(observation, action, reward, terminal, legal, closing=closing)
        self._recent.append(observation)
        if closing and not self.ignore_episode_boundaries:
            self._recent.clear()

    def end_episode(self, observation: Any, legal: Any = True) -> None:
        """Close the episode with its last observation, if one is open, and forget the window.

        Without an observation the newest entry closes the episode and starts no transition; if it
        is terminal its own stands in, since nothing is learned from what follows.
        """
        if observation is None and self.inside_episode:
            newest = self._entries[self._next - 1]
            observation = newest["observation"] if newest["terminated"] else None
        if self.inside_episode and observation is None:
            self._closing[self._next - 1] = True
        elif self.inside_episode:
            self._store(observation, 0, 0.0, False, legal, closing=True)
        self._after_terminal = False
        self._recent.append(observation)
        if not self.ignore_episode_boundaries:
            self._recent.clear()

    def get_recent_state(self, current_observation: Any) -> list[Any]:
        """The window that ends in `current_observation`, zero-padded: W observations."""
        state = [*self._recent, current_observation]
        missing = self.window_length - len(state)
        return [blank(current_observation)] * missing + state if missing else state

    def swap_recent(self, recent: list[Any]) -> list[Any]:
        """Replace the recent window (without the current observation); returns the old one."""
        self._after_terminal = False
        old = list(self._recent)
        self._recent.clear()
        self._recent.extend(recent)
        return old

    def sample(self, batch_size: int, batch_idxs: Any = None) -> list[rl_memory.Experience]:
        """As `sample_batch`, in the vendor's form: B `Experience`s, their states as arrays."""
        batch = self.sample_batch(batch_size, batch_idxs, redraw=True)
        # Several inputs go as lists of their tuples, as the vendor's processors expect them.
        state, next_state = (
            states.tolist() if states.dtype == object else states
            for states in (batch.state, batch.next_state)
        )
        columns = (state, batch.action.tolist(), batch.reward.tolist(), next_state,
                   batch.terminated.tolist())  # fmt: skip
        return list(map(rl_memory.Experience, *columns))

    def sample_batch(
        self,
        batch_size: int,
        indices: Any = None,
        *,
        redraw: bool = False,
        n_steps: int = 1,
        gamma: float = 1.0,
    ) -> Batch:
        """Draw `batch_size` transitions, or take those that start at the logical `indices` [B].

        To `redraw` is the vendor's way: another one where an index is a closing entry's. A reward
        is that of up to `n_steps` env steps, discounted by `gamma`; of fewer where the episode or
        what is stored ends before.

        Raises:
            ValueError: fewer than window + 2 entries, or an index that starts no transition.
        """
        if self._size < self.window_length + 2:
            raise ValueError(
                f"expected at least window_length + 2 = {self.window_length + 2} entries to "
                f"sample from, there are {self._size} of limit={self.limit}"
            )
        if indices is None:
            return self._gather(self._draw(batch_size), n_steps, gamma)
        start = np.array(indices)  # [B]
        outside = start.min() < 0 or start.max() >= self._size - 1
        if outside or (self._is_closing(start).any() and not redraw):
            raise ValueError(f"indices: {start.tolist()} do not all start a transition")
        wrong = self._is_closing(start).nonzero()[0]
        start[wrong] = self._draw(wrong.size)
        return self._gather(start, n_steps, gamma)

    def _draw(self, batch_size: int) -> np.ndarray:
        if self.priorities is not None:
            place = self.priorities.tree.find(self.generator.random(batch_size))  # [B]
            return place if self._size < self.limit else (place - self._next) % self.limit
        # Once the ring has wrapped, what came before the oldest entry is unknown: start at the
        # first whose whole window is stored.
        low = self.window_length - 1 if self.appended > self.limit else 0
        high = self._size - 1
        start = self.generator.integers(low, high, size=batch_size)  # [B]
        for _ in range(_REDRAWS):
            wrong = self._is_closing(start).nonzero()[0]  # [redrawn]
            if not wrong.size:
                return start
            start[wrong] = self.generator.integers(low, high, size=wrong.size)
        wrong = self._is_closing(start).nonzero()[0]
        valid = low + (~self._is_closing(np.arange(low, high))).nonzero()[0]
        if not valid.size:
            raise ValueError("the memory holds no transition with its whole window")
        start[wrong] = self.generator.choice(valid, size=wrong.size)
        return start

    def _gather(self, start: np.ndarray, n_steps: int, gamma: float) -> Batch:
        row = self._physical(start)  # [B]
        first = self._entries.take(row)  # [B]; take() is faster than indexing at this size
        last, final, reward = row, first, first["reward"]  # [B], [B], [B]
        steps: Any = 1
        if n_steps > 1:
            ahead = np.arange(n_steps)  # [n]
            logical = np.minimum(start[:, None] + ahead, self._size - 1)  # [B, n]
            stops = (logical == self._size - 1) | self._is_closing(logical)  # [B, n]
            steps = np.where(stops.any(axis=1), stops.argmax(axis=1), n_steps)  # [B]
            rewards = self._entries["reward"][self._physical(logical)]  # [B, n]
            # Sutton & Barto (2018), eq. 7.1
            reward = (rewards * gamma**ahead * (ahead < steps[:, None])).sum(axis=1)  # [B]
            last = self._physical(start + steps - 1)  # [B]
            final = self._entries.take(last)  # [B]
        if self.window_length == 1:
            state = first["observation"][:, None]  # [B, 1, *observation]
            second = self._entries.take(last + 1, mode="wrap")  # [B]
            next_state = second["observation"][:, None]  # [B, 1, *observation]
        else:
            frames = self._frames(start)  # [B, W + 1, *observation]
            state, next_state = frames[:, :-1], frames[:, 1:]
            if n_steps > 1:
                next_state = self._frames(start + steps - 1)[:, 1:]
        next_legal = None
        if self.masked_actions:
            next_legal = self._entries["legal"][(last + 1) % self.limit]  # [B, A]
        ends = final["terminated"]  # [B]
        return Batch(state, first["action"], reward, next_state, ends, steps, row, next_legal)

    def _frames(self, start: np.ndarray) -> np.ndarray:
        """The windows that end in `start` [B] and one frame more, [B, W + 1, *observation]."""
        logical = start[:, None] + np.arange(1 - self.window_length, 2)  # [B, W + 1]
        frames = self._entries["observation"][self._physical(logical)]  # [B, W + 1, *observation]
        # From the newest backwards: a frame is outside once a closing entry lies at or after
        # it, or where it would lie before the first entry.
        older = logical[:, -3::-1]  # [B, W - 1]
        outside = older < 0  # [B, W - 1]
        if not self.ignore_episode_boundaries:
            outside |= self._is_closing(older)
        outside = np.logical_or.accumulate(outside, axis=1)[:, ::-1]  # [B, W - 1]
        if frames.dtype == object:
            for sample, place in np.argwhere(outside):
                frames[sample, place] = blank(frames[sample, -1])
        else:
            frames[:, : self.window_length - 1][outside] = 0
        return frames

    def _physical(self, logical: np.ndarray) -> np.ndarray:
        if self._size < self.limit:
            return logical
        return (logical + self._next) % self.limit

    def _is_closing(self, logical: np.ndarray) -> np.ndarray:
        return self._closing.take(self._physical(logical))

    def _store(self, observation: Any, action: Any, *others: Any, closing: bool) -> None:
        # Several inputs stay as they are, as a tuple, a dict or a list of unlike arrays.
        is_several = isinstance(observation, tuple) and any(map(np.ndim, observation))
        if not (is_several or isinstance(observation, np.ndarray | dict)):
            with contextlib.suppress(ValueError):
                observation = np.asarray(observation)
        if self._entries is None:
            self.reserve(observation, action)
        stored = self._entries["observation"]
        if stored.dtype != object:
            self._make_room(observation, stored)
        index = self._next
        # Most memories have no field for the last of them, the legal actions.
        self._entries[index] = (observation, action, *others)[: len(self._entries.dtype)]
        self._closing[index] = closing
        self.appended += 1
        self._next = (index + 1) % self.limit
        self._size = min(self._size + 1, self.limit)
        if self.priorities is not None:
            self.priorities.append(self.appended, self._closing)

    def _make_room(self, observation: Any, stored: np.ndarray) -> None:
        """Hold larger numbers or floats from here on, where a script's `reset` gave smaller ones.

        Raises:
            ValueError: the observation's shape differs from the ones before, or its kind.
        """
        given = observation if isinstance(observation, np.ndarray) else np.array(None)
        if given.dtype == stored.dtype and given.shape == stored.shape[1:]:
            return
        is_promoted = (
            given.dtype.kind in "iubf"
            and stored.dtype.kind in "ib"
            and np.result_type(given, stored) != stored.dtype
        )
        alike = is_promoted or np.can_cast(given.dtype, stored.dtype, "same_kind")
        if given.shape != stored.shape[1:] or not alike:
            raise ValueError(
                f"the environment returned an observation of shape {given.shape} and dtype "
                f"{given.dtype}; the ones before had shape {stored.shape[1:]} and dtype "
                f"{stored.dtype}"
            )
        if is_promoted:
            fields = [
                (
                    name,
                    np.result_type(given, stored) if name == "observation" else field.base,
                    field.shape,
                )
                for name, (field, _) in self._entries.dtype.fields.items()
            ]
            self._entries = self._entries.astype(np.dtype(fields))


def blank(observation: Any) -> Any:
    """The padding before an episode's start: zeros like `observation`, in its dtype."""
    if isinstance(observation, np.ndarray) and observation.dtype != object:
        return np.zeros_like(observation)
    return rl_memory.zeroed_observation(observation)
