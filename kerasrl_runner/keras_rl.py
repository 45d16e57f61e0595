"""The door for people's keras-rl scripts: they change their imports to this module.

    from kerasrl_runner.keras_rl import DQNAgent, SequentialMemory, EpsGreedyQPolicy, keras

Import it before TensorFlow, or set TF_USE_LEGACY_KERAS=1 yourself (kerasrl_runner/vendor.py).
What stands here is what DQN scripts import from `rl`, corrected where docs/defects.md says so;
`import rl` works after it for the rest (docs/scripts.md).
"""

from kerasrl_runner.agents.callbacks import (
    FileLogger,
    ModelIntervalCheckpoint,
    TrainIntervalLogger,
)
from kerasrl_runner.agents.compiled import CompiledDQNAgent as DQNAgent
from kerasrl_runner.agents.keras_rl import VendorDQNAgent
from kerasrl_runner.environments.rendering import prepare_window
from kerasrl_runner.parts.memory import SequentialMemory
from kerasrl_runner.parts.policies import (
    BoltzmannQPolicy,
    LinearAnnealedPolicy,
    MaxBoltzmannQPolicy,
)
from kerasrl_runner.vendor import keras

# isort: split
# The vendor's own, which its repair above lets load.
from rl.callbacks import Callback, CallbackList, TestLogger, TrainEpisodeLogger, Visualizer
from rl.core import Agent, Env, Processor
from rl.memory import EpisodeParameterMemory, Experience, Memory, sample_batch_indexes
from rl.policy import BoltzmannGumbelQPolicy, EpsGreedyQPolicy, GreedyQPolicy, Policy, SoftmaxPolicy
from rl.processors import MultiInputProcessor, WhiteningNormalizerProcessor
from rl.util import WhiteningNormalizer, clone_model, clone_optimizer, get_object_config, huber_loss

prepare_window()  # for windows that a script opens by itself
del prepare_window

__all__ = [name for name in vars() if not name.startswith("_")]
