"""An agent's weights and variables, out and in: whole or not at all, never another network's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from kerasrl_runner.files.weights_file import WeightsFile, read_weights, write_weights
from kerasrl_runner.keras_rl import keras
from kerasrl_runner.parts.architecture import architecture_of
from kerasrl_runner.parts.comparison import check_same
from kerasrl_runner.parts.weights import layers_of, set_layers


class WeightsExchange:
    """What GuardedDQNAgent does about weights, in place of rl/agents/dqn.py:204-209."""

    model: Any
    compiled: bool
    target_model: Any
    trainable_model: Any
    update_target_model_hard: Any
    _scope: Any

    def save_weights(self, filepath: str | Path, overwrite: bool = False) -> None:
        """Write legacy .h5 weights, whole or not at all; never asks on stdin (D10).

        Raises:
            WeightsError: the file exists and `overwrite` is false, or its suffix is not .h5.
        """
        write_weights(Path(filepath), self.exported_weights(), overwrite=overwrite)

    def exported_weights(self) -> WeightsFile:
        """The online network's weights with its architecture, as files hold them."""
        with self._scope:
            architecture = architecture_of(self.model)
            return WeightsFile(layers_of(self.model), {"architecture": architecture})

    def variables(self) -> dict[str, np.ndarray]:
        """Copies of all that the next update depends on: weights and optimizer state."""
        with self._scope:
            variables = self._graph_variables()
            values = keras.backend.batch_get_value(list(variables.values()))
        return dict(zip(variables, values, strict=True))

    def set_variables(self, variables: dict[str, np.ndarray]) -> None:
        """Take back what `variables` returned. Raises ValueError, and nothing has changed."""
        with self._scope:
            own = self._graph_variables()
            expected = {name: tuple(variable.shape) for name, variable in own.items()}
            if expected != {name: value.shape for name, value in variables.items()}:
                raise ValueError("these are variables of another agent")
            keras.backend.batch_set_value([(own[name], variables[name]) for name in own])

    def _graph_variables(self) -> dict[str, Any]:
        self.trainable_model._make_train_function()  # else the first update makes the optimizer's
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

    def load_weights(self, filepath: str | Path) -> None:
        """Read weights written by this project, tf_keras or Keras 3 (D11, D11b).

        Raises:
            WeightsError: not such a file, or of another architecture; nothing was changed then.
        """
        self.set_weights(read_weights(Path(filepath)))

    def set_weights(self, weights: WeightsFile) -> None:
        """Put weights into the online and the target network. Raises WeightsError as above."""
        with self._scope:
            if "architecture" in weights.attributes:
                check_same(architecture_of(self.model), weights.attributes["architecture"])
            set_layers(self.model, weights)
            if self.compiled:
                self.update_target_model_hard()
