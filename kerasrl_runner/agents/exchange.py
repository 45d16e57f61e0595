"""An agent's weights in and out of files: whole or not at all, and never of another network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kerasrl_runner.files.weights_file import WeightsFile, read_weights, write_weights
from kerasrl_runner.parts.architecture import architecture_of, check_same
from kerasrl_runner.parts.weights import layers_of, set_layers


class WeightsExchange:
    """What GuardedDQNAgent does about weights, in place of rl/agents/dqn.py:204-209."""

    model: Any
    compiled: bool
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
