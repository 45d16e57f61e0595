"""keras-rl's agent with its arithmetic replaced: one XLA program an update, eager mode on."""

from __future__ import annotations

import contextlib
import gc
import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from kerasrl_runner.agents.base import BaseDQNAgent
from kerasrl_runner.agents.xla.update import CompiledUpdate, UpdateSettings
from kerasrl_runner.errors import EngineRefusal
from kerasrl_runner.parts.memory import SequentialMemory
from kerasrl_runner.parts.model import check_eager_mode, copy_model
from kerasrl_runner.parts.optimizers import new_style_optimizer
from kerasrl_runner.vendor import EpsGreedyQPolicy, keras, rl_policy, tf

_TD_ERROR = {"mae", "mean_absolute_error"}  # names that the vendor's metrics have for it
_FLOATS = {"float16", "bfloat16", "float32", "float64"}


class LazyQValues:
    """Q values [A] that are computed only if an epsilon-greedy policy wants the best action."""

    ndim = 1

    def __init__(self, nb_actions: int, compute: Callable[[], np.ndarray]) -> None:
        self.shape = (nb_actions,)
        self._compute = compute

    def argmax(self, axis: int | None = None, out: None = None) -> np.intp:
        """What np.argmax calls."""
        return self._compute().argmax()


class CompiledDQNAgent(BaseDQNAgent):
    """A DQNAgent whose update is one XLA program: the same answer, many times faster.

    Takes the vendor's arguments and keeps its fit, test, policies and callbacks. The model that
    is passed is trained in place: after `fit` it holds the trained weights.

    Args:
        gradient_steps: updates in one call at each `train_interval`th env step; keras-rl has one.
        n_steps: env steps whose rewards a target sums up; keras-rl has one.
        target_network: False takes the online network's values of the next states.
        seed: of Dropout's masks, together with the learn step.
        dtype: "float32" or "float64"; the model must be of the same.

    Raises:
        ValueError: as BaseDQNAgent, an argument out of its range, graph mode, or an
            EngineRefusal of a model of several inputs, of layers that keep a state between
            calls, or of layers that compute in another dtype.
    """

    def __init__(
        self,
        *args: Any,
        gradient_steps: int = 1,
        n_steps: int = 1,
        target_network: bool = True,
        seed: int = 0,
        dtype: str = "float32",
        **kwargs: Any,
    ) -> None:
        self.gradient_steps = gradient_steps
        self.n_steps = n_steps
        self.target_network = target_network
        self._seed = seed
        self._dtype = dtype
        self._td_errors: list[str] = []
        self._update: CompiledUpdate | None = None
        self._optimizer_state: dict[str, np.ndarray] = {}  # of the agent that this is a pickle of
        super().__init__(*args, **kwargs)

    @property
    def model(self) -> Any:
        """The online network with its current weights."""
        self._sync_models()
        return self._model

    @model.setter
    def model(self, model: Any) -> None:
        if getattr(self, "_model", model) is not model:
            raise AttributeError("agent.model cannot be replaced; make an agent of that model")
        self._model = model

    @property
    def target_model(self) -> Any:
        """The target network with its current weights."""
        self._sync_models()
        return self._target_model

    @property
    def trainable_model(self) -> Any:
        """The online network, with the optimizer, as scripts look at it."""
        self.model.optimizer = self.optimizer
        return self._model

    @property
    def metrics_names(self) -> list[str]:
        """The vendor's, where `mae` is the mean |TD error| of the taken actions (D15)."""
        own = ["loss", *self._td_errors, "mean_q", *self.policy.metrics_names]
        return own if self.processor is None else own + self.processor.metrics_names

    def compile(self, optimizer: Any, metrics: list[Any] | None = None) -> None:
        """Take a Keras optimizer, or the name or legacy twin of one; the target starts anew.

        Warns of `metrics` other than "mae", which are left out.
        """
        self._sync_models()
        self._target_model = copy_model(self._model)
        self.optimizer = new_style_optimizer(optimizer)
        self._td_errors = [name for name in metrics or () if name in _TD_ERROR]
        if len(metrics or ()) > len(self._td_errors):
            warnings.warn(f'metrics: expected "mae" alone, received {metrics}', stacklevel=2)
        self._update, self._optimizer_state = None, {}
        self.compiled = True

    def prepare_learning(self) -> None:
        """Compile the update's program now, by an update on an empty batch that is taken back.

        It takes seconds, in which no signal is heeded: better before anything is on disk.
        """
        assert self._update is not None, "nothing was computed yet"
        before = self.variables()
        self._update()
        self.set_variables(before)

    def compute_batch_q_values(self, state_batch: Any) -> np.ndarray:
        """Q values [B, A] of a list of B states."""
        states = self.process_state_batch(state_batch)
        return np.asarray(self.model(states, training=False))

    def _q_values(self, state: Any) -> Any:
        states = self.process_state_batch([state])  # [1, W, *observation]
        update = self._current_update() or self._build_update(states)
        return update.networks.q_values(states[0])

    def forward(self, observation: Any) -> int:
        """Choose an action; Q values are not computed for a random one.

        A policy is handed the Q values of the legal actions alone, and chooses among those.
        """
        self._note_legal_actions()
        policy = self.policy if self.training else self.test_policy
        is_lazy = _draws_first(policy)
        if self._closing or not (is_lazy or self.recent_legal):
            return super().forward(observation)
        state = self.memory.get_recent_state(observation)
        actions = np.arange(self.nb_actions)[self.recent_legal]  # [legal]

        def compute() -> np.ndarray:
            return self.compute_q_values(state)[self.recent_legal]  # [legal]

        q_values = LazyQValues(actions.size, compute) if is_lazy else compute()
        action = int(actions[policy.select_action(q_values=q_values)])
        self.recent_observation, self.recent_action = observation, action
        return action

    def fit(self, *args: Any, **kwargs: Any) -> Any:
        """As BaseDQNAgent.fit; afterwards the passed model holds the trained weights."""
        # Else each full collection walks through all that TensorFlow keeps.
        gc.freeze()
        try:
            return super().fit(*args, **kwargs)
        finally:
            gc.unfreeze()
            self._sync_models()

    def __getstate__(self) -> dict[str, Any]:
        """Scripts pickle agents: the program is left out, the optimizer's state is kept."""
        self._sync_models()
        state = self._optimizer_state if self._update is None else self.variables()
        kept = {name: array for name, array in state.items() if name.startswith("optimizer/")}
        optimizer = self.optimizer and keras.optimizers.serialize(self.optimizer)
        return {**vars(self), "_update": None, "_optimizer_state": kept, "optimizer": optimizer}

    def __setstate__(self, state: dict[str, Any]) -> None:
        optimizer = state["optimizer"] and keras.optimizers.deserialize(state["optimizer"])
        self.__dict__.update(state, optimizer=optimizer)

    def variables(self) -> dict[str, np.ndarray]:
        """Copies of all that the next update depends on: weights, optimizer state, mask keys."""
        assert self._update is not None, "nothing was computed yet"
        return self._update.state_dict()

    def set_variables(self, variables: dict[str, np.ndarray]) -> None:
        """Take back what `variables` returned. Raises ValueError, and nothing has changed."""
        assert self._update is not None, "nothing was computed yet"
        self._update.load_state_dict(variables)

    def update_target_model_hard(self) -> None:
        """Copy the online network's weights to the target network."""
        update = self._current_update()
        if update is None:
            super().update_target_model_hard()
        else:
            update.networks.hard_update()

    def reset_states(self) -> None:
        """Forget the recent observation; take weights that the model was given meanwhile."""
        self.recent_action = self.recent_observation = None
        if self._update is not None:
            self._update.networks.take_models()

    def _check_arguments(self) -> None:
        super()._check_arguments()
        if type(self.memory).sample is not SequentialMemory.sample:
            raise EngineRefusal("the memory draws its samples in a way of its own")
        ranges = {
            "gradient_steps": (self.gradient_steps >= 1, "1 or more"),
            "n_steps": (self.n_steps >= 1, "1 or more"),
            "batch_size": (self.batch_size >= 1, "1 or more"),
            "gamma": (0 <= self.gamma <= 1, "0 to 1"),
            "delta_clip": (self.delta_clip > 0, "more than 0"),
        }
        for name, (holds, expected) in ranges.items():
            if not holds:
                raise ValueError(f"{name}: expected {expected}, received {getattr(self, name)}")

    def _adopt(self, model: Any) -> tuple[Any, Any]:
        check_eager_mode()
        if len(model.inputs) != 1:
            raise EngineRefusal(
                f"the compiled engine takes one input, this model has {len(model.inputs)}"
            )
        for layer in model.layers:
            if layer.stateful:
                raise EngineRefusal(
                    f"the compiled engine carries no state from call to call, as stateful=True of "
                    f"{type(layer).__name__} {layer.name!r} asks for (keras-rl does where the "
                    f"model takes batches of any size)"
                )
            if layer.compute_dtype in _FLOATS - {self._dtype}:
                raise EngineRefusal(
                    f"the compiled engine computes in {self._dtype}, not in "
                    f"{layer.compute_dtype} as {type(layer).__name__} {layer.name!r}"
                )
        return contextlib.nullcontext(), model

    def _sync_models(self) -> None:
        if self._update is not None:
            self._update.networks.sync_models()

    def _current_update(self) -> CompiledUpdate | None:
        """The update, with the weights that a script may have given to the models it looked at."""
        if self._update is not None and self._update.networks.models_are_shown:
            self._update.networks.take_models()
            self._update.networks.models_are_shown = False
        return self._update

    def _settings(self) -> UpdateSettings:
        # At a rate of 1 the target network is the online one at each update.
        rate = self.target_model_update if self.target_network else 1.0
        is_hard = self.target_network and rate >= 1
        return UpdateSettings(
            self.delta_clip,
            self.enable_double_dqn,
            None if is_hard else rate,
            self.batch_size,
            self.gradient_steps,
            self.memory.priorities is not None,
            self.memory.masked_actions,
        )

    def _build_update(self, states: np.ndarray) -> CompiledUpdate:
        """Make the update, once the first states [B, W, *observation] show their dtype."""
        # Frames stay bytes; other whole numbers may be followed by floats.
        dtype = "uint8" if states.dtype == np.uint8 else self._dtype
        state = tf.TensorSpec(states.shape[1:], dtype)
        self._update = CompiledUpdate(
            self._model, self._target_model, self.optimizer, self._settings(), state, self._seed
        )
        if self._optimizer_state:
            self.set_variables({**self.variables(), **self._optimizer_state})
        return self._update

    def _store_and_learn(self, reward: float, terminated: bool, learns: bool) -> list[float]:
        """Store the step, and at its time run `gradient_steps` updates in one call."""
        self.memory.append(
            *(self.recent_observation, self.recent_action, reward, terminated, self.training),
            *self.recent_legal,
        )
        metrics = self._learn() if learns else [math.nan] * len(self.metrics_names)
        if self.training and self._is_hard_update():
            self.update_target_model_hard()
        return metrics

    def _is_hard_update(self) -> bool:
        interval = self.target_model_update
        return self.target_network and interval >= 1 and self.step % interval == 0

    def _learn(self) -> list[float]:
        count = self.gradient_steps * self.batch_size
        drawn = self.memory.sample_batch(count, n_steps=self.n_steps, gamma=self.gamma)
        states = self.process_state_batch(drawn.state)  # [K * B, W, *observation]
        next_states = self.process_state_batch(drawn.next_state)  # [K * B, W, *observation]
        update = self._current_update() or self._build_update(states)
        if update.settings != self._settings() or not 0 <= self.gamma <= 1:  # a script changed one
            self._check_arguments()
            update.configure(self._settings())
        batch = update.batch
        batch.states[...] = states.reshape(batch.states.shape)
        batch.actions[...] = drawn.action.reshape(batch.actions.shape)
        batch.rewards[...] = drawn.reward.reshape(batch.rewards.shape)
        batch.next_states[...] = next_states.reshape(batch.states.shape)
        discounts = self.gamma**drawn.steps * ~drawn.terminated  # [K * B]
        batch.discounts[...] = discounts.reshape(batch.discounts.shape)
        if drawn.next_legal is not None:
            batch.next_legal[...] = drawn.next_legal.reshape(batch.next_legal.shape)
        if update.settings.weighted:
            place = drawn.place.reshape(batch.weights.shape)  # [K, B]
            batch.weights[...] = self.memory.priorities.weights(place)
        metrics = update()  # [K, 3], or [K, 3 + B] with the TD errors
        if update.settings.weighted:
            self.memory.priorities.update(drawn.place, metrics[:, 3:].reshape(-1))
            metrics = metrics[:, :3]
        means = metrics[0] if len(metrics) == 1 else metrics.mean(axis=0)  # [3]
        loss, td_error, mean_q = means.tolist()
        own = [loss, *[td_error] * len(self._td_errors), mean_q, *self.policy.metrics]
        return own if self.processor is None else own + self.processor.metrics


def _draws_first(policy: Any) -> bool:
    """Whether it chooses as EpsGreedyQPolicy does; a subclass may ask more of the Q values."""
    if type(policy).select_action is rl_policy.LinearAnnealedPolicy.select_action:
        policy = policy.inner_policy
    return type(policy).select_action is EpsGreedyQPolicy.select_action
