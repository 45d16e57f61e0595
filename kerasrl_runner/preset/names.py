"""Names that a preset may use, known without importing TensorFlow.

A test compares them with the installed tf-keras.
"""

from __future__ import annotations

# The layers that a Q network is built from, by Keras' own names: MaxPool2D is an alias. What is
# missing is for other tasks (volumes, texts, random images), takes several inputs, or is gone from
# Keras 3.
KERAS_LAYERS = tuple(
    """
    Activation AlphaDropout AveragePooling1D AveragePooling2D BatchNormalization Bidirectional
    Conv1D Conv2D ConvLSTM2D Cropping1D Cropping2D Dense DepthwiseConv1D DepthwiseConv2D Dropout
    ELU Embedding Flatten GRU GaussianDropout GaussianNoise GlobalAveragePooling1D
    GlobalAveragePooling2D GlobalMaxPooling1D GlobalMaxPooling2D GroupNormalization Identity LSTM
    LayerNormalization LeakyReLU Masking MaxPooling1D MaxPooling2D Normalization PReLU Permute ReLU
    RepeatVector Rescaling Reshape Resizing SeparableConv1D SeparableConv2D SimpleRNN Softmax
    SpatialDropout1D SpatialDropout2D SpectralNormalization TimeDistributed UnitNormalization
    ZeroPadding1D ZeroPadding2D
    """.split()
)

LEARNING_RATE_SCHEDULES = (
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "InverseTimeDecay",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
)

# What this project calls the network and those of its layers that no preset names.
MODEL_NAME = "q_network"
INPUT_NAME = "observation"
RESCALING_NAME = "rescaling"
Q_HEAD = "q_values"
# The class of parts/model.py, as Keras spells one that is registered.
DUELING_HEAD = "kerasrl_runner>DuelingHead"

# keras-rl's training model has layers of the first three names (rl/agents/dqn.py:243-245).
RESERVED_LAYER_NAMES = ("loss", "mask", "y_true", INPUT_NAME, RESCALING_NAME, Q_HEAD)

# Keys that keras-rl or gymnasium know and a preset refuses, with the reason and the way out.
REFUSED_KEYS = {
    "env.render_mode": "--visualize chooses how to render; leave it out",
    "agent.memory_interval": (
        "keras-rl then stores transitions that skip steps and cross episodes; every step is "
        "stored, leave it out"
    ),
    "agent.processor": "scale by [env] observation_scale and reward_scale, or wrap the environment",
    "fit.action_repetition": "frame skip is a wrapper's job: put it into the environment",
    "fit.nb_max_start_steps": "random starts are a wrapper's job: put them into the environment",
    "fit.visualize": "use the option --visualize",
    "fit.callbacks": "call agent.fit yourself on what kerasrl_runner.build(preset) returns",
    "memory.ignore_episode_boundaries": "windows never cross episodes here; leave it out",
    "policy.SoftmaxPolicy": (
        "it takes probabilities, which a DQN does not have; use BoltzmannQPolicy"
    ),
}
