"""keras-rl's agent with its arithmetic replaced: one XLA program an update, eager mode on."""

from __future__ import annotations

import contextlib
import gc
import math
from typing import Any

import numpy as np

from kerasrl_runner.agents.base import BaseDQNAgent
from kerasrl_runner.agents.xla.acting import UnaskedQValues, forward_for
from kerasrl_runner.agents.xla.update import CompiledUpdate
from kerasrl_runner.errors import EngineRefusal
from kerasrl_runner.parts.model import copy_model
from kerasrl_runner.parts.optimizers import new_style_optimizer
from kerasrl_runner.vendor import EpsGreedyQPolicy, keras
from kerasrl_runner.weights.file import WeightsFile

METRICS = ("loss", "mean_td_error", "mean_q")


class CompiledDQNAgent(BaseDQNAgent):
    """A DQNAgent whose update is one XLA program: the same answer, many times faster.

    Takes the vendor's arguments and keeps its fit, test, policies and callbacks. The model that
    is passed is trained in place: after `fit` it holds the trained weights.

    Args:
        gradient_steps: updates in one call at each `train_interval`th env step; keras-rl has one.
        seed: of Dropout's masks, together with the learn step.
        dtype: "float32" or "float64"; the model must be of the same.

    Raises:
        ValueError: as BaseDQNAgent, gradient_steps below 1, or an EngineRefusal of a model
            with several inputs or with layers that keep a state between calls.
    """

    def __init__(
        self,
        *args: Any,
        gradient_steps: int = 1,
        seed: int = 0,
        dtype: str = "float32",
        **kwargs: Any,
    ) -> None:
        if gradient_steps < 1:
            raise ValueError(f"gradient_steps: expected 1 or more, received {gradient_steps}")
        self.gradient_steps = gradient_steps
        self._seed = seed
        self._dtype = dtype
        self._optimizer: Any = None
        self._update: CompiledUpdate | None = None
        super().__init__(*args, **kwargs)

    @property
    def model(self) -> Any:
        """The online network with its current weights."""
        self._sync()
        return self._model

    @model.setter
    def model(self, model: Any) -> None:
        self._model = model

    @property
    def metrics_names(self) -> list[str]:
        """Loss, mean |TD error| of the taken actions, mean max Q, and the policy's own."""
        return [*METRICS, *self.policy.metrics_names]

    def compile(self, optimizer: Any, metrics: list[Any] | None = None) -> None:
        """Take a Keras optimizer, or the name or legacy twin of one.

        `metrics` is the vendor's argument; all that there is to report is reported without it.
        """
        self._sync()
        self.target_model = copy_model(self._model)
        self._optimizer = new_style_optimizer(optimizer)
        self._update = None
        self.compiled = True

    def prepare_learning(self) -> None:
        """Make the update's program now, by an update on an empty batch that is taken back.

        It takes seconds, in which no signal is heeded: better before anything is on disk.
        """
        assert self._update is not None, "nothing was computed yet"
        kept = self.variables()
        self._update(self._room)
        self.set_variables(kept)

    def compute_batch_q_values(self, state_batch: Any) -> np.ndarray:
        """Q values [B, A] of a list of B states."""
        states = self.process_state_batch(state_batch)
        return np.asarray(self.model(states, training=False))

    def _q_values(self, state: Any) -> Any:
        states = self.process_state_batch([state])  # [1, W, *observation]
        if self._update is None:
            self._prepare(states)
        return self._acting.q_values(states[0])

    def forward(self, observation: Any) -> int:
        """Choose an action; Q values are not computed for a random one."""
        policy = self.policy if self.training else self.test_policy
        draws_first = isinstance(getattr(policy, "inner_policy", policy), EpsGreedyQPolicy)
        if self._closing or not draws_first:
            return super().forward(observation)
        state = self.memory.get_recent_state(observation)
        q_values = UnaskedQValues(self.nb_actions, lambda: self.compute_q_values(state))
        action: int = policy.select_action(q_values=q_values)
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
            self._sync()

    def set_weights(self, weights: WeightsFile) -> None:
        """Put weights into the online and the target network. Raises WeightsError."""
        super().set_weights(weights)
        if self._update is not None:
            self._update.parameters.sync_from_models()
            self._update.hard_update()
            self._take_weights()

    def variables(self) -> dict[str, np.ndarray]:
        """Copies of all that the next update depends on: weights, optimizer state, mask keys."""
        assert self._update is not None, "nothing was computed yet"
        return self._update.parameters.state()

    def set_variables(self, variables: dict[str, np.ndarray]) -> None:
        """Take back what `variables` returned. Raises ValueError, and nothing has changed."""
        assert self._update is not None, "nothing was computed yet"
        self._update.parameters.restore(variables)
        self._take_weights()

    def update_target_model_hard(self) -> None:
        """Copy the online network's weights to the target network."""
        if self._update is None:
            super().update_target_model_hard()
        else:
            self._update.hard_update()

    def reset_states(self) -> None:
        """Forget the recent observation."""
        self.recent_action = self.recent_observation = None

    def _adopt(self, model: Any) -> tuple[Any, Any]:
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
            if isinstance(layer, keras.layers.SpectralNormalization):
                raise EngineRefusal(
                    f"the compiled engine cannot follow SpectralNormalization {layer.name!r}, "
                    f"which assigns its weights while it is called"
                )
        return contextlib.nullcontext(), model

    def _sync(self) -> None:
        if self._update is not None:
            self._update.parameters.sync_to_models()

    def _prepare(self, states: np.ndarray) -> None:
        """Make the programs, once the first state [1, W, *observation] tells its dtype."""
        self._update = CompiledUpdate(
            self._model,
            self.target_model,
            self._optimizer,
            gamma=self.gamma,
            delta_clip=self.delta_clip,
            double=self.enable_double_dqn,
            target_model_update=self.target_model_update,
            batch_size=self.batch_size,
            state_shape=states.shape[1:],
            state_dtype=self._dtype if states.dtype.kind == "f" else states.dtype.name,
            nb_actions=self.nb_actions,
            seed=self._seed,
            dtype=self._dtype,
        )
        self._acting = forward_for(self._update, self._model)
        self._room = self._update.new_batch(self.gradient_steps)

    def _take_weights(self) -> None:
        assert self._update is not None
        self._acting.take_weights(self._update.parameters.online_vector().numpy())

    def _store_and_learn(self, reward: float, terminated: bool, learns: bool) -> list[float]:
        """Store the step, and at its time run `gradient_steps` updates in one call."""
        self.memory.append(
            self.recent_observation, self.recent_action, reward, terminated, self.training
        )
        metrics = self._learn() if learns else [math.nan] * len(self.metrics_names)
        if self.training and self._is_hard_update():
            self.update_target_model_hard()
        return metrics

    def _is_hard_update(self) -> bool:
        return self.target_model_update >= 1 and self.step % self.target_model_update == 0

    def _learn(self) -> list[float]:
        drawn = self.memory.sample_batch(self.gradient_steps * self.batch_size)
        states = self.process_state_batch(drawn.state)
        next_states = self.process_state_batch(drawn.next_state)
        if self._update is None:
            self._prepare(states[:1])
        update = self._update
        assert update is not None
        lead = (self.gradient_steps, self.batch_size)
        self._room.fill(
            states.reshape(*lead, *states.shape[1:]),
            drawn.action.reshape(lead),
            drawn.reward.reshape(lead),
            next_states.reshape(*lead, *next_states.shape[1:]),
            drawn.terminated.reshape(lead),
        )
        learned = update(self._room)
        self._acting.take_weights(learned.weights)
        metrics = learned.metrics[0] if len(learned.metrics) == 1 else learned.metrics.mean(axis=0)
        return [*metrics.tolist(), *self.policy.metrics]
