"""Engine `keras-rl`'s agent: the vendor's own compile, forward and backward, in its own graph.

The defects (D6c, ...) are those of docs/defects.md.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kerasrl_runner.agents.base import BaseDQNAgent
from kerasrl_runner.agents.graph import PrivateGraph, replace_vendor_parts
from kerasrl_runner.parts.optimizers import legacy_optimizer, take_optimizer
from kerasrl_runner.vendor import assign_in_graphs, keras, make_train_function, rl_dqn, tf


class VendorDQNAgent(BaseDQNAgent):
    """rl.agents.DQNAgent on today's stack, its arithmetic untouched.

    It works on a copy of the passed model in a graph of its own, and shares the weights with it
    between two calls: after `fit` the passed model is trained.
    """

    @property
    def model(self) -> Any:
        """The online network: the passed model, or inside of a call its copy."""
        return self._scope.copy if self._scope.depth else self._scope.model

    @model.setter
    def model(self, model: Any) -> None:
        if model is not self._scope.copy:  # which the vendor's constructor sets
            raise AttributeError("agent.model cannot be replaced; make an agent of that model")

    @property
    def metrics_names(self) -> list[str]:
        """The loss, the metrics of `compile` and the policy's own."""
        with self._scope:
            return list(super().metrics_names)

    def compile(self, optimizer: Any, metrics: list[Any] | None = None) -> None:
        """Vendor's compile with any Keras optimizer (D6c) and a metrics list of its own (D14)."""
        self.optimizer = take_optimizer(optimizer)
        self._twin = legacy_optimizer(self.optimizer)  # reads eager variables: outside the graph
        # In graph mode the script's own graph holds it, out of reach.
        self._source = self.optimizer.learning_rate if tf.executing_eagerly() else None
        if isinstance(self._source, tf.Variable):
            assign_in_graphs(self._source)
        self._rate = keras.backend.get_value(self._source)
        self._constants = self._graph_constants()
        with self._scope, replace_vendor_parts():
            super().compile(self._twin, [*(metrics or [])])

    def compute_batch_q_values(self, state_batch: Any) -> np.ndarray:
        """Q values [B, A] of a list of B states."""
        with self._scope:
            return super().compute_batch_q_values(state_batch)

    def update_target_model_hard(self) -> None:
        """Copy the online network's weights to the target network."""
        with self._scope:
            super().update_target_model_hard()

    def reset_states(self) -> None:
        """Forget the recent observation and any recurrent state."""
        with self._scope:
            super().reset_states()

    def variables(self) -> dict[str, np.ndarray]:
        with self._scope:
            variables = self._graph_variables()
            values = keras.backend.batch_get_value(list(variables.values()))
        return dict(zip(variables, values, strict=True))

    def set_variables(self, variables: dict[str, np.ndarray]) -> None:
        with self._scope:
            own = self._graph_variables()
            expected = {name: tuple(variable.shape) for name, variable in own.items()}
            if expected != {name: value.shape for name, value in variables.items()}:
                raise ValueError("these are variables of another agent")
            keras.backend.batch_set_value([(own[name], variables[name]) for name in own])

    def _adopt(self, model: Any) -> tuple[Any, Any]:
        graph = PrivateGraph(model)
        return graph, graph.copy

    def _store_and_learn(self, reward: float, terminated: bool, learns: bool) -> list[float]:
        """Call the vendor's backward, with a warm-up that makes it train just where `learns`."""
        own = self.nb_steps_warmup, self.train_interval
        self.nb_steps_warmup, self.train_interval = -1 if learns else math.inf, 1
        try:
            with self._scope:
                if learns:
                    self._follow_changes()
                metrics: list[float] = rl_dqn.DQNAgent.backward(self, reward, terminated)
        finally:
            self.nb_steps_warmup, self.train_interval = own
        return metrics

    def _graph_constants(self) -> tuple[float, float]:
        return self.delta_clip, min(self.target_model_update, 1.0)

    def _follow_changes(self) -> None:
        """Take the optimizer's rate. Raises ValueError for changes that need another graph."""
        rate = keras.backend.get_value(self._source)
        is_settable = rate == self._rate or isinstance(self._twin.learning_rate, tf.Variable)
        if not is_settable or self._graph_constants() != self._constants:
            raise ValueError(
                "delta_clip, a soft target_model_update and a schedule's rate are part of "
                "keras-rl's graph, and one has changed; expected agent.compile(optimizer) then"
            )
        if rate != self._rate:
            keras.backend.set_value(self._twin.learning_rate, rate)
            self._rate = rate

    def _graph_variables(self) -> dict[str, Any]:
        # It makes the optimizer's variables, which the first update would make otherwise.
        make_train_function(self.trainable_model)
        optimizer = self.trainable_model.optimizer
        parts = {
            "online": self.model.weights,
            "target": self.target_model.weights,
            # A soft target wraps it (rl/util.py:86).
            "optimizer": getattr(optimizer, "optimizer", optimizer).weights,
        }
        return {
            f"{part}/{number}": variable
            for part, variables in parts.items()
            for number, variable in enumerate(variables)
        }
