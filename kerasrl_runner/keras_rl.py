"""The door for people's keras-rl scripts: they change their imports to this module.

    from kerasrl_runner.keras_rl import DQNAgent, SequentialMemory, EpsGreedyQPolicy, keras

Import it before TensorFlow, or set TF_USE_LEGACY_KERAS=1 yourself (kerasrl_runner/vendor.py).
"""

from kerasrl_runner.agents.compiled import CompiledDQNAgent as DQNAgent
from kerasrl_runner.agents.keras_rl import VendorDQNAgent
from kerasrl_runner.parts.memory import SequentialMemory
from kerasrl_runner.parts.policies import (
    BoltzmannQPolicy,
    LinearAnnealedPolicy,
    MaxBoltzmannQPolicy,
)
from kerasrl_runner.vendor import (
    BoltzmannGumbelQPolicy,
    Callback,
    EpsGreedyQPolicy,
    GreedyQPolicy,
    MultiInputProcessor,
    Processor,
    keras,
)

__all__ = [
    "BoltzmannGumbelQPolicy",
    "BoltzmannQPolicy",
    "Callback",
    "DQNAgent",
    "EpsGreedyQPolicy",
    "GreedyQPolicy",
    "LinearAnnealedPolicy",
    "MaxBoltzmannQPolicy",
    "MultiInputProcessor",
    "Processor",
    "SequentialMemory",
    "VendorDQNAgent",
    "keras",
]
