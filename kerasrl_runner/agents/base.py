"""keras-rl's loops, corrected: counting, ending, a test inside a fit.

The defects (D3, ...) are those of docs/defects.md.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from kerasrl_runner.agents.callbacks import TrainIntervalLogger
from kerasrl_runner.agents.relay import CallbackRelay, move_processor
from kerasrl_runner.environments.adapter import KerasRLEnvironment, as_keras_rl
from kerasrl_runner.errors import TrainingDiverged, divergence_error
from kerasrl_runner.parts.memory import SequentialMemory
from kerasrl_runner.parts.model import check_legacy_keras, with_dueling_head
from kerasrl_runner.vendor import keras, rl_callbacks, rl_dqn
from kerasrl_runner.weights.configuration import add_rescaling, check_same_network
from kerasrl_runner.weights.file import WeightsFile, read_weights, write_weights
from kerasrl_runner.weights.keras_weights import config_of, layers_of, read_checkpoint, set_layers

# D22: a greedy policy may never end an episode.
TEST_EPISODE_STEPS = 10_000

# A test restores these, since it may run inside a fit (D18b).
_TRAINING_STATE = (
    "training", "_step", "_keep_step", "_closing", "_next_observation", "recent_observation",
    "recent_action", "recent_legal", "stop_training",
)  # fmt: skip


class BaseDQNAgent(rl_dqn.DQNAgent):
    """rl.agents.DQNAgent with its loops corrected. Takes the vendor's arguments.

    A subclass says where the network lives (`_adopt`) and how a step is stored and learned from
    (`_store_and_learn`). `fit` goes on where the last one ended: steps, annealing and warm-up are
    counted over all of them (D19). `interrupted` tells after `fit` or `test` whether Ctrl-C ended
    it; a callback ends `fit` by `agent.stop_training = True`.

    Raises:
        ValueError: memory_interval other than 1 (D9), target_model_update of 0 (D31), or a
            memory that cannot keep terminated and the end of an episode apart (D5); a model that
            is none of legacy Keras.
    """

    def __init__(
        self,
        model: Any,
        policy: Any = None,
        test_policy: Any = None,
        enable_double_dqn: bool = False,
        enable_dueling_network: bool = False,
        dueling_type: str = "avg",
        *args: Any,
        **kwargs: Any,
    ) -> None:
        self._step = 0
        self.learn_call = 0
        self._keep_step = False
        self._closing = False
        self._next_observation: Any = None
        self._environment: KerasRLEnvironment | None = None
        self.interrupted = False
        self.stop_training = False
        check_legacy_keras(model, keras.Model)
        # The vendor's head is a Lambda, and in the wrong place (D13, D13b).
        if enable_dueling_network:
            model = with_dueling_head(model, dueling_type)
        self._scope, network = self._adopt(model)
        with self._scope:
            super().__init__(
                network, policy, test_policy, enable_double_dqn, False, "avg", *args, **kwargs
            )
        self.enable_dueling_network = enable_dueling_network
        self.dueling_type = dueling_type
        self._check_arguments()

    #: From the environment that `fit` and `test` are passed to the one that the loop runs in.
    adapt = staticmethod(as_keras_rl)
    #: What the environment multiplies observations by; the network of a file does it itself.
    observation_scale: float | Sequence[float] = 1.0
    training: bool
    nb_steps_warmup: float
    train_interval: int | Literal["episode"]
    recent_action: int | None
    #: The legal actions of the recent observation, bool [A]; empty where all are.
    recent_legal: tuple[np.ndarray, ...] = ()

    @property
    def step(self) -> int:
        """Env steps of all `fit` calls so far; the vendor's own is an int16 (D3, D3b)."""
        return self._step

    @step.setter
    def step(self, value: int) -> None:
        if self._keep_step:  # The vendor's fit sets it to 0 when it starts (D19).
            self._keep_step = False
        else:
            self._step = int(value)

    def count_of(self, per: str) -> int:
        """Of all fits so far: the env steps, learn calls or episodes that came to their end."""
        if per == "episode":
            return 0 if self._environment is None else self._environment.episode
        return self.learn_call if per == "learn_call" else self._step

    def process_state_batch(self, batch: Any) -> Any:
        """States [B, W, *observation] in their own dtype, not as the vendor's objects (D26)."""
        try:
            array = np.asarray(batch)
        except ValueError:  # several inputs of unlike shapes
            array = np.array(batch, dtype=object)
        return array if self.processor is None else self.processor.process_state_batch(array)

    def compute_q_values(self, state: Any) -> np.ndarray:
        """Q values [A] of one state, a list of W observations.

        Raises:
            TrainingDiverged: they are NaN or infinite (D25).
        """
        q_values = self._q_values(state)
        if not math.isfinite(q_values.sum()):
            raise self._diverged(f"the Q values became {q_values}")
        return q_values

    def forward(self, observation: Any) -> int:
        """Choose an action; the vendor's extra call after an episode's end only stores."""
        if self._closing:
            self.recent_observation, self.recent_action = observation, 0
            return 0
        return super().forward(observation)

    def backward(self, reward: float, terminal: bool) -> list[float]:
        """Store the step and learn. `terminal` says that the episode ends, for either reason.

        Raises:
            TrainingDiverged: the loss is NaN or infinite (D25).
        """
        if self._closing:  # D18: the extra call of rl/core.py:214 stores, it never trains
            self._closing = False
            if self.training:
                self.memory.end_episode(self.recent_observation, *self.recent_legal)
            else:
                self.memory.swap_recent([])
            return [math.nan] * len(self.metrics_names)
        # A script that steps by hand makes no extra call; the memory closes its episodes itself.
        self._closing = bool(terminal) and self._environment is not None
        self._next_observation = None
        truncated = self._environment is not None and self._environment.truncated
        learns = self._learns(bool(terminal))
        metrics = self._store_and_learn(reward, bool(terminal) and not truncated, learns)
        self.learn_call += learns
        if learns and not math.isfinite(metrics[0]):
            raise self._diverged(f"the loss became {metrics[0]}")
        return metrics

    def note_next_observation(self, next_observation: Any) -> None:
        """Keep the observation that followed the newest step, in case `fit` ends there."""
        self._next_observation = next_observation
        self._note_legal_actions()

    def fit(
        self,
        env: Any,
        nb_steps: int,
        action_repetition: int = 1,
        callbacks: list[Any] | None = None,
        verbose: int = 1,
        visualize: bool = False,
        nb_max_start_steps: int = 0,
        start_step_policy: Any = None,
        log_interval: int = 10_000,
        nb_max_episode_steps: int | None = None,
    ) -> Any:
        """Vendor's fit for `nb_steps` more steps in a Gymnasium environment.

        A step is one action, taken `action_repetition` times; the up to `nb_max_start_steps` that
        begin an episode are not counted and not stored. `nb_max_episode_steps` counts alike and
        truncates: the update bootstraps over it (D5).
        """
        loggers = [TrainIntervalLogger(log_interval)] * verbose
        if verbose > 1:
            loggers = [rl_callbacks.TrainEpisodeLogger()]
        self.stop_training = False
        self.memory.end_episode(None)  # D8: a script may have appended entries by hand
        cap = nb_max_episode_steps and nb_max_episode_steps * action_repetition
        with self._loop(env, callbacks, loggers, visualize, cap) as relay:
            self._keep_step = True
            super().fit(
                relay.environment, self._step + nb_steps, action_repetition, [relay], 0, False,
                nb_max_start_steps, start_step_policy,
            )  # fmt: skip
        return relay.history

    def test(
        self,
        env: Any,
        nb_episodes: int = 1,
        action_repetition: int = 1,
        callbacks: list[Any] | None = None,
        visualize: bool | None = None,
        nb_max_episode_steps: int | None = TEST_EPISODE_STEPS,
        nb_max_start_steps: int = 0,
        start_step_policy: Any = None,
        verbose: int = 1,
    ) -> Any:
        """Vendor's test. It leaves steps, memory and mode of a training as they are (D8, D18b).

        `visualize` defaults to whether the environment was made with a render_mode (D6).
        """
        loggers = [rl_callbacks.TestLogger()] if verbose else []
        cap = nb_max_episode_steps and nb_max_episode_steps * action_repetition
        kept = {name: getattr(self, name) for name in _TRAINING_STATE}
        window = self.memory.swap_recent([])
        self.stop_training = self._keep_step = False
        try:
            with self._loop(env, callbacks, loggers, visualize, cap) as relay:
                super().test(
                    relay.environment, nb_episodes, action_repetition, [relay], False, None,
                    nb_max_start_steps, start_step_policy, verbose=0,
                )  # fmt: skip
        finally:
            self.memory.swap_recent(window)
            for name, value in kept.items():
                setattr(self, name, value)
        return relay.history

    def save_weights(self, filepath: str | Path, overwrite: bool = False) -> None:
        """Write a legacy Keras .h5 file of any name, whole or not at all; never asks (D10).

        A file in the way stays without `overwrite`: a warning names the one written beside it.

        Raises:
            WeightsError: the name ends in .weights.h5 (D11), or a weight is NaN or infinite.
        """
        path = wanted = Path(filepath)
        numbers = itertools.count(2)
        while path.exists() and not overwrite:
            path = wanted.with_name(f"{wanted.stem}-{next(numbers)}{wanted.suffix}")
        write_weights(path, self.exported_weights(), overwrite=overwrite)
        if path != wanted:
            message = f"{wanted} exists and is kept: the weights are in {path}"
            warnings.warn(f"{message}. Pass overwrite=True to replace it.", stacklevel=2)

    def load_weights(self, filepath: str | Path) -> None:
        """Read weights written by this project, Keras or keras-rl, whatever their name (D11, D11b).

        Where there is no file of that name but `filepath`.index, it is a TensorFlow checkpoint.

        Raises:
            WeightsNotFound: there is neither; also a FileNotFoundError.
            WeightsError: not such a file, or of another architecture; nothing was changed then.
        """
        path = Path(filepath)
        if not path.is_file() and Path(f"{path}.index").is_file():
            self.set_weights(read_checkpoint(path, self.model))
        else:
            self.set_weights(read_weights(path))

    def exported_weights(self) -> WeightsFile:
        """The online network's configuration and weights, as files hold them."""
        with self._scope:
            return WeightsFile(layers_of(self.model), self._network_config(), {})

    def set_weights(self, weights: WeightsFile) -> None:
        """Put weights into the online and the target network. Raises WeightsError."""
        with self._scope:
            expected = self._network_config()
            if expected is not None and weights.config is not None:
                head = self.model.layers[-1]
                check_same_network(expected, weights.config, getattr(head, "dueling_type", None))
            set_layers(self.model, weights)
            if self.compiled:
                self.update_target_model_hard()

    def prepare_learning(self) -> None:
        """Make ahead what the first update would make; there is nothing to make here."""

    def variables(self) -> dict[str, np.ndarray]:
        """Copies of all that the next update depends on: weights and optimizer state."""
        raise NotImplementedError

    def set_variables(self, variables: dict[str, np.ndarray]) -> None:
        """Take back what `variables` returned. Raises ValueError, and nothing has changed."""
        raise NotImplementedError

    def _adopt(self, model: Any) -> tuple[Any, Any]:
        """The scope in which TensorFlow works, and the network to train there."""
        raise NotImplementedError

    def _store_and_learn(self, reward: float, terminated: bool, learns: bool) -> list[float]:
        """Store the step and, where it `learns`, update; returns the metrics, NaN for none."""
        raise NotImplementedError

    def _network_config(self) -> dict[str, Any] | None:
        """The configuration of a network that takes the environment's own observations."""
        return add_rescaling(config_of(self.model), self.observation_scale)

    def _note_legal_actions(self) -> None:
        legal = getattr(self._environment, "legal_actions", None)
        self.recent_legal = () if legal is None else (legal,)

    def _q_values(self, state: Any) -> Any:
        return self.compute_batch_q_values([state])[0]

    def _diverged(self, what: str) -> TrainingDiverged:
        return divergence_error(what, self.step)

    def _check_arguments(self) -> None:
        """Check values after the vendor's constructor has set them from all its arguments."""
        if not isinstance(self.memory, SequentialMemory):
            raise ValueError(
                f"{self.memory} cannot tell a time limit from a terminal state; use the "
                f"SequentialMemory of kerasrl_runner.keras_rl"
            )
        if self.memory_interval != 1:
            raise ValueError(f"memory_interval={self.memory_interval} skips steps; expected 1")
        if self.target_model_update == 0:
            raise ValueError("target_model_update=0 would never update the target; expected > 0")
        if self.memory.limit < self.memory.window_length + 2:
            raise ValueError("the memory's limit is below window_length + 2; raise it")

    @contextlib.contextmanager
    def _loop(
        self, env: Any, callbacks: Any, loggers: list[Any], visualize: bool | None, cap: int | None
    ) -> Iterator[CallbackRelay]:
        """Surround the vendor's fit and test with a clean start and, always, a clean end.

        Ctrl-C ends it, and with a test the fit that it runs in (D20).
        """
        environment = self.adapt(env)
        if visualize is None:
            visualize = environment.render_mode is not None
        drawing = [rl_callbacks.Visualizer()] if visualize else []
        callbacks = [*(callbacks or []), *drawing, *loggers]
        relay = CallbackRelay(self, environment, env, callbacks, cap)
        outer, self._environment = self._environment, environment
        outer_cap = environment.nb_max_episode_steps
        self._closing = False
        self.interrupted = False
        self.memory.swap_recent([])
        try:
            with self._scope, move_processor(self.processor, environment):
                yield relay
        except KeyboardInterrupt:  # the vendor catches it in fit's steps alone
            relay.interrupted = not self.stop_training
            if relay.interrupted and outer is not None:
                raise
        finally:
            if self.training and self.memory.inside_episode:  # D8: fit stops where it stands
                self.memory.end_episode(self._next_observation, *self.recent_legal)
            self.memory.swap_recent([])
            self.training = False  # D20
            self._keep_step = False
            self._closing = False
            self._environment = outer
            environment.nb_max_episode_steps = outer_cap
            self.interrupted = relay.interrupted
            relay.finish(did_abort=True)

    def _learns(self, episode_over: bool) -> bool:
        """Whether the next `backward` trains: the warm-up counts entries ever stored (D16)."""
        needed = max(self.nb_steps_warmup, self.batch_size, self.memory.window_length + 2)
        interval = self.train_interval
        is_due = episode_over if interval == "episode" else self._step % interval == 0
        return self.training and is_due and self.memory.appended + 1 >= needed
